"""The typed value of a `kind: provider` document: one credentialed endpoint.

It is configuration of this installation, not part of a model contract: an exported model names its providers and
carries nothing of them.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from wardwright.contracts.model import Count, Name

Dialect: TypeAlias = Literal["openai", "anthropic"]
Secret: TypeAlias = str
"""`env:NAME` or `file:PATH`; never the credential itself."""
Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A whole number from 0."""
Rate: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
"""Parts per million."""
Status: TypeAlias = Annotated[int, msgspec.Meta(ge=200, le=599)]
"""The status of a final HTTP answer."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bounds on each phase of one attempt, in seconds."""

    connect_s: Count = 5
    first_byte_s: Count = 120
    """From the request being sent to the first byte of the answer."""
    between_bytes_s: Count = 60
    total_s: Count = 600


class Pool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How many connections, and how many requests may wait for one."""

    connections_max: Count = 256
    waiting_max: Natural = 1024
    idle_s: Natural = 55
    """A connection unused for longer is closed, not reused."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a target rests after failures."""

    failure_ppm: Rate = 500_000
    """Opens at this failure rate over the window, in parts per million."""
    calls_min: Count = 8
    """Never opens on fewer calls than these."""
    window_s: Count = 30
    open_s: Count = 10
    """How long it rests before one call may probe."""


class ScriptStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a scripted model does in one call. Without any member it answers `ok`."""

    text: str | None = None
    chunks: tuple[str, ...] = ()
    """Deltas of a streamed answer; unset: the text cut at its words."""
    reasoning: str | None = None
    tool_calls: tuple[ScriptToolCall, ...] = ()
    finish: Literal["stop", "length", "tool_calls", "content_filter"] | None = None
    status: Status = 200
    """Any other status answers an error body instead."""
    retry_after_s: Natural | None = None
    delay_ms: Natural = 0
    """Before the first byte."""
    chunk_delay_ms: Natural = 0
    """Before each further chunk."""
    break_after_chunks: Natural | None = None
    """The connection breaks after this many chunks: 0 breaks before the first."""
    stall_after_chunks: Natural | None = None
    """Nothing more ever comes after this many chunks."""
    input_tokens: Natural | None = None
    output_tokens: Natural | None = None


class ScriptToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str
    arguments: str
    """JSON text."""


class Script(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The calls of one scripted model in order; the last one repeats."""

    model: str
    steps: tuple[ScriptStep, ...] = ()


Continuation: TypeAlias = Literal["never", "last_message", "vllm"]


class Provider(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One upstream endpoint."""

    name: Name
    kind: Literal["provider"] = "provider"
    format: int = 1
    dialect: Dialect = "openai"
    transport: Literal["native", "httpx2", "scripted", "replay"] = "native"
    base_url: str | None = None
    """Such as `https://api.openai.com/v1`; required for `native` and `httpx2`."""
    credential: Secret | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with every request to this provider and to no other; values may be `env:NAME` or `file:PATH`."""
    on_client_left: Literal["cancel", "drain"] = "cancel"
    """`drain` reads the answer to its end, for providers that bill it anyway."""
    timeouts: Timeouts = Timeouts()
    pool: Pool = Pool()
    breaker: Breaker = Breaker()
    proxy: str | None = None
    """For `httpx2`: an HTTP proxy."""
    tls_ca_file: str | None = None
    """A PEM bundle to trust instead of the system's."""
    continues_answers: Continuation = "never"
    """How the provider goes on with an answer that was begun, where a rule asks for that: `last_message` continues an
    assistant's message that stands last; `vllm` must be told besides, by `continue_final_message`."""
    stream_options: bool = True
    """Whether the provider understands `stream_options.include_usage`."""
    scripts: tuple[Script, ...] = ()
    """For `scripted`."""
    recordings: str | None = None
    """For `replay`: a directory of recorded exchanges."""
