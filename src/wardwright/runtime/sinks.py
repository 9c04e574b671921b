"""From the settings of sinks to sinks: the one place that picks their adapters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from wardwright.contracts.sink import JsonlSink, SinkSettings, WebhookSink
from wardwright.journal.sinks import Sink
from wardwright.kernel.ids import Clock
from wardwright.runtime.credentials import credential_of
from wardwright.runtime.settings import Settings
from wardwright.sinks.jsonl import JsonlFile
from wardwright.sinks.webhook import Webhook


def sinks_of(
    settings: Settings, state: Path, environment: Mapping[str, str], clock: Clock, *, build: str
) -> dict[str, tuple[SinkSettings, Sink]]:
    """Every sink by its name. Raises `credential_unreadable` and `settings_invalid`; opens nothing."""

    def sink_of(one: SinkSettings) -> Sink:
        match one:
            case JsonlSink():
                return JsonlFile(one, state)
            case WebhookSink():
                secret = credential_of(one.secret, environment)
                return Webhook(one, secret, clock, agent=f"wardwright/{build}")
            case _:
                assert_never(one)

    return {one.name: (one, sink_of(one)) for one in settings.every_sink}
