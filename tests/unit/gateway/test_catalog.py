"""What a gateway will not serve."""

from __future__ import annotations

import pytest

from wardwright.calls.governance import Governance, govern
from wardwright.contracts.budget import Budget, Within
from wardwright.contracts.decode import Located
from wardwright.contracts.model import ModelContract, Target, TargetRef
from wardwright.contracts.policy import PolicyContract
from wardwright.gateway.catalog import compile_version
from wardwright.kernel.errors import WardwrightError


def no_tokenizer(path: str) -> object:
    raise AssertionError(f"nobody asked for {path}")


def nothing(names: tuple[str, ...]) -> Governance | None:
    raise WardwrightError("contract_reference", f"no policy is named `{names[0]}`")


def test_a_model_whose_policies_cannot_be_had_does_not_serve() -> None:
    target = Target(name="a", provider="far", model="x", context_window=8192)
    contract = ModelContract(name="m", targets=(target,), route=TargetRef(target="a"), policies=("guard",))

    with pytest.raises(WardwrightError, match="guard"):
        compile_version(
            contract,
            closure="c",
            digest="d",
            govern=nothing,
            models={"m": contract},
            upstreams={},
            load_tokenizer=no_tokenizer,  # type: ignore[arg-type]
        )


def test_a_stored_model_without_prices_does_not_serve_under_a_budget_of_money() -> None:
    target = Target(name="a", provider="far", model="x", context_window=8192)
    contract = ModelContract(name="m", targets=(target,), route=TargetRef(target="a"), policies=("spending",))
    budget = Budget(name="money", of="cost_usd", limit="25", per="tenant", within=Within(age_s=60), why="w")
    policy = Located(PolicyContract(name="spending", rules=(), budgets=(budget,)), "spending.yaml")

    with pytest.raises(WardwrightError) as caught:
        compile_version(
            contract,
            closure="c",
            digest="d",
            govern=lambda names: govern([policy]),
            models={"m": contract},
            upstreams={},
            load_tokenizer=no_tokenizer,  # type: ignore[arg-type]
        )
    assert caught.value.code == "policy_unenforceable"
