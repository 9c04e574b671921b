"""Where the open unit of a text begins, however the text was cut."""

from __future__ import annotations

import pytest

from wardwright.streams.units import Unit, tracker


@pytest.mark.parametrize(
    ("unit", "text", "open_unit"),
    [
        ("sentence", "One. Two", " Two"),
        ("sentence", "Version 1.", "Version 1."),
        ("sentence", "Version 1.5 is", "Version 1.5 is"),
        ("sentence", 'He said "no." Then', " Then"),
        ("sentence", "是。不", "不"),
        ("sentence", "a heading\nand", "and"),
        ("line", "a\nbc", "bc"),
        ("line", "a\n", ""),
        ("code_block", "text `code` more", ""),
        ("code_block", "text\n``", "``"),
        ("code_block", "text\n```py\nx = 1\n", "```py\nx = 1\n"),
        ("code_block", "```\nx\n```\ny", ""),
        ("code_block", "````\n```\nx", "````\n```\nx"),
        ("code_block", "```\nx\n```", "```\nx\n```"),
        ("code_block", "```x``` and\nso on", ""),
        ("code_block", "~~~ `x`\ny", "~~~ `x`\ny"),
        ("json_value", 'so: {"a": "}", "b": [1', '{"a": "}", "b": [1'),
        ("json_value", '{"a": "\\"}"} and', ""),
        ("json_value", "[1] [2", "[2"),
    ],
)
def test_the_open_unit_begins_where_it_should(unit: Unit, text: str, open_unit: str) -> None:
    for step in (1, 2, 3, len(text)):
        one = tracker(unit)
        for at in range(0, len(text), step):
            one.feed(text[at : at + step])
        assert text[one.begin :] == open_unit
