"""Data on stdout, talk on stderr."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.cli.coat import lines_of
from wardwright.cli.output import Output
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.errors import Place, WardwrightError

FIRST = WardwrightError("contract_invalid", "no", place=Place(file="a.yaml", line=3, column=7), hint="yes")
SECOND = WardwrightError("contract_reference", "nobody is called `x`")
BOTH = ContractErrors([FIRST, SECOND])


def test_every_reason_of_a_refused_file_is_told() -> None:
    assert list(lines_of(BOTH)) == [
        "error: no",
        "  --> a.yaml:3:7  [contract_invalid]",
        "",
        "hint: yes",
        "",
        "error: nobody is called `x`  [contract_reference]",
    ]


def test_a_failure_is_one_document_with_the_first_reason_in_front(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).fail(BOTH)
    said = capsys.readouterr()
    assert said.err == ""
    document = msgspec.json.decode(said.out)
    first = {
        "code": "contract_invalid",
        "message": "no",
        "hint": "yes",
        "at": {"file": "a.yaml", "line": 3, "column": 7, "path": None},
    }
    assert document["error"] == first
    assert [error["code"] for error in document["errors"]] == ["contract_invalid", "contract_reference"]


def test_people_read_failures_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).fail(SECOND)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "error: nobody is called `x`  [contract_reference]\n")


def test_lines_are_not_made_where_a_document_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def costly() -> list[str]:
        raise AssertionError("made for nobody")

    Output(as_json=True).answer({"a": 1}, costly)
    assert msgspec.json.decode(capsys.readouterr().out) == {"a": 1}


def test_a_table_in_a_pipe_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table([], ("NAME", "N"), [("long-name", "1"), ("b", "22")])
    assert capsys.readouterr().out == "NAME       N\nlong-name  1\nb          22\n"
