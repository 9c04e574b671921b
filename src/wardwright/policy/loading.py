"""Policies as they may serve: compiled, and deciding as their own examples say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wardwright.contracts.decode import Located
from wardwright.contracts.policy import ActionName, PolicyContract
from wardwright.contracts.refusal import ContractErrors
from wardwright.policy import examples
from wardwright.policy.compiler import Policy, compile_policies
from wardwright.policy.detectors import DETECTORS
from wardwright.policy.operators import Detector
from wardwright.policy.phases import Phase
from wardwright.policy.strata import MEASURES


def load(
    documents: Iterable[Located[PolicyContract]],
    phases: Sequence[Phase],
    *,
    enforceable: frozenset[tuple[str, ActionName]] | None = None,
    measures: frozenset[str] = MEASURES,
    detectors: Mapping[str, Detector] = DETECTORS,
    budgets: bool = True,
) -> Policy:
    """Compile policies and run their examples. Raises ContractErrors; the members are those of `compile_policies`."""
    policy = compile_policies(
        documents, phases, enforceable=enforceable, measures=measures, detectors=detectors, budgets=budgets
    )
    failed = [case.error() for case in examples.run(policy) if not case.passed]
    if failed:
        raise ContractErrors(failed)
    return policy
