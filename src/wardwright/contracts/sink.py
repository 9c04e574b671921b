"""Where alerts go: the typed values of `sinks` in the settings, by the name that rules use.

sinks:
  default: {kind: jsonl, path: alerts.jsonl}
  sec: {kind: webhook, url: https://hooks.example/alerts, secret: env:ALERT_SECRET, on_full: fail_closed}
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.model import Count, Name
from wardwright.contracts.provider import Secret

OnFull: TypeAlias = Literal["drop", "dead_letter", "fail_closed"]
"""When a sink's queue is full: forget the alert, keep it for a person, or refuse the call that raised it."""


class JsonlSink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="jsonl"):
    """A file to which each alert is a line."""

    attempts_max: Count = 20
    bytes_max: Count = 64 * 1024 * 1024
    """A file that has grown so large is set aside as `<path>.1`, in place of the one set aside before."""
    name: Name
    on_full: OnFull = "dead_letter"
    path: str
    """Relative ones lie in the state directory."""
    waiting_max: Count = 1_000
    """Alerts that may wait for delivery."""

    @property
    def attempt_s(self) -> int:
        """How long writing a line may take before somebody else tries."""
        return 30

    @property
    def parallel_max(self) -> int:
        """Lines are written one after the other."""
        return 1


class WebhookSink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="webhook"):
    """An address to which each alert is posted, signed."""

    attempts_max: Count = 20
    """An alert that failed so often is given up. Between attempts the sink rests, up to five minutes."""
    name: Name
    on_full: OnFull = "dead_letter"
    parallel_max: Count = 4
    """Alerts under way at a time."""
    secret: Secret
    """`env:NAME` or `file:PATH`: the key of the signature."""
    timeout_s: Count = 10
    """For one attempt, from connecting to the answer's head."""
    tls_ca_file: str | None = None
    """A PEM bundle to trust instead of the system's."""
    url: str
    waiting_max: Count = 1_000

    @property
    def attempt_s(self) -> int:
        return self.timeout_s


SinkSettings: TypeAlias = JsonlSink | WebhookSink

DEFAULT: Final = JsonlSink(name="default", path="alerts.jsonl")
"""What `default` is where the settings do not say."""
