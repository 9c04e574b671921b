from __future__ import annotations

import msgspec
import pytest

from wardwright.dialects.answer import Identity, Whole
from wardwright.dialects.openai_whole import read_whole
from wardwright.dialects.openai_words import reported_usage


@pytest.mark.parametrize(
    "odd", [b'{"prompt_tokens":1.5}', b'{"prompt_tokens":"ten"}', b"[]", b'"many"', b"null", b'{"prompt_tokens":1e99}']
)
def test_an_account_that_nobody_can_read_is_none(odd: bytes) -> None:
    assert reported_usage(msgspec.Raw(odd)) is None


def test_an_odd_account_does_not_cost_the_client_its_answer() -> None:
    whole = {
        "id": "a",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1.5},
    }
    read = read_whole(msgspec.json.encode(whole), Identity("id", "m", 1))
    assert isinstance(read, Whole)
    assert (read.tally.usage, read.tally.text_chars) == (None, 2)
