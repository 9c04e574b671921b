"""What one try taught: the words in which `limits.patterns` is told and asked.

Rule 1: a key begins with the tenant and goes from the general to the particular, one text a level of LEVELS. It may end
early; a level that is not known is `""` and no wider one.
Rule 2: no value of an argument stands in a key: arguments are told by `limits.shapes`.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal, TypeAlias, get_args

import msgspec

Level: TypeAlias = Literal["tenant", "subject", "shape", "house", "target", "model"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)

PART_CHARS_MAX: Final = 200
"""A longer part of a key, such as a name that a caller claims, stands in it by its digest."""

Key: TypeAlias = tuple[str, ...]
"""One to six parts, the tenant first."""

Outcome: TypeAlias = Literal["succeeded", "failed", "cut"]
"""How a try ended. `cut`: it was given up after waiting, such as by a timeout; it counts as failed."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One try that ended."""

    at_us: int
    """When, µs since the epoch."""
    cost_nano_usd: int | None = None
    """None: not known."""
    key: Key
    latency_us: int | None = None
    """None: not measured. That of a failed try teaches nothing: it says when it failed, not how long success takes."""
    order: int
    """Where it stands among its writer's: rising, such as the order of a receipt. From 1."""
    outcome: Outcome
    writer: str
    """Who saw it: the writer of its record."""


def key_of(
    tenant: str, *, kind: str, name: str, shape: str = "", house: str = "", target: str = "", model: str = ""
) -> Key:
    """The key of a try: of a tool by its name, of a model call by the name asked for; unset levels at the end are left
    out.

    >>> key_of("t", kind="tool", name="file.read", shape="path:text1", target="local")
    ('t', 'tool file.read', 'path:text1', '', 'local')
    """
    parts = [tenant, *(_bounded(part) for part in (f"{kind} {name}", shape, house, target, model))]
    while not parts[-1] and len(parts) > 1:
        parts.pop()
    return tuple(parts)


def _bounded(part: str) -> str:
    if len(part) <= PART_CHARS_MAX:
        return part
    return "digest:" + hashlib.sha256(part.encode(errors="surrogatepass")).hexdigest()
