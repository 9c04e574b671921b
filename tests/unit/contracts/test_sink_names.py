"""Policies whose alerts would go nowhere."""

from __future__ import annotations

from typing import cast

from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.sink_names import unknown_sinks

POLICY = b"""\
kind: policy
name: loud
rules:
  - id: costly
    phase: request
    when: {gt: [request.output_tokens, 4096]}
    then: [{annotate: loud}, {alert: sek}]
    why: Somebody should know.
  - id: usual
    phase: request
    when: {gt: [request.output_tokens, 8192]}
    then: [{alert: {message: look}}]
    why: Somebody should know.
"""


def policy() -> Located[PolicyContract]:
    return cast(Located[PolicyContract], decode(POLICY, "loud.yaml")[0])


def test_an_alert_to_a_sink_that_is_not_there_is_refused_with_its_place_and_the_nearest_name() -> None:
    (error,) = unknown_sinks(policy(), {"default", "sec"})
    assert error.place is not None
    assert (error.code, error.place.file, error.place.line) == ("contract_reference", "loud.yaml", 7)
    assert error.message == "`costly` alerts `sek`, and the settings have no such sink"
    assert error.hint == "did you mean `sec`?"


def test_alerts_to_sinks_that_are_there_are_fine() -> None:
    assert list(unknown_sinks(policy(), {"default", "sek"})) == []
