"""Contracts as documents: one meaning however spelled, places that are true, and no input that breaks the reader."""

from __future__ import annotations

import io
import json
import random
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from wardwright.contracts import documents, yaml_syntax
from wardwright.contracts.decode import decode, decode_canary
from wardwright.contracts.difference import diff
from wardwright.contracts.digest import canonical, digest, restored
from wardwright.contracts.model import (
    Alias,
    Alloy,
    Canary,
    Capability,
    Cascade,
    Dispatcher,
    Guard,
    Member,
    ModelContract,
    Node,
    Price,
    Target,
    TargetRef,
    Tokens,
    Transforms,
    Variant,
    When,
)
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.tree import Items, Scalar, Table, Tree

NAMES = ("a", "b", "c-1", "d.x")
TARGETS = ("fast", "strong", "spare")

names = st.sampled_from(NAMES)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=12)
words = st.lists(st.sampled_from(("x", "y", "né", "z 1")), max_size=3, unique=True).map(lambda one: tuple(sorted(one)))
known: st.SearchStrategy[Capability] = st.sampled_from(("tools", "vision", "reasoning"))
capabilities = st.sets(known).map(lambda one: tuple(sorted(one)))
decimals = st.integers(0, 10**9).map(lambda micro: f"{micro // 10**6}.{micro % 10**6:06}".rstrip("0").rstrip("."))
windows = st.integers(1, 4 * 2**20)

prices = st.builds(
    Price, input=decimals, output=decimals, cached_input=st.none() | decimals, reasoning=st.none() | decimals
)


@st.composite
def targets(draw: st.DrawFn, name: str) -> Target:
    window = draw(windows)
    return Target(
        name=name,
        provider=draw(names),
        model=draw(st.sampled_from(("gpt/5", "qwen:7b", "1"))),
        context_window=window,
        output_max=draw(st.none() | st.integers(1, window)),
        capacity_fraction=draw(st.sampled_from(("1", "0.5", "0.85"))),
        capabilities=draw(st.none() | capabilities),
        price=draw(st.none() | prices),
        tokens=Tokens(margin=draw(st.sampled_from(("1", "1.1", "1.25")))),
        labels=draw(words),
    )


@st.composite
def conditions(draw: st.DrawFn) -> When:
    low = draw(st.none() | windows)
    return When(
        tenant=draw(words),
        tags=draw(words),
        capabilities=draw(capabilities),
        region=("eu",),
        input_tokens_min=low,
        input_tokens_max=None if low is None else draw(st.none() | st.integers(low, 5 * 2**20)),
        cost_usd_max=draw(st.none() | decimals),
    )


strategies: st.SearchStrategy[Literal["round_robin", "weighted", "sequence"]] = st.sampled_from(
    ("round_robin", "weighted", "sequence")
)


@st.composite
def alloys(draw: st.DrawFn, nodes: st.SearchStrategy[Node]) -> Alloy:
    strategy = draw(strategies)
    weights = st.integers(1, 9) if strategy == "weighted" else st.just(1)
    members = tuple(draw(st.lists(st.builds(Member, node=nodes, weight=weights), min_size=2, max_size=3)))
    partial = draw(st.booleans())
    return Alloy(
        members=members,
        strategy=strategy,
        sequence=tuple(draw(st.lists(st.integers(0, len(members) - 1), min_size=1, max_size=4)))
        if strategy == "sequence"
        else (),
        per=draw(st.sampled_from(("step", "turn"))),
        partial_context=partial,
        min_context_window=None if partial else draw(st.none() | windows),
    )


def branches(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(nodes, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Dispatcher, members=several),
        st.builds(Cascade, members=several),
        alloys(nodes),
        st.builds(Guard, when=conditions(), then=nodes, otherwise=st.none() | nodes, why=texts),
    )


leaves = st.builds(TargetRef, target=st.sampled_from(TARGETS)) | st.builds(Alias, model=names)
routes: st.SearchStrategy[Node] = st.recursive(leaves, branches, max_leaves=6)

optional_texts = st.none() | texts
variants = st.lists(
    st.builds(Variant, name=names, weight=st.integers(1, 5), preamble=optional_texts),
    max_size=2,
    unique_by=lambda variant: variant.name,
).map(tuple)

contracts = st.builds(
    ModelContract,
    name=names,
    targets=st.tuples(*(targets(name) for name in TARGETS)),
    route=routes,
    version=optional_texts,
    description=texts,
    activate=st.sampled_from(("auto", "manual")),
    transforms=st.builds(Transforms, preamble=optional_texts, postscript=optional_texts, variants=variants),
    restrict=st.sampled_from(((), ("local",), ("a/*", "fast"))),
    expose_selected_model=st.booleans(),
    deadline_s=st.integers(1, 900),
    output_tokens_default=st.integers(1, 9000),
)


# One meaning, many spellings


class Author:
    """Writes a contract the way some author might: other key order, defaults spelled out or not, other shapes."""

    def __init__(self, luck: random.Random, *, nulls: bool) -> None:
        self._luck = luck
        self._nulls = nulls

    def document(self, contract: ModelContract) -> dict[str, Any]:
        written = self._struct(contract)
        written.setdefault("kind", "model")
        return self._shuffled(written)

    def _struct(self, value: msgspec.Struct) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for field in msgspec.structs.fields(value):
            member = getattr(value, field.name)
            if member == field.default and self._luck.random() < 0.6:
                continue
            if member is None and not self._nulls:
                continue
            written[field.name] = self._value(field.name, member)
        return self._shuffled(written)

    def _value(self, name: str, value: object) -> object:
        match value:
            case TargetRef() | Alias() | Dispatcher() | Cascade() | Alloy() | Guard():
                return self._node(value)
            case msgspec.Struct():
                return self._struct(value)
            case tuple() if name in ("capabilities", "labels", "restrict", "tags", "tenant"):
                return self._luck.sample(value, len(value))
            case tuple():
                return [self._value("", item) for item in value]
            case bool():
                return value
            case int() if "token" in name or "window" in name or name == "output_max":
                return f"{value // 1024}K" if value % 1024 == 0 and self._luck.random() < 0.7 else value
            case str() if name in ("input", "output", "margin", "capacity_fraction", "cached_input", "reasoning"):
                return float(value) if len(value) < 8 and self._luck.random() < 0.5 else value
            case _:
                return value

    def _node(self, node: Node) -> object:
        if self._luck.random() < 0.2:
            tag = type(node).__struct_config__.tag
            return self._shuffled({"node": tag, **self._struct(node)})
        match node:
            case TargetRef():
                return node.target if self._luck.random() < 0.7 else {"target": node.target}
            case Alias():
                return {"alias": node.model}
            case Dispatcher() | Cascade():
                word = "dispatcher" if isinstance(node, Dispatcher) else "cascade"
                members = [self._node(member) for member in node.members]
                return {word: members if self._luck.random() < 0.5 else {"members": members}}
            case Alloy():
                written = self._struct(msgspec.structs.replace(node, members=()))
                written["members"] = [self._member(member) for member in node.members]
                return {"alloy": written["members"] if len(written) == 1 else self._shuffled(written)}
            case Guard():
                return {"guard": self._struct(node)}

    def _member(self, member: Member) -> object:
        node = self._node(member.node)
        if isinstance(node, dict) and "node" not in node and self._luck.random() < 0.5:
            return self._shuffled({**node, "weight": member.weight})
        if member.weight == 1 and self._luck.random() < 0.5:
            return node
        return self._shuffled({"node": node, "weight": member.weight})

    def _shuffled(self, table: dict[str, Any]) -> dict[str, Any]:
        return dict(self._luck.sample(list(table.items()), len(table)))


def as_yaml(document: object, luck: random.Random) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False  # in flow style ruamel writes some texts so that it cannot read them back
    yaml.width = luck.choice([40, 4000])
    stream = io.StringIO()
    yaml.dump(document, stream)
    return luck.choice(["", "# a comment\n", "---\n"]) + stream.getvalue()


def as_json(document: object, luck: random.Random) -> str:
    return json.dumps(document, indent=luck.choice([None, 2]), ensure_ascii=luck.random() < 0.5)


def as_toml(document: dict[str, Any], luck: random.Random) -> str:
    """Headers for tables and arrays of tables at the top, inline values below."""
    lines: list[str] = []
    headed: list[str] = []
    for key, value in document.items():
        if isinstance(value, dict) and luck.random() < 0.7:
            headed += [f"[{_toml_key(key)}]", *_toml_pairs(value)]
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value) and luck.random() < 0.7:
            for one in value:
                headed += ["", f"[[{_toml_key(key)}]] # one", *_toml_pairs(one)]
        else:
            lines += _toml_pairs({key: value})
    return "\n".join([*lines, "# tables", *headed, ""])


def _toml_pairs(table: dict[str, Any]) -> list[str]:
    return [f"{_toml_key(key)} = {_toml(value)}" for key, value in table.items()]


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else _toml(key)


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[\n" + ",\n".join(_toml(item) for item in value) + "\n]"
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case _:
            return str(value)


WRITERS = {"x.yaml": as_yaml, "x.json": as_json, "x.toml": as_toml}


@pytest.mark.parametrize("file", list(WRITERS))
@given(contract=contracts, seed=st.integers(0, 2**32))
def test_every_spelling_in_every_syntax_has_one_value_and_one_digest(
    file: str, contract: ModelContract, seed: int
) -> None:
    luck = random.Random(seed)
    text = WRITERS[file](Author(luck, nulls=file != "x.toml").document(contract), luck)

    (document,) = decode(text.encode(), file)

    assert document.value == contract
    assert digest(document.value) == digest(contract)


@given(contracts)
def test_canonical_bytes_decode_to_the_value_they_came_from(contract: ModelContract) -> None:
    data = canonical(contract)

    assert restored(data) == contract
    assert decode(data, "x.json")[0].value == contract
    assert canonical(restored(data)) == data


@given(contracts, contracts)
def test_two_contracts_differ_exactly_when_their_digests_do(old: ModelContract, new: ModelContract) -> None:
    assert (diff(old, new) == ()) is (digest(old) == digest(new)) is (old == new)


@given(contracts, st.data())
def test_a_change_of_one_member_changes_the_digest_and_is_told(contract: ModelContract, data: st.DataObject) -> None:
    other = data.draw(contracts)
    field = data.draw(st.sampled_from(msgspec.structs.fields(ModelContract))).name
    changed = msgspec.structs.replace(contract, **{field: getattr(other, field)})

    assert (digest(changed) == digest(contract)) is (getattr(other, field) == getattr(contract, field))
    told = diff(contract, changed)
    assert bool(told) is (changed != contract)
    assert all(change.path.startswith(field) and change.sentence.endswith(".") for change in told)


@given(conditions())
def test_canary_rules_are_read_like_any_document(when: When) -> None:
    rule = Canary(when=when)
    assert decode_canary(msgspec.json.encode(rule), "x.json") == rule


# Places


def scalars(tree: Tree) -> list[Scalar]:
    match tree:
        case Scalar():
            return [tree]
        case Items():
            return [scalar for item in tree.items for scalar in scalars(item)]
        case Table():
            return [scalar for entry in tree.entries for scalar in scalars(entry.value)]


def values(tree: Tree) -> object:
    match tree:
        case Scalar():
            return tree.value
        case Items():
            return [values(item) for item in tree.items]
        case Table():
            return {entry.key: values(entry.value) for entry in tree.entries}


json_values = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(texts, json_values, max_size=3)


@pytest.mark.parametrize("file", list(WRITERS))
@given(table=tables, seed=st.integers(0, 2**32))
def test_a_document_means_what_was_written_and_each_value_stands_where_its_spot_says(
    file: str, table: dict[str, Any], seed: int
) -> None:
    text = as_toml(table, random.Random(seed)) if file == "x.toml" else as_json(table, random.Random(seed))
    (document,) = documents.read(text.encode(), file)
    lines = text.split("\n")

    assert values(document) == table
    for scalar in scalars(document):
        here = lines[scalar.at.line - 1][scalar.at.column - 1 :]
        if isinstance(scalar.value, str):
            escaped = here.startswith(json.dumps(scalar.value)[:4])
            assert escaped or here.startswith(json.dumps(scalar.value, ensure_ascii=False)[:4])
        else:
            assert here.startswith(str(scalar.value).lower())


# Bad input

EXAMPLE = """\
kind: model
name: m
targets:
  - {name: fast, provider: p, model: "m\\u00e9", context_window: 8K, price: {input: 0.1, output: 2}}
route: {alloy: [fast, {alias: other, weight: 2}]}
"""


def read_or_refused(data: bytes, file: str) -> None:
    try:
        decode(data, file)
    except ContractErrors as refused:
        for error in refused.errors:
            assert error.message
            assert error.place is not None
            assert error.place.file == file


@pytest.mark.parametrize("file", list(WRITERS))
@given(data=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_break_the_reader(file: str, data: bytes) -> None:
    read_or_refused(data, file)


@given(
    cut=st.integers(0, len(EXAMPLE)),
    drop=st.integers(0, 9),
    put=st.text(st.sampled_from("{}[]:,-?&*!|>'\"%@`#\n\t \\axK0.1~<="), max_size=4),
)
def test_no_slip_of_the_pen_breaks_the_reader(cut: int, drop: int, put: str) -> None:
    read_or_refused((EXAMPLE[:cut] + put + EXAMPLE[cut + drop :]).encode(), "x.yaml")


@pytest.mark.parametrize("file", list(WRITERS))
@given(table=tables, seed=st.integers(0, 2**32), kind=st.sampled_from(("model", "provider", "tool")))
def test_no_document_of_the_wrong_shape_breaks_the_decoder(
    file: str, table: dict[str, Any], seed: int, kind: str
) -> None:
    luck = random.Random(seed)
    keys = ["name", "targets", "route", "headers", "transforms", "credential", "scripts", "base_url", "timeouts"]
    keys += ["effect", "reversal", "implements", "steps", "parameters", "scope", "inputs", "retry", "cache", "degrade"]
    shaped = {luck.choice(keys): value for value in table.values()} | {"kind": kind}

    read_or_refused(WRITERS[file](shaped, luck).encode(), file)


@given(
    cut=st.integers(0, len(EXAMPLE)),
    drop=st.integers(0, 9),
    put=st.text(st.sampled_from("{}[]:,-|>'\"# \naxK0.1"), max_size=4),
)
def test_what_both_yaml_parsers_read_they_read_alike(cut: int, drop: int, put: str) -> None:
    text = EXAMPLE[:cut] + put + EXAMPLE[cut + drop :]
    try:
        fast, slow = yaml_syntax.read_fast(text, "x", 48), yaml_syntax.read_slow(text, "x", 48)
    except (MarkedYAMLError, ContractErrors):
        return

    assert [values(tree) for tree in fast] == [values(tree) for tree in slow]
    assert [[one.at for one in scalars(tree) if one.value] for tree in fast] == [
        [one.at for one in scalars(tree) if one.value] for tree in slow
    ]
