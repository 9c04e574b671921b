"""The reference page of error codes, written from the table that raises them."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from wardwright.kernel.errors import CODES, Code, Fault

_WHOSE: Final[dict[Fault, str]] = {
    Fault.CALLER: "the caller's",
    Fault.POLICY: "a policy's decision",
    Fault.UPSTREAM: "an upstream's",
    Fault.US: "the gateway's own",
}

_HEAD: Final = """\
# Error codes

Every failure has one of these codes, wherever it is met: in the `code` member of OpenAI's error envelope on `/v1`, in
an RFC 9457 problem on `/api` and `/admin`, in brackets after the place on the command line, and in receipts. Codes are
stable; messages are not. *Status* is the HTTP status, *type* what OpenAI's clients switch on.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for fault, rows in groupby(sorted(CODES.items(), key=_by_fault), key=lambda item: item[1].fault):
        parts.append(f"\n## Whose fault: {_WHOSE[fault]}\n\n| Code | Status | Type | Means |\n|---|---|---|---|\n")
        parts += [f"| `{name}` | {row.status} | `{row.type}` | {row.means} |\n" for name, row in rows]
    return "".join(parts)


def _by_fault(item: tuple[str, Code]) -> int:
    return list(Fault).index(item[1].fault)
