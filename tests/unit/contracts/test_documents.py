"""Bytes to located trees, in three syntaxes."""

from __future__ import annotations

import pytest

from wardwright.contracts.documents import DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, read
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.tree import Items, Scalar, Spot, Table, Tree
from wardwright.kernel.errors import WardwrightError


def at(table: Table, *path: str | int) -> Tree:
    """The value at a path."""
    tree: Tree = table
    for step in path:
        if isinstance(step, str):
            assert isinstance(tree, Table)
            entry = tree.get(step)
            assert entry is not None, f"no `{step}`"
            tree = entry.value
        else:
            assert isinstance(tree, Items)
            tree = tree.items[step]
    return tree


def refused(text: str | bytes, file: str) -> WardwrightError:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(ContractErrors) as caught:
        read(data, file)
    (error,) = caught.value.errors
    assert error.code == "contract_syntax"
    assert error.place is not None
    assert error.place.file == file
    return error


def spot(error: WardwrightError) -> tuple[int | None, int | None]:
    assert error.place is not None
    return error.place.line, error.place.column


YAML = """\
# a comment
name: déjà   # the column counts characters
price: {input: 0.10, output: 2}
list:
  - one
  - {deep: [true, ~]}
"""

TOML = """\
# a comment
name = "déjà"
price = { input = 0.10, output = 2 }
list = [
  "one", # with a comment
  { deep = [true, 1_000] },
]
dotted.key = 1

[table."quoted key".inner]
text = '''
several
lines''' # after
[[many]]
name = "first"
[[many]]
name = "second"
  [[many.more]]
  x = "]"
"""

JSON = """\
{
  "name": "déjà",
  "price": {"input": 0.10, "output": 2},
  "list": ["one", {"deep": [true, null]}]
}
"""


@pytest.mark.parametrize(
    ("file", "text", "path", "expected"),
    [
        ("x.yaml", YAML, ("name",), (2, 7)),
        ("x.yaml", YAML, ("price", "output"), (3, 30)),
        ("x.yaml", YAML, ("list", 0), (5, 5)),
        ("x.yaml", YAML, ("list", 1, "deep", 1), (6, 19)),
        ("x.toml", TOML, ("name",), (2, 8)),
        ("x.toml", TOML, ("price", "output"), (3, 34)),
        ("x.toml", TOML, ("list", 0), (5, 3)),
        ("x.toml", TOML, ("list", 1, "deep", 1), (6, 19)),
        ("x.toml", TOML, ("dotted", "key"), (8, 14)),
        ("x.toml", TOML, ("table", "quoted key", "inner"), (10, 1)),
        ("x.toml", TOML, ("table", "quoted key", "inner", "text"), (11, 8)),
        ("x.toml", TOML, ("many", 0, "name"), (15, 8)),
        ("x.toml", TOML, ("many", 1, "name"), (17, 8)),
        ("x.toml", TOML, ("many", 1), (16, 1)),
        ("x.toml", TOML, ("many", 1, "more", 0, "x"), (19, 7)),
        ("x.json", JSON, ("name",), (2, 11)),
        ("x.json", JSON, ("price", "output"), (3, 38)),
        ("x.json", JSON, ("list", 1, "deep", 1), (4, 35)),
    ],
)
def test_every_value_knows_its_line_and_column(
    file: str, text: str, path: tuple[str | int, ...], expected: tuple[int, int]
) -> None:
    (document,) = read(text.encode(), file)

    assert at(document, *path).at == Spot(*expected)


@pytest.mark.parametrize(("file", "text"), [("x.yaml", YAML), ("x.toml", TOML), ("x.json", JSON)])
def test_keys_know_their_place_too(file: str, text: str) -> None:
    (document,) = read(text.encode(), file)
    price = document.get("price")
    assert price is not None
    assert isinstance(price.value, Table)
    inner = price.value.get("output")
    assert inner is not None

    line = text.split("\n")[inner.key_at.line - 1]
    assert line[inner.key_at.column - 1 :].lstrip('"').startswith("output")


@pytest.mark.parametrize(("file", "text"), [("x.yaml", YAML), ("x.toml", TOML), ("x.json", JSON)])
def test_a_number_with_a_fraction_keeps_the_text_the_author_wrote(file: str, text: str) -> None:
    (document,) = read(text.encode(), file)
    number = at(document, "price", "input")

    assert isinstance(number, Scalar)
    assert (number.value, number.form) == ("0.10", "decimal")


def test_yaml_scalars_follow_the_core_schema_of_1_2() -> None:
    text = "[yes, on, 12:30, 010, 0o17, 0x1F, 1_000, TRUE, Null, ~, '1', 1., -2.5e3, .inf, 2001-01-01]"
    (document,) = read(f"v: {text}".encode(), "x.yaml")
    items = at(document, "v")
    assert isinstance(items, Items)

    forms = [(item.value, item.form) for item in items.items if isinstance(item, Scalar)]
    assert forms == [
        ("yes", "text"),
        ("on", "text"),
        ("12:30", "text"),
        (10, "integer"),
        (15, "integer"),
        (31, "integer"),
        ("1_000", "text"),
        (True, "boolean"),
        (None, "null"),
        (None, "null"),
        ("1", "text"),
        ("1.", "decimal"),
        ("-2.5e3", "decimal"),
        (".inf", "decimal"),
        ("2001-01-01", "text"),
    ]


def test_a_yaml_file_holds_several_documents_and_empty_ones_do_not_count() -> None:
    documents = read(b"# first\nkind: a\n---\n---\nkind: b\n---\n# nothing\n", "x.yml")

    assert [at(document, "kind") for document in documents] == [
        Scalar("a", "text", Spot(2, 7)),
        Scalar("b", "text", Spot(5, 7)),
    ]


def test_a_byte_order_mark_is_not_part_of_the_document() -> None:
    for file, text in (("x.yaml", "kind: a"), ("x.toml", 'kind = "a"'), ("x.json", '{"kind": "a"}')):
        (document,) = read(b"\xef\xbb\xbf" + text.encode(), file)
        assert [entry.key for entry in document.entries] == ["kind"]


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("a: &x 1", "anchors", (1, 4)),
        ("a: 1\nb: *x", "aliases", (2, 4)),
        ("a: !!str 1", "tags", (1, 4)),
        ("a: 1\n<<: {b: 2}", "merge keys", (2, 1)),
        ("%YAML 1.1\n---\na: 1", "directives", (1, 1)),
        ("a: 1\nb: 2\na: 3", "`a` stands twice: first on line 1", (3, 1)),
        ("? [x]\n: 1", "a key must be a word", (1, 3)),
        ("- a\n- b", "a document is a mapping", (1, 1)),
        ("just text", "a document is a mapping", (1, 1)),
        ("a: \x01", "U+0001", (1, 4)),
    ],
)
def test_yaml_that_could_mean_two_things_is_refused_with_its_place(
    text: str, message: str, place: tuple[int, int]
) -> None:
    error = refused(text, "x.yaml")

    assert message in error.message
    assert spot(error) == place


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1", "spaces"),
        ("a: b: c", "quotes"),
        ("a: @x", "quotes"),
        ('a: "x', "open"),
        ("- a\nb: 1", "indentation"),
        ("a: {b: 1", "brackets"),
    ],
)
def test_yaml_mistakes_come_with_advice(text: str, hint: str) -> None:
    error = refused(text, "x.yaml")

    assert error.message.startswith("this is not YAML: ")
    assert error.hint is not None
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ('{"a": 1,}', "a comma stands before `}`", (1, 9)),
        ('{"a": 1 "b": 2}', "`,` or `}`", (1, 9)),
        ('{"a": 01}', "stands where", (1, 7)),
        ('{"a": 1.}', "stands where", (1, 7)),
        ('{"a": NaN}', "`NaN` is not JSON", (1, 7)),
        ("{'a': 1}", "a key in double quotes", (1, 2)),
        ('{\n  // note\n "a": 1}', "a key in double quotes", (2, 3)),
        ('{"a": 1}\n{"b": 2}', "something follows", (2, 1)),
        ('{"a": 1, "a": 2}', "`a` stands twice", (1, 10)),
        ('{"a": "\\ud800"}', "lone surrogate", (1, 7)),
        ('{"a": "x\ny"}', "no end", (1, 7)),
        ('{"a": "\\x"}', "unknown escape", (1, 7)),
        ('{"a": [1, 2', "the file ends", (1, 12)),
        ("", "the file ends", (1, 1)),
        ("[1]", "a document is a mapping", (1, 1)),
    ],
)
def test_json_is_read_strictly(text: str, message: str, place: tuple[int, int]) -> None:
    error = refused(text, "x.json")

    assert message in error.message
    assert spot(error) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\na = 2\n", (2, 6)), ("a = \n", (1, 5)), ("[a\n", (1, 3)), ("a = 'x", (1, 7)), ("a = 1 b = 2", (1, 7))],
)
def test_toml_mistakes_have_the_place_that_tomllib_gives(text: str, place: tuple[int, int]) -> None:
    error = refused(text, "x.toml")

    assert error.message.startswith("this is not TOML: ")
    assert "(at " not in error.message
    assert spot(error) == place


@pytest.mark.parametrize("file", ["x.yaml", "x.toml", "x.json"])
def test_nesting_is_bounded(file: str) -> None:
    def nested(levels: int) -> str:
        inside = "[" * levels + "]" * levels
        return {"x.yaml": f"a: {inside}", "x.toml": f"a = {inside}", "x.json": f'{{"a": {inside}}}'}[file]

    assert len(read(nested(DOCUMENT_DEPTH_MAX - 1).encode(), file)) == 1
    for levels in (DOCUMENT_DEPTH_MAX, 10_000):
        assert f"deeper than {DOCUMENT_DEPTH_MAX} levels" in refused(nested(levels), file).message


def test_size_is_bounded() -> None:
    error = refused(b"#" * (DOCUMENT_BYTES_MAX + 1), "x.yaml")

    assert "262,145 bytes" in error.message


def test_bytes_that_are_not_utf8_are_placed() -> None:
    error = refused(b"a: 1\nb: \xc3\xa9\xff", "x.yaml")

    assert "0xff" in error.message
    assert spot(error) == (2, 5)


@pytest.mark.parametrize("file", ["x.ini", "x", "yaml"])
def test_a_suffix_without_a_syntax_is_refused(file: str) -> None:
    error = refused("a: 1", file)

    assert error.hint == "end it in `.yaml`, `.yml`, `.toml` or `.json`"


def test_dates_in_toml_are_kept_as_what_they_are() -> None:
    (document,) = read(b"a = 2026-01-02\nb = 12:30:00\n", "x.toml")

    assert at(document, "a") == Scalar("2026-01-02", "instant", Spot(1, 5))
    assert at(document, "b") == Scalar("12:30:00", "instant", Spot(2, 5))
