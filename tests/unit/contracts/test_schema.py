"""The schemas that editors read: what decodes validates, and the usual slips do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from wardwright.contracts.decode import KINDS
from wardwright.contracts.model import ModelContract, Target
from wardwright.contracts.schema import DIALECT, schema
from wardwright.runtime.settings import FILES

EXAMPLES = Path(__file__).parents[3] / "examples"


def documents() -> list[dict[str, Any]]:
    """The examples as an editor reads them: plain values, floats and all."""
    import tomllib

    found: list[dict[str, Any]] = []
    for file in sorted(file for file in EXAMPLES.rglob("*") if file.name not in FILES):
        match file.suffix:
            case ".yaml":
                found.extend(YAML(typ="safe", pure=True).load_all(file.read_text()))
            case ".toml":
                found.append(tomllib.loads(file.read_text()))
            case ".json":
                found.append(json.loads(file.read_text()))
            case _:
                continue
    return found


def validator(kind: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema(kind))


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_schema_is_itself_valid(kind: str) -> None:
    made = schema(kind)

    assert made["$schema"] == DIALECT
    assert jsonschema_rs.meta.is_valid(made)


def test_every_example_validates() -> None:
    found = documents()
    assert {document["kind"] for document in found} == set(KINDS)

    for document in found:
        assert list(validator(document["kind"]).iter_errors(document)) == []


TARGET = {"name": "a", "provider": "p", "model": "x", "context_window": "8K"}


@pytest.mark.parametrize(
    "route",
    [
        "a",
        {"target": "a"},
        {"alias": "other"},
        {"cascade": ["a", {"dispatcher": {"members": ["a"]}}]},
        {"alloy": ["a", {"target": "a", "weight": 2}, {"node": {"alias": "b"}, "weight": 3}]},
        {"alloy": {"members": ["a", "a"], "strategy": "sequence", "sequence": [0, 1], "per": "turn"}},
        {"guard": {"when": {"tags": ["x"], "cost_usd_max": 0.5}, "then": "a", "otherwise": None, "why": "so"}},
    ],
)
def test_every_spelling_of_a_route_validates(route: object) -> None:
    assert validator("model").is_valid({"kind": "model", "name": "m", "targets": [TARGET], "route": route})


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "modle"},
        {"name": "M/x"},
        {"targts": []},
        {"route": {"cascde": ["a"]}},
        {"route": {"cascade": ["a"], "alloy": ["a"]}},
        {"route": {"cascade": []}},
        {"route": {"alloy": {"members": ["a", "b"], "strategy": "random"}}},
        {"route": {"alloy": [{"target": "a", "weight": 0}]}},
        {"targets": [{**TARGET, "context_window": "8k"}]},
        {"targets": [{**TARGET, "context_window": 0}]},
        {"targets": [{**TARGET, "capabilities": ["tool"]}]},
        {"targets": [{**TARGET, "labels": ["x", "x"]}]},
        {"targets": [{**TARGET, "price": {"input": -1, "output": 1}}]},
        {"targets": [{"name": "a"}]},
        {"deadline_s": 0},
    ],
)
def test_the_usual_slips_do_not_validate(change: dict[str, object]) -> None:
    good = {"kind": "model", "name": "m", "targets": [TARGET], "route": "a"}

    assert validator("model").is_valid(good)
    assert not validator("model").is_valid({**good, **change})


def test_a_model_needs_targets_or_a_route() -> None:
    assert validator("model").is_valid({"kind": "model", "name": "m", "route": {"alias": "b"}})
    assert validator("model").is_valid({"kind": "model", "name": "m", "targets": [TARGET]})
    assert not validator("model").is_valid({"kind": "model", "name": "m"})


@pytest.mark.parametrize(
    "change", [{"credential": "hunter2"}, {"base_url": "http://user:pw@h"}, {"timeouts": {"connect_ms": 1}}]
)
def test_provider_slips_do_not_validate(change: dict[str, object]) -> None:
    good = {"kind": "provider", "name": "p", "base_url": "http://h/v1", "credential": "env:KEY", "headers": {"a": "b"}}

    assert validator("provider").is_valid(good)
    assert not validator("provider").is_valid({**good, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"effect": "write"},
        {"implements": None, "steps": None},
        {"scope": {"reads": []}},
        {"retry": {"attempts_max": 0}},
        {"steps": [{"tool": "a", "arguments": {"b": 0.5}}]},
        {"parameters": [{"name": "A", "type": "text"}]},
    ],
)
def test_tool_slips_do_not_validate(change: dict[str, object]) -> None:
    good = {"kind": "tool", "name": "git.status", "effect": "read", "implements": "git.status", "cache": {"ttl_s": 5}}

    assert validator("tool").is_valid(good)
    assert not validator("tool").is_valid({**good, **change})


def test_descriptions_are_the_words_of_the_types() -> None:
    made = schema("model")
    target = made["$defs"]["Target"]

    assert ModelContract.__doc__ is not None
    assert Target.__doc__ is not None
    assert made["description"] == ModelContract.__doc__
    assert target["description"] == Target.__doc__
    assert target["properties"]["capacity_fraction"]["description"] == "The share of the window that routing may fill."
    assert target["properties"]["capacity_fraction"]["default"] == "1"
