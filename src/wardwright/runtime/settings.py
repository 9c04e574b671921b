"""The settings of one installation: `wardwright.yaml` (or `.toml`, `.json`) beside the contracts, then the environment.

The file is optional and read like a contract: unknown keys are refused, every error has its line and column. The
environment wins over the file, the command line over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from wardwright.contracts import documents, sink_rules
from wardwright.contracts.refusal import ContractErrors, in_order
from wardwright.contracts.shapes import ROOT, At, Reader, Rules
from wardwright.contracts.sink import DEFAULT, JsonlSink, SinkSettings, WebhookSink
from wardwright.kernel.errors import WardwrightError

FILES: Final = ("wardwright.yaml", "wardwright.yml", "wardwright.toml", "wardwright.json")
"""Where settings stand in a contract folder; such a file is no contract."""

SERVERS_FILE: Final = "mcp.json"
"""Where a contract folder says which MCP servers there are; no contract either."""
SERVERS_LOCK_FILE: Final = "mcp.lock.json"
"""What was pinned of them."""

Positive = Annotated[int, msgspec.Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one connection, and all of them, may cost."""

    body_bytes_max: Positive = 32 * 1024 * 1024
    body_timeout_s: Positive = 60
    connections_max: Positive = 16_384
    head_bytes_max: Positive = 65_536
    head_timeout_s: Positive = 20
    idle_timeout_s: Positive = 75
    write_buffer_bytes_max: Positive = 262_144
    """What may wait for a slow client before the upstream is told to pause."""


class Retention(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How long the records of calls are kept, and captured bodies with them: those of calls that began an hour before
    the oldest record that is left, or `calls_days` ago, go. Contracts, keys and approvals are kept for ever."""

    calls_bytes_max: Positive | None = None
    calls_days: Positive | None = None


class AdaptBounds(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one threshold of a tool may become."""

    low: Positive
    high: Positive
    step_max: Positive
    """The most by which one proposal moves it."""


class Adapt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Within which bounds `wardwright harness adapt` may propose other thresholds for tools. What is unset is left
    alone."""

    allow: bool = False
    """Rules that do nothing but ask a person about one tool may go into shadow, and be enforced again."""
    attempts: AdaptBounds | None = None
    failure_ppm: AdaptBounds | None = None
    """Of the breaker."""
    timeout_s: AdaptBounds | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How this installation runs."""

    adapt: Adapt = Adapt()
    bind: str = "127.0.0.1:8787"
    """Address and port; port 0 lets the system choose."""
    capture: Literal["off", "bodies"] = "off"
    """`bodies` keeps what clients send and what they are told, and what tools are called with and give, beside the
    journal."""
    capture_bytes_max: Positive = 4 * 1024 * 1024
    """What is kept of a body in either direction; the rest is cut off, and its size recorded."""
    commit_delay_ms: Positive = 10
    """How long a batch of receipts gathers, where `durability` is `batch`."""
    drain_s: Positive = 30
    """How long calls under way may go on when the process is told to end."""
    durability: Literal["batch", "before_response"] = "batch"
    hops_max: Positive = 4
    hosts: tuple[str, ...] = ()
    """Names beyond loopback's under which keyless access answers."""
    index: Literal["follow", "deferred"] = "follow"
    """`follow` keeps the receipt index within a second of the journal; `deferred` fills it when it is asked."""
    keys: Literal["required", "optional"] = "optional"
    """`optional` serves keyless callers as tenant `local`: for loopback alone."""
    limits: Limits = Limits()
    on_journal_failure: Literal["refuse", "degrade"] = "refuse"
    """`refuse`: no call without a receipt. `degrade`: calls go on, and the loss is counted and told."""
    origins: tuple[str, ...] = ()
    """Web origins that may call without a key."""
    retention: Retention = Retention()
    segment_age_s: Positive = 86_400
    segment_bytes_max: Positive = 64 * 1024 * 1024
    sinks: tuple[SinkSettings, ...] = ()
    """Where alerts go, by name; written as a mapping from names to sinks."""
    watch_s: Positive = 1
    """How often contract files are looked at."""

    @property
    def every_sink(self) -> tuple[SinkSettings, ...]:
        """All sinks that rules may name, by name: `default` is there also where the file does not say."""
        named = {sink.name: sink for sink in (DEFAULT, *self.sinks)}
        return tuple(named[name] for name in sorted(named))

    @property
    def sink_names(self) -> frozenset[str]:
        """What an `alert` action may name."""
        return frozenset(sink.name for sink in self.every_sink)


ENVIRONMENT: Final = {
    "WARDWRIGHT_BIND": "bind",
    "WARDWRIGHT_CAPTURE": "capture",
    "WARDWRIGHT_DURABILITY": "durability",
    "WARDWRIGHT_INDEX": "index",
    "WARDWRIGHT_KEYS": "keys",
    "WARDWRIGHT_ON_JOURNAL_FAILURE": "on_journal_failure",
}
"""Variables that override a setting."""


def _check_bounds(reader: Reader, value: msgspec.Struct, at: At) -> None:
    assert isinstance(value, AdaptBounds)
    if value.low > value.high:
        reader.breaks(at.member("low"), f"`low: {value.low}` lies above `high: {value.high}`", "exchange them")


_RULES: Final = Rules(
    nouns={
        Settings: "the settings",
        Limits: "`limits`",
        Retention: "`retention`",
        Adapt: "`adapt`",
        AdaptBounds: "bounds of `adapt`",
        JsonlSink: "a sink of kind `jsonl`",
        WebhookSink: "a sink of kind `webhook`",
    },
    readers={},
    unions={},
    checks={AdaptBounds: _check_bounds, WebhookSink: sink_rules.check_webhook},
    members={
        (Settings, "sinks"): sink_rules.sinks,
        (JsonlSink, "path"): sink_rules.path,
        (WebhookSink, "secret"): sink_rules.secret,
        (WebhookSink, "url"): sink_rules.url,
    },
    missing={},
    distinct={},
    sets=frozenset(),
)

_T = TypeVar("_T")


def load(folder: Path | None, environment: Mapping[str, str], **overrides: Any) -> Settings:
    """The settings that hold. `overrides` come from the command line; those that are None say nothing.

    Raises ContractErrors for the file, `settings_invalid` for the environment and the command line.
    """
    settings = Settings()
    for name in FILES:
        path = None if folder is None else folder / name
        if path is not None and path.is_file():
            settings = decode(path.read_bytes(), str(path))
            break
    values = {member: environment[name] for name, member in ENVIRONMENT.items() if environment.get(name)}
    values |= {member: value for member, value in overrides.items() if value is not None}
    if values:
        settings = _changed(settings, values)
    _require_safe(settings)
    return settings


def decode(data: bytes, file: str) -> Settings:
    """The settings in a file. Raises ContractErrors."""
    tables = documents.read(data, file)
    if not tables:
        return Settings()
    reader = Reader(file, _RULES)
    settings = reader.struct(Settings, tables[0], ROOT)
    if reader.errors:
        raise ContractErrors(in_order(reader.errors))
    assert isinstance(settings, Settings)
    return settings


def address_of(bind: str) -> tuple[str, int]:
    """Host and port of an address such as `127.0.0.1:8787` or `[::1]:8787`. Raises `settings_invalid`."""
    host, colon, port = bind.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65_535:
        raise WardwrightError(
            "settings_invalid", f"`{bind}` is no address to bind", hint="write it as `127.0.0.1:8787` or `[::1]:8787`"
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _changed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    try:
        return msgspec.convert(msgspec.structs.asdict(settings) | dict(values), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise WardwrightError("settings_invalid", f"a setting cannot hold: {error}") from error


def _require_safe(settings: Settings) -> None:
    host, _ = address_of(settings.bind)
    if settings.keys == "optional" and not is_loopback(host):
        raise WardwrightError(
            "settings_invalid",
            f"`{settings.bind}` is open to others, and calls need no key",
            hint="set `keys: required` (or WARDWRIGHT_KEYS=required) and make a key with `wardwright key create`",
        )
