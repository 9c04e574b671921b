"""The usage of ended calls as values: what a receipt says of it, and what is kept between runs.

Rule 1: members stand in alphabetical order, and user-named things are lists of values: equal usage, equal bytes.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

FORMAT: Final = 2
"""The version of Snapshot."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What one call counted in one budget. Members in alphabetical order: receipts hold it."""

    amount: int
    """What it counted: tokens, requests, milliseconds, or nano-USD."""
    claim: str
    """Whose usage it is, inside the tenant."""
    meter: str
    """Of the limit."""
    used: int | None
    """What ended calls used within the window, this one counted; None where it found no room."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Why a budget refused a call, for its receipt: what the decision rested on. Members in alphabetical order."""

    asked: int | None = None
    """What the call would have reserved; the amounts are unset but for `exceeded`."""
    budget: str
    """`policy/name`."""
    limit: int | None = None
    """What the budget allows."""
    reason: Literal["exceeded", "unclaimed", "crowded", "unshared"]
    """`unclaimed`: the call does not say whose it is; `crowded`: too many are in use to tell this one from others;
    `unshared`: what other workers hold could not be told."""
    reserved: int | None = None
    """By calls in flight."""
    retry_after_s: int | None = None
    """What the caller was told."""
    used: int | None = None
    """By calls that ended, within the window."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One ended call, as its receipt tells it."""

    at_us: int
    """When it ended."""
    charges: tuple[Charge, ...]
    order: int
    """As its receipt has it."""
    tenant: str
    writer: str
    """Who wrote the receipt: orders rise within one writer."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One claimant of a snapshot."""

    claim: str
    meter: str
    slices: tuple[tuple[int, int], ...]
    """Index and amount, the oldest first."""
    tenant: str
    whole_from_us: int
    """When `slices` will be all that it used; 0: they are."""


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """Usage that found no room."""

    meter: str
    tenant: str
    until_us: int
    """When the last of it would have left the window."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The usage of ended calls at one instant: equal usage, equal bytes."""

    at_us: int
    format: int = FORMAT
    kept: tuple[Kept, ...]
    """By tenant, meter and claim."""
    missed: tuple[Missed, ...]
    """By tenant and meter."""
    orders: tuple[tuple[str, int], ...] = ()
    """By writer, of the last call that it counts: entries up to it are in it already."""
