"""Policies with parts of them gone, moved or turned into something else: refused with a place, or meant throughout."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from wardwright.calls.phases import PHASES
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.digest import canonical
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.refusal import ContractErrors
from wardwright.policy import graph
from wardwright.policy.check import check
from wardwright.policy.compiled import Policy
from wardwright.policy.explain import explained
from wardwright.policy.loading import load

ROOT: Final = Path(__file__).parents[2]
FILES: Final = [*sorted((ROOT / "examples/policies").glob("*.yaml")), ROOT / "tests/golden/policies/every-word.yaml"]
WRITTEN: Final = [YAML(typ="safe", pure=True).load(file.read_text()) for file in FILES]
CANONICAL: Final = [json.loads(canonical(decode(json.dumps(one).encode(), "p.json")[0].value)) for one in WRITTEN]
JUNK: Final[tuple[Any, ...]] = (
    None, 1, -1, 0.5, True, "", "x", "$x", "text.all", "(a+)+", "[", "\\", 10**20, [], {}, ["x"], [["x", 1]], {"x": 1},
    {"all": []}, {"name": "x"},
)  # fmt: skip


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container of a document and a key or index in it."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    return [(tree, key) for key in keys] + [place for key in keys for place in places(tree[key])]


def altered(luck: Random) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(luck.choice(WRITTEN + CANONICAL))
    words = sorted({key for _, key in places(document) if isinstance(key, str)})
    for _ in range(luck.randint(1, 3)):
        holder, key = luck.choice(places(document))
        match luck.randrange(4):
            case 0:
                holder[key] = copy.deepcopy(luck.choice(JUNK))
            case 1:
                del holder[key]
            case 2 if isinstance(holder, dict):
                holder[luck.choice(words)] = holder.pop(key)
            case _:
                other, at = luck.choice(places(document))
                holder[key] = copy.deepcopy(other[at])
        if not places(document):
            break
    return document


def loaded(document: dict[str, Any]) -> Policy | ContractErrors:
    try:
        (found,) = decode(json.dumps(document).encode(), "p.json")
        assert isinstance(found.value, PolicyContract)
        assert decode(canonical(found.value), "p.json")[0].value == found.value
        return load([Located(found.value, found.file, found.places)], PHASES)
    except ContractErrors as refused:
        return refused


@settings(max_examples=400)
@given(st.integers(0, 2**32))
def test_an_altered_policy_is_refused_with_a_place_or_means_something(seed: int) -> None:
    document = altered(Random(seed))
    policy = loaded(document) if document.get("kind") == "policy" else None
    match policy:
        case ContractErrors(errors=errors):
            assert all(error.place is not None and error.place.line is not None for error in errors)
        case Policy():
            assert len(explained(policy)) == len(list(policy.every()))
            named = {name for finding in check(policy) for name in finding.rules}
            assert named <= {rule.name for rule in policy.every()}
            assert graph.svg(policy).startswith("<svg ")
        case None:
            return
