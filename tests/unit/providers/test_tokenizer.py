from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from wardwright.kernel.errors import WardwrightError
from wardwright.providers.tokenizer import CACHED_CHARS_MIN, CACHED_TEXTS_MAX, load
from wardwright.routing.counting import count_chat


def vocabulary(path: Path, *, truncated: bool = False) -> Path:
    """A tokenizer.json that makes one token of each word and punctuation mark."""
    tokenizer = Tokenizer(WordLevel({"<unk>": 0, "hello": 1, "world": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    if truncated:
        tokenizer.enable_truncation(2)
    file = path / "tokenizer.json"
    tokenizer.save(str(file))
    return file


def test_a_text_is_counted_exactly(tmp_path: Path) -> None:
    assert load(vocabulary(tmp_path)).count("hello, wide world") == 4


def test_a_long_text_counts_the_same_when_it_comes_again(tmp_path: Path) -> None:
    counter = load(vocabulary(tmp_path))
    text = "hello world " * CACHED_CHARS_MIN
    assert counter.count(text) == counter.count(text) == 2 * CACHED_CHARS_MIN


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    counter = load(vocabulary(tmp_path))
    for number in range(CACHED_TEXTS_MAX + 10):
        counter.count(f"{number} " + "x" * CACHED_CHARS_MIN)
    assert len(counter._counts) == CACHED_TEXTS_MAX


def test_truncation_that_a_file_asks_for_is_not_obeyed(tmp_path: Path) -> None:
    assert load(vocabulary(tmp_path, truncated=True)).count("hello hello hello hello") == 4


def test_a_chat_is_counted_by_its_words(tmp_path: Path) -> None:
    estimate = count_chat(b'[{"role":"user","content":"hello world"}]', None, load(vocabulary(tmp_path)))
    assert (estimate.method, estimate.tokens) == ("tokenizer", 16 + 4 + 1 + 2)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json"])
def test_a_file_that_is_no_tokenizer_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    with pytest.raises(WardwrightError) as caught:
        load(file)
    assert caught.value.code == "contract_invalid"
    assert str(file) in str(caught.value.place)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WardwrightError) as caught:
        load(tmp_path / "none.json")
    assert caught.value.code == "contract_reference"


def test_without_the_extra_the_refusal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(WardwrightError) as caught:
        load(vocabulary(tmp_path))
    assert caught.value.code == "extra_missing"
    assert "wardwright[tokenizers]" in (caught.value.hint or "")
