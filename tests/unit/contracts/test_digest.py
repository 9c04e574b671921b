"""One contract, one digest."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.contracts.decode import decode
from wardwright.contracts.digest import aliases, canonical, closure, digest, reach, restored
from wardwright.contracts.model import Alias, ModelContract, Target, TargetRef, Tokens
from wardwright.contracts.provider import Provider
from wardwright.kernel import canonical as canonical_json

TARGET = Target(name="t", provider="p", model="x", context_window=8192)
BASE = ModelContract(name="base", targets=(TARGET,), route=TargetRef(target="t"))
OUTER = ModelContract(name="outer", targets=(), route=Alias(model="base"))
PROVIDER = Provider(name="p", base_url="http://127.0.0.1:8000/v1", credential="env:KEY")


def test_the_digest_of_a_contract_does_not_change_between_releases() -> None:
    assert canonical(BASE) == (
        b'{"format":1,"kind":"model","name":"base","route":{"node":"target","target":"t"},'
        b'"targets":[{"context_window":8192,"model":"x","name":"t","provider":"p"}]}'
    )
    assert digest(BASE) == "sha256:ec8dedade122ed62ce54323e9dd5a760e584bd9e69a33f7ffc2c431b48b76219"


def test_defaults_that_were_computed_leave_no_trace() -> None:
    margin, deadline = "".join(["1", ".1"]), int("6" + "00")
    spelled = msgspec.structs.replace(
        BASE,
        targets=(msgspec.structs.replace(TARGET, tokens=Tokens(margin=margin), capacity_fraction=str(1)),),
        deadline_s=deadline,
    )

    assert spelled == BASE
    assert digest(spelled) == digest(BASE)


def test_a_list_that_is_empty_is_not_a_list_that_is_unset() -> None:
    nothing = msgspec.structs.replace(BASE, targets=(msgspec.structs.replace(TARGET, capabilities=()),))

    assert digest(nothing) != digest(BASE)


@pytest.mark.parametrize("contract", [BASE, OUTER, PROVIDER])
def test_canonical_bytes_are_restored_and_decoded_to_the_same_value(contract: ModelContract | Provider) -> None:
    data = canonical(contract)
    canonical_json.require(msgspec.json.decode(data))

    assert restored(data) == contract
    assert decode(data, "stored.json")[0].value == contract


def test_a_closure_names_every_contract_and_provider_that_takes_part() -> None:
    other = msgspec.structs.replace(BASE, name="other")
    models = {"base": BASE, "outer": OUTER, "other": other}
    providers = {"p": PROVIDER, "q": msgspec.structs.replace(PROVIDER, name="q")}

    value = closure("outer", models, providers, "0.1.0")

    assert value.build == "0.1.0"
    assert value.models == (("base", digest(BASE)), ("outer", digest(OUTER)))
    assert value.providers == (("p", digest(PROVIDER)),)


def test_a_closure_changes_with_all_that_is_in_it_and_nothing_else() -> None:
    models, providers = {"base": BASE, "outer": OUTER}, {"p": PROVIDER}
    before = closure("outer", models, providers, "1")
    changed_base = {**models, "base": msgspec.structs.replace(BASE, deadline_s=5)}
    changed_provider = {"p": msgspec.structs.replace(PROVIDER, credential="env:OTHER")}
    unrelated = {**models, "unrelated": msgspec.structs.replace(BASE, name="unrelated")}

    assert closure("outer", changed_base, providers, "1") != before
    assert closure("outer", models, changed_provider, "1") != before
    assert closure("outer", models, providers, "2") != before
    assert closure("outer", unrelated, providers, "1") == before


def test_reach_ends_on_a_cycle() -> None:
    models = {
        "a": msgspec.structs.replace(OUTER, name="a", route=Alias(model="b")),
        "b": msgspec.structs.replace(OUTER, name="b", route=Alias(model="a")),
    }

    assert reach("a", models) == {"a", "b"}
    assert [alias.model for alias in aliases(models["a"].route)] == ["b"]
