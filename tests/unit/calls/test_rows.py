"""What a row tells of the rules over a call."""

from __future__ import annotations

from pathlib import Path

from parts import governed_past
from wardwright.calls.receipt import summary_of


def test_a_row_says_what_rules_did_and_which_were_not_silent(tmp_path: Path) -> None:
    rows = [summary_of(receipt) for receipt in governed_past.play(tmp_path)]
    assert [(row.policy_effect, row.policy_rules, row.policy_retries) for row in rows] == [
        ("retry_with_reminder", "desk/old-client desk/watch-tokens", 1),
        ("block", "desk/no-night-owls", 0),
        ("annotate", "desk/long-answers", 0),
    ]


def test_a_call_that_no_policy_governs_tells_nothing_of_rules(tmp_path: Path) -> None:
    ungoverned = governed_past.DOCUMENTS | {"coding.yaml": governed_past.MODEL.replace("policies: [desk]\n", "")}
    (receipt,) = governed_past.play(tmp_path, governed_past.CALLS[:1], ungoverned)
    row = summary_of(receipt)
    assert (row.policy_effect, row.policy_rules, row.policy_retries) == (None, None, 0)
