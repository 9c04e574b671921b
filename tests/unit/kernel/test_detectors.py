"""The table of detectors: each row finds what it is there for, and no lookalike."""

from __future__ import annotations

from pathlib import Path

import pytest

import wardwright.kernel.detectors as package
from wardwright.kernel.detectors import proofs
from wardwright.kernel.detectors.finding import Found, choice, find
from wardwright.kernel.detectors.redaction import Style, cover, covered
from wardwright.kernel.detectors.samples import SAMPLES, Pieces
from wardwright.kernel.detectors.table import BY_NAME, DETECTORS_VERSION, FAMILIES, NAMES, ROWS, Row, rows_of
from wardwright.kernel.patterns.admission import Regex, admit

HOLDS = [(name, pieces) for name, samples in SAMPLES.items() for pieces in samples.holds]
LACKS = [(name, text) for name, samples in SAMPLES.items() for text in samples.lookalikes()]


@pytest.mark.parametrize(("name", "pieces"), HOLDS, ids=[name for name, _ in HOLDS])
def test_a_row_finds_its_samples_from_end_to_end(name: str, pieces: Pieces) -> None:
    text = "".join(pieces)

    assert find(text, [name]) == [Found(name, len(pieces[0]), len(text) - len(pieces[-1]))]


@pytest.mark.parametrize(("name", "text"), LACKS)
def test_a_row_lets_lookalikes_be(name: str, text: str) -> None:
    assert find(text, [name]) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_shape_is_a_pattern_that_rules_could_use(row: Row) -> None:
    admitted = admit(Regex(row.shape))

    assert admitted.chars_min > 2
    assert (row.proof is None) == (row.proves == "")


def test_every_row_has_samples_of_both_kinds_and_the_table_is_sorted() -> None:
    assert list(SAMPLES) == list(BY_NAME) == sorted(BY_NAME)
    assert [name for name, samples in SAMPLES.items() if not (samples.holds and samples.lacks)] == []


def test_no_file_of_the_table_holds_what_the_table_looks_for() -> None:
    folder = Path(package.__file__).parent
    found = {path.name: find(path.read_text(), ["secrets"]) for path in folder.glob("*.py")}

    assert {name: finds for name, finds in found.items() if finds} == {}


def test_a_family_stands_for_its_rows_and_any_for_all() -> None:
    assert {row.family for row in rows_of("secrets")} == {"secrets"}
    assert rows_of("any") == ROWS
    assert sum(len(rows_of(family)) for family in FAMILIES) == len(ROWS)
    assert len(set(NAMES)) == len(NAMES)
    with pytest.raises(KeyError):
        find("x", ["no_such_row"])


def test_finds_come_in_order_and_count_characters_not_bytes() -> None:
    text = "é ann@example.com \N{GRINNING FACE} bob@example.com und 4111 1111 1111 1111 ✓"

    assert find(text, ["personal_data"]) == [
        Found("email", 2, 17),
        Found("email", 20, 35),
        Found("credit_card", 40, 59),
    ]


def test_half_a_character_hides_nothing() -> None:
    assert find("\ud800 ann@example.com", ["email"]) == [Found("email", 2, 17)]


def test_a_candidate_that_is_not_proved_does_not_hide_one_that_begins_inside_it() -> None:
    assert find("ref 9999 4111 1111 1111 1111", ["credit_card"]) == [Found("credit_card", 9, 28)]


def test_a_token_does_not_hide_behind_one_that_begins_alike() -> None:
    token = SAMPLES["jwt"].texts()[0].strip()

    assert find(f"eyJx.{token}", ["jwt"]) == [Found("jwt", 5, 5 + len(token))]


@pytest.mark.parametrize(
    "text",
    ["eyJa-" * 40_000 + ".x.y", "4111 " * 40_000, "a@" * 100_000, "+1 " * 60_000, "DE00 " * 40_000, "token=" * 30_000],
)
def test_a_text_made_of_lookalikes_finds_nothing(text: str) -> None:
    assert choice(("any",)).first(text) is None


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ("name", "to [email] or [credit_card]."),
        ("family", "to [personal data] or [personal data]."),
        ("mask", f"to {'•' * 14} or {'•' * 19}."),
    ],
)
def test_what_is_found_is_taken_out(style: Style, shown: str) -> None:
    text = "to ann@example.ch or 4111 1111 1111 1111."

    assert covered(text, [cover(one, style) for one in find(text, ["personal_data"])]) == shown


def test_finds_that_overlap_are_taken_out_together() -> None:
    text = "at postgres://ann:pw@db.example.com/x"
    found = find(text, ["any"])

    assert covered(text, [cover(one, "name") for one in found]) == "at [url_password]/x"
    assert covered(text, [cover(one, "mask") for one in found]) == "at " + "•" * (len(text) - 5) + "/x"


def test_the_version_names_the_table() -> None:
    assert DETECTORS_VERSION.startswith("sha256:")
    assert len(DETECTORS_VERSION) == 71


def test_a_proof_may_leave_out_what_follows() -> None:
    assert proofs.card("4111 1111 1111 1111 202") == 19
    assert proofs.iban("CH93 0076 2011 6238 5295 7 THE") == 26


def test_numbers_of_north_america_have_eleven_digits() -> None:
    assert proofs.phone("+1 212 555 0123") == 15
    assert proofs.phone("+1 212 555 01234") == 0
    assert proofs.phone("+1 212 555 0123 9") == 15
