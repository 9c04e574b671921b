"""What the page about alerts shows works: its settings are read, and its check of a signature takes ours."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import msgspec

from wardwright.calls.alerts import alert_in
from wardwright.contracts.sink import JsonlSink, WebhookSink
from wardwright.kernel import canonical
from wardwright.runtime.settings import decode
from wardwright.sinks.signature import signed

PAGE = (Path(__file__).parent.parent.parent / "docs" / "alerts.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_settings_on_the_page_are_read() -> None:
    kinds = {sink.name: type(sink) for sink in decode(block("yaml").encode(), "wardwright.yaml").sinks}
    assert kinds == {"default": JsonlSink, "sec": WebhookSink}


def test_the_members_of_sinks_stand_on_the_page_with_their_defaults() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:all|`\w+`) \| `?([^`|]+?)`? \|", PAGE, flags=re.MULTILINE))
    for settings in (JsonlSink, WebhookSink):
        for field in msgspec.structs.fields(settings):
            if field.default not in (msgspec.NODEFAULT, None):
                assert rows[field.name] == str(field.default), field.name


def test_the_document_on_the_page_is_an_alert() -> None:
    document = msgspec.json.decode(block("json"))
    alert = alert_in(block("json").encode())
    assert msgspec.to_builtins(alert) == document["alert"]
    canonical.require(document)


def test_the_check_of_a_signature_on_the_page_takes_ours_and_no_other() -> None:
    page: dict[str, Any] = {}
    exec(block("python"), page)
    key, body = b"0123456789abcdef", b'{"a":1}'
    headers = {name.decode(): value.decode() for name, value in signed(key, "alt_1", int(time.time()), body)}
    assert page["genuine"](key, headers, body)
    assert not page["genuine"](key, headers, body + b" ")
    assert not page["genuine"](b"another", headers, body)
    assert not page["genuine"](key, headers | {"webhook-timestamp": "1"}, body)
