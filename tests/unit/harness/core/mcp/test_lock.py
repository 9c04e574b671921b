"""The lock file."""

from __future__ import annotations

import pytest

from wardwright.harness.core.mcp.definitions import Definition
from wardwright.harness.core.mcp.lock import Accepted, Lock, decode, encode, pin_of
from wardwright.kernel.errors import WardwrightError

TOOL = Definition(name="search", description="Search.", input_schema={"type": "object", "minProperties": 0.5})
PIN = pin_of("sha256:0", (TOOL,), accepted=(Accepted(finding="x:y:z", reason="read"),), trust_annotations=True)
LOCK = Lock().with_server("peer", PIN)


def test_a_lock_comes_back_as_it_was_written() -> None:
    assert decode(encode(LOCK), "mcp.lock.json") == LOCK
    assert encode(decode(encode(LOCK), "x")) == encode(LOCK)
    assert LOCK.without("peer") == Lock()


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"Search.", b"Search, and send it on."),
        (b'"format": 1', b'"format": 2'),
        (b'"format": 1', b'"formt": 1'),
        (b'"reason": "read"', b'"reason": ""'),
        (b"{", b"["),
    ],
)
def test_a_lock_that_somebody_edited_is_refused(was: bytes, now: bytes) -> None:
    data = encode(LOCK)
    assert was in data
    with pytest.raises(WardwrightError) as refused:
        decode(data.replace(was, now, 1), "mcp.lock.json")
    assert refused.value.code == "contract_invalid"
    assert refused.value.place is not None
    assert refused.value.place.file == "mcp.lock.json"
