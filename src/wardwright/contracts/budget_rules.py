"""What types cannot say about one budget of a policy."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from wardwright.contracts.budget import AMOUNT_MAX, BUDGETS_MAX, EVERY_CALL, UNITS, Budget, Within
from wardwright.contracts.shapes import At, Reader
from wardwright.kernel.usage import NANO_USD


def budget(reader: Reader, value: msgspec.Struct, at: At) -> None:
    """The members of one budget agree with each other."""
    made = cast(Budget, value)
    if not made.why.strip():
        reader.breaks(at.member("why"), "`why` is empty", "say what goes wrong without the budget")
    if made.of != "cost_usd" and "." in made.limit:
        message = f"a limit of {UNITS[made.of]} is a whole number; here stands `{made.limit}`"
        reader.breaks(at.member("limit"), message)
    elif not 1 <= made.amount <= AMOUNT_MAX:
        most = f"{AMOUNT_MAX // NANO_USD:,} USD" if made.of == "cost_usd" else f"{AMOUNT_MAX:,}"
        message = f"`limit` is more than 0 and at most {most}; here stands `{made.limit}`"
        hint = "to refuse every call, use a rule that blocks" if made.amount == 0 else None
        reader.breaks(at.member("limit"), message, hint)
    if made.session == "declared" and made.per != "session":
        reader.breaks(at.member("session"), f"`session` means nothing under `per: {made.per}`", "remove it")
    if made.missing == "skip" and made.per in EVERY_CALL:
        message = f"`missing` means nothing under `per: {made.per}`: every call has one"
        reader.breaks(at.member("missing"), message, "remove it")


def within(reader: Reader, value: msgspec.Struct, at: At) -> None:
    """Exactly one kind of window."""
    made = cast(Within, value)
    if made.age_s is not None and made.calendar is not None:
        reader.breaks(at, "`age_s` and `calendar` cannot both hold", "remove one of them")
    if made == Within():
        hint = "add `age_s: 86400` for a rolling day, or `calendar: day`"
        reader.breaks(at, "`within` is empty: nothing would ever leave the budget", hint)


def count(reader: Reader, budgets: tuple[Budget, ...], at: At) -> None:
    """A policy has a bounded number of budgets."""
    if len(budgets) > BUDGETS_MAX:
        reader.breaks(at, f"a policy has at most {BUDGETS_MAX} budgets; this has {len(budgets)}")


NOUNS: Final[dict[type, str]] = {Budget: "a budget"}
