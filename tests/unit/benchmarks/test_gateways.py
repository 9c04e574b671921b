"""What the rig writes for a gateway is what that gateway reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.behaviour import HOLD_TEXT
from benchmarks.gateways import Site, nginx_configuration, wardwright_documents
from benchmarks.loads import MODELS
from benchmarks.peers import LITELLM_REFUSED, LITELLM_VERSION, tensorzero_configuration
from wardwright.calls.governance import govern
from wardwright.contracts.decode import decode
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.provider import Provider
from wardwright.kernel.events import TextDelta
from wardwright.streams.governor import Governor

SITE = Site(directory=Path("site"), port=18_001, upstream_port=18_002, models=MODELS, spare_contracts=200)


def test_nginx_is_a_plain_proxy_that_does_not_buffer() -> None:
    text = nginx_configuration(SITE, "nobody")
    assert "listen 127.0.0.1:18001" in text
    assert "server 127.0.0.1:18002" in text
    assert "proxy_buffering off;" in text
    assert "worker_processes 1;" in text


def test_nginx_names_its_user_only_for_root() -> None:
    assert "user " not in nginx_configuration(SITE, "someone")
    assert nginx_configuration(SITE, "root").startswith("user root;\n")


def test_every_document_for_this_gateway_is_a_valid_contract() -> None:
    values = [decode(data, name)[0].value for name, data in wardwright_documents(SITE).items()]
    contracts = {value.name: value for value in values if isinstance(value, ModelContract)}
    assert set(MODELS) <= set(contracts)
    assert len(contracts) == len(MODELS) + 200
    assert [value.base_url for value in values if isinstance(value, Provider)] == ["http://127.0.0.1:18002/v1"]


def test_the_governed_gateway_has_every_rule_over_every_model_that_is_called() -> None:
    documents = wardwright_documents(SITE, governed=True)
    located = [one for name, data in documents.items() for one in decode(data, name)]
    policies = [one for one in located if isinstance(one.value, PolicyContract)]
    governance = govern(policies)
    assert governance is not None
    assert governance.stream is not None
    assert (len(governance.stream.rules), len(governance.policy.of("request"))) == (51, 100)
    names = {one.value.name for one in policies}
    for one in located:
        if isinstance(one.value, ModelContract):
            assert set(one.value.policies) == (names if one.value.name in MODELS else set())


def test_what_an_open_stream_says_ends_in_what_a_rule_waits_for() -> None:
    located = [one for name, data in wardwright_documents(SITE, governed=True).items() for one in decode(data, name)]
    governance = govern([one for one in located if isinstance(one.value, PolicyContract)])
    assert governance is not None
    assert governance.stream is not None
    governor = Governor(governance.stream)
    governor.take([TextDelta(0, HOLD_TEXT)], 0)
    assert governor.held_chars == 2
    assert governor.tick(60_000_000_000) == []


def test_each_served_model_asks_the_upstream_for_the_model_of_its_name() -> None:
    for name in MODELS:
        value = decode(wardwright_documents(SITE)[f"{name}.json"], f"{name}.json")[0].value
        assert isinstance(value, ModelContract)
        assert {target.model for target in value.targets} == {name}


def test_the_peers_configuration_is_toml_with_every_model() -> None:
    read = tomllib.loads(tensorzero_configuration(SITE))
    assert set(read["models"]) == set(MODELS)
    assert read["models"]["json"]["providers"]["bench"]["api_base"] == "http://127.0.0.1:18002/v1/"


def test_the_releases_with_malware_are_never_asked_for() -> None:
    assert LITELLM_VERSION not in LITELLM_REFUSED
    assert {"1.82.7", "1.82.8"} <= LITELLM_REFUSED


def test_no_file_of_the_rig_names_a_registry() -> None:
    folder = Path(peers.__file__).parent
    text = "\n".join(path.read_text() for path in folder.glob("*.py"))
    assert not [host for host in ("pypi" + ".org", "npmjs" + ".org", "pythonhosted" + ".org") if host in text]


@pytest.mark.parametrize("model", MODELS)
def test_a_document_keeps_the_name_of_its_model(model: str) -> None:
    assert decode(wardwright_documents(SITE)[f"{model}.json"], "x.json")[0].value.name == model
