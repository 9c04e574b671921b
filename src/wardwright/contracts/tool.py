"""The typed value of a `kind: tool` contract: what one name does to the world, and within which bounds.

A tool is either one function (`implements`), or other tools in order (`steps`). What a call may touch stands in
`scope`, so that it can be decided on, held to and shown before anything happens.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.model import Count, Name
from wardwright.contracts.provider import Breaker, Natural

FORMAT: Final = 1
"""The current format of tool contracts."""

STEPS_MAX: Final = 64
"""Steps of one tool."""

PARAMETERS_MAX: Final = 64
"""Parameters of one tool."""

Effect: TypeAlias = Literal["read", "write-local", "write-remote", "irreversible"]
"""What a call does to the world, from harmless to what nobody can take back."""

EFFECTS: Final[tuple[Effect, ...]] = ("read", "write-local", "write-remote", "irreversible")
"""By gravity."""

Reversal: TypeAlias = Literal["T0", "T1", "T2", "T3", "T4"]
"""How a call is taken back: `T0` nothing is lost, or the record alone is enough to put it back; `T1` from a snapshot,
taken before acting; `T2` by another call; `T3` by a person, or in part; `T4` not at all."""

ArgumentName: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=64, extra={"word": "argument"})
]
"""Lower case letters, digits and `_`, beginning with a letter."""

Value: TypeAlias = str | int | bool | tuple[str, ...]
"""What an argument may be in a document."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One argument that a tool of steps takes."""

    name: ArgumentName
    type: Literal["text", "integer", "boolean", "texts"]
    """`texts` is a list of texts."""
    required: bool = False
    """Without it and without a `default`, a call may leave it out, and the steps that pass it on leave it out too."""
    default: Value | None = None
    doc: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One call of another tool."""

    tool: Name
    arguments: tuple[tuple[str, Value], ...] = ()
    """By name. `{name}` in a text is the parameter of that name; a text that is nothing else takes its value as it is,
    whatever its type."""
    expect: tuple[tuple[str, Value], ...] = ()
    """Members of the result that must have these values; where one has not, the steps after it are not taken."""
    why: str = ""


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How often a call that failed is made again."""

    attempts_max: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None
    """The first one counted; unset: 2 for tools that only read, 1 for all others."""
    wait_ms: Natural = 200
    """Before the second attempt; doubled before each further one."""


class Cache(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """For how long an answer is given again without a call. Failures are never kept."""

    ttl_s: Count


class ToolScope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a call may touch; `{name}` is the call's argument of that name, and a list of texts gives an entry each."""

    read: tuple[str, ...] = ()
    """Absolute folders and files, each with all beneath it."""
    write: tuple[str, ...] = ()
    """The same; what may be written may be read."""
    hosts: tuple[str, ...] = ()
    """`host:port`, where `*` is any port and `*.example.com` any name beneath. An entry with `{name}` in it, which may
    be a whole address, never reaches private networks: those must be written out."""
    programs: tuple[str, ...] = ()
    """Names that are looked up on PATH, or absolute paths; without `{name}`."""
    environment: tuple[str, ...] = ()
    """Variables that programs see of ours; without `{name}`."""


class ToolContract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a tool's name means."""

    name: Name
    """Such as `git.status`."""
    effect: Effect
    reversal: Reversal
    """`T0` where the effect is `read`, and may then be left out."""
    kind: Literal["tool"] = "tool"
    format: int = 1
    version: str | None = None
    """The operator's own label; versions are told apart by their digests."""
    doc: str = ""
    """For whoever calls it: one sentence, then what surprises. Unset: what the function says of itself."""
    implements: str | None = None
    """The function behind it: the name of a built-in tool, or of one that an extension brings."""
    steps: tuple[Step, ...] = ()
    """In the place of `implements`: other tools, in this order."""
    parameters: tuple[Parameter, ...] = ()
    """What a tool of steps takes; a function knows its own."""
    timeout_s: Count = 60
    """Of a call with all its attempts."""
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    cache: Cache | None = None
    """For tools that only read."""
    inputs: tuple[str, ...] = ()
    """Arguments that name files: an answer is given again only while what they hold is the same."""
    scope: ToolScope = ToolScope()
    """For functions; each step has the scope of its own tool."""
    output_bytes_max: Annotated[int, msgspec.Meta(ge=65_536, le=64 * 1024 * 1024)] = 1024 * 1024
    """Of the result, as JSON; what would be longer is cut, and says so."""
    degrade: Name | None = None
    """The tool that is called with the same arguments where this one fails; the result says that it was."""

    @property
    def attempts_max(self) -> int:
        """The most attempts of one call."""
        return self.retry.attempts_max or (2 if self.effect == "read" else 1)


def graver(one: Effect, other: Effect) -> Effect:
    """The graver of two effects.

    >>> graver("write-local", "read")
    'write-local'
    """
    return max(one, other, key=EFFECTS.index)
