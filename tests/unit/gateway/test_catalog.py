"""What a gateway will not serve."""

from __future__ import annotations

import pytest

from wardwright.contracts.model import ModelContract, Target, TargetRef
from wardwright.gateway.catalog import compile_version
from wardwright.kernel.errors import WardwrightError


def no_tokenizer(path: str) -> object:
    raise AssertionError(f"nobody asked for {path}")


def test_a_model_whose_policies_would_not_be_enforced_does_not_serve() -> None:
    target = Target(name="a", provider="far", model="x", context_window=8192)
    contract = ModelContract(name="m", targets=(target,), route=TargetRef(target="a"), policies=("guard",))

    with pytest.raises(WardwrightError) as caught:
        compile_version(
            contract,
            closure="c",
            digest="d",
            models={"m": contract},
            upstreams={},
            load_tokenizer=no_tokenizer,  # type: ignore[arg-type]
        )
    assert caught.value.code == "policy_unenforceable"
