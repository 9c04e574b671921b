"""Models between installations."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from wardwright.contracts.decode import decode
from wardwright.contracts.digest import digest
from wardwright.contracts.model import Alias, Cascade, ModelContract, Target, TargetRef
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.transfer import BUNDLE_FORMAT, Role, export, mapped, read_bundle
from wardwright.kernel.errors import WardwrightError

BASE = ModelContract(
    name="base",
    targets=(
        Target(name="s", provider="small-box", model="qwen", context_window=8192, capabilities=("tools",)),
        Target(name="l", provider="cloud", model="big", context_window=131072, capabilities=("tools", "vision")),
        Target(name="x", provider="cloud", model="mid", context_window=32768),
    ),
    route=Cascade(members=(TargetRef(target="s"), TargetRef(target="l"), TargetRef(target="x"))),
    version="2.1",
)
OUTER = ModelContract(name="outer", targets=(), route=Alias(model="base"), version="7")
MODELS = {"base": BASE, "outer": OUTER, "unrelated": msgspec.structs.replace(BASE, name="unrelated")}


def changed(bundle: bytes, change: dict[str, Any]) -> bytes:
    document = json.loads(bundle)
    for path, value in change.items():
        holder = document
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in way:
            holder = holder[step]
        holder[last] = value
    return json.dumps(document).encode()


def refusal(bundle: bytes) -> WardwrightError:
    with pytest.raises(ContractErrors) as caught:
        read_bundle(bundle, "b.json")
    return caught.value.errors[0]


def test_a_bundle_comes_back_as_what_was_exported() -> None:
    read = read_bundle(export("outer", MODELS), "b.json")

    assert read.contracts == (OUTER, BASE)
    assert (read.manifest.name, read.manifest.label, read.manifest.digest) == ("outer", "7", digest(OUTER))


def test_a_bundle_says_what_each_role_must_be_able_to_do() -> None:
    assert read_bundle(export("outer", MODELS), "b.json").manifest.roles == (
        Role(capabilities=("tools", "vision"), context_window_min=131072, models=("big", "mid"), name="cloud"),
        Role(capabilities=("tools",), context_window_min=8192, models=("qwen",), name="small-box"),
    )


def test_exporting_twice_gives_the_same_bytes() -> None:
    assert export("outer", MODELS) == export("outer", dict(reversed(MODELS.items())))


def test_no_provider_document_leaves() -> None:
    assert set(json.loads(export("outer", MODELS))) == {"contracts", "manifest"}
    assert b"base_url" not in export("outer", MODELS)


@pytest.mark.parametrize(
    "text",
    ["see http://10.0.0.7:8000/wiki", "ask https://gpu-1.internal/", "at http://localhost/x", "host 192.168.1.4 knows",
     "see http://[::1]:80/", "see http://wiki/"],
)  # fmt: skip
def test_private_addresses_do_not_leave(text: str) -> None:
    models = {"base": msgspec.structs.replace(BASE, description=text)}

    with pytest.raises(WardwrightError) as caught:
        export("base", models)
    assert caught.value.code == "contract_secret"
    assert caught.value.place is not None
    assert caught.value.place.path == "description"
    assert text.split()[1] not in caught.value.message


def test_a_key_in_a_value_made_by_hand_does_not_leave() -> None:
    models = {"base": msgspec.structs.replace(BASE, description="sk-abcdefghijklmnop1234")}

    with pytest.raises(WardwrightError, match="looks like an API key"):
        export("base", models)


def test_public_addresses_and_version_numbers_may_stand_in_texts() -> None:
    models = {"base": msgspec.structs.replace(BASE, description="see https://docs.python.org/3.11/ and 1.2.3.4")}

    assert read_bundle(export("base", models), "b.json").contracts[0].description.startswith("see")


def test_an_unknown_model_is_not_exported() -> None:
    with pytest.raises(WardwrightError) as caught:
        export("otter", MODELS)
    assert (caught.value.code, caught.value.hint) == ("contract_not_found", "did you mean `outer`?")


def test_roles_that_no_local_provider_plays_are_told() -> None:
    read = read_bundle(export("outer", MODELS), "b.json")

    assert [role.name for role in read.unmapped({}, {})] == ["cloud", "small-box"]
    assert [role.name for role in read.unmapped({}, {"cloud": None})] == ["small-box"]
    assert read.unmapped({"small-box": "here"}, {"cloud": None, "here": None}) == ()
    assert [role.name for role in read.unmapped({"small-box": "gone"}, {"cloud": None})] == ["small-box"]


def test_mapping_puts_local_providers_into_the_roles() -> None:
    (_, base) = read_bundle(export("outer", MODELS), "b.json").contracts
    local = mapped(base, {"cloud": "here"})

    assert [target.provider for target in local.targets] == ["small-box", "here", "here"]
    assert digest(local) != digest(base)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contracts.0.deadline_s": 1}, "digest is not that of its contract"),
        ({"manifest.digest": "sha256:0"}, "digest is not that of its contract"),
        ({"manifest.format": BUNDLE_FORMAT + 1}, "of bundles is unknown"),
        ({"manifest.roles": []}, "roles are not those of its contracts"),
        ({"manifest.kind": "other"}, "the manifest cannot be read"),
        ({"contracts": []}, "digest is not that of its contract"),
        ({"contracts": {}}, "this is not a bundle"),
        ({"contracts.1": 3}, "are mappings"),
        ({"contracts.1.deadline_s": 0}, "a whole number from 1"),
        (
            {"contracts.1": {"kind": "provider", "name": "p", "base_url": "http://h"}},
            "provider documents do not travel",
        ),
        ({"contracts.1.description": "sk-abcdefghijklmnop1234"}, "looks like an API key"),
    ],
)
def test_a_bundle_from_a_stranger_is_judged(change: dict[str, Any], message: str) -> None:
    error = refusal(changed(export("outer", MODELS), change))

    assert message in error.message
    assert error.place is not None
    assert error.place.line is not None


def test_a_contract_is_not_a_bundle_and_a_bundle_is_not_a_contract() -> None:
    assert "this is not a bundle" in refusal(b'{"kind": "model"}').message
    with pytest.raises(ContractErrors):
        decode(export("outer", MODELS), "b.json")
