"""What a client says of a call beside its arguments: members of `_meta` under our own prefix.

Rule 1: nothing here is proven. The tenant and the key come from the credential, and what a key says of its holder
stands above what `_meta` says.
Rule 2: a claim that is not plain text is refused, not shortened: two callers must never become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from wardwright.kernel.errors import Place, WardwrightError

PREFIX: Final = "wardwright/"
APPROVAL: Final = PREFIX + "approval"
EVIDENCE: Final = PREFIX + "evidence"
PLAN: Final = PREFIX + "plan"
RUN: Final = PREFIX + "run"
SESSION: Final = PREFIX + "session"
RECEIPT: Final = PREFIX + "receipt"
"""On answers: the id of the call's receipt."""
ERROR: Final = PREFIX + "error"
"""On answers: code, message, hint and where there is one the approval."""

TEXT_CHARS_MAX: Final = 256
EVIDENCE_MAX: Final = 64


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What was said."""

    approval: str | None = None
    evidence: tuple[str, ...] = ()
    plan: str | None = None
    run: str | None = None
    session: str | None = None


def claims_of(meta: Mapping[str, object]) -> Claims:
    """What `_meta` holds of ours. Raises `tool_arguments`.

    >>> claims_of({"wardwright/run": "nightly", "progressToken": 1}).run
    'nightly'
    """
    return Claims(
        approval=_text(meta, APPROVAL),
        evidence=_texts(meta, EVIDENCE),
        plan=_text(meta, PLAN),
        run=_text(meta, RUN),
        session=_text(meta, SESSION),
    )


def is_plain(text: str) -> bool:
    """Whether a text may stand in a receipt as a claim."""
    return 0 < len(text) <= TEXT_CHARS_MAX and text.isprintable()


def _text(meta: Mapping[str, object], name: str) -> str | None:
    value = meta.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_plain(value):
        raise _refusal(name, f"is text of at most {TEXT_CHARS_MAX} printable characters")
    return value


def _texts(meta: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = meta.get(name, [])
    if not isinstance(value, list) or len(value) > EVIDENCE_MAX:
        raise _refusal(name, f"is a list of at most {EVIDENCE_MAX} texts")
    for one in value:
        if not isinstance(one, str) or not is_plain(one):
            raise _refusal(name, f"is a list of at most {EVIDENCE_MAX} texts")
    return tuple(value)


def _refusal(name: str, says: str) -> WardwrightError:
    return WardwrightError("tool_arguments", f'`_meta["{name}"]` {says}', place=Place(path=f"_meta.{name}"))
