"""A small world for rules: one phase of each kind, and policies written as text."""

from __future__ import annotations

import textwrap

from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.policy.compiled import Policy
from wardwright.policy.loading import load
from wardwright.policy.phases import Fact, Facts, Field, Phase, checked

ASK = Phase(
    name="ask",
    doc="A question.",
    fields=(
        Field("who", "text", "Who asks."),
        Field("tags", "texts", "Words about it."),
        Field("size", "integer", "How large it is."),
        Field("share", "decimal", "Part of the whole."),
        Field("urgent", "boolean", "It cannot wait."),
        Field("body", "text", "What is asked."),
        Field("metadata.*", "text", "Anything else."),
    ),
    actions=frozenset(
        {
            "allow", "annotate", "alert", "oblige", "transform", "inject_reminder", "restrict_routes", "switch_model",
            "block", "require_approval",
        }
    ),
)  # fmt: skip
ANSWER = Phase(
    name="answer",
    doc="What comes back.",
    fields=(Field("who", "text", "Who asked."),),
    actions=frozenset({"annotate", "rewrite", "drop", "retry_with_reminder", "retry", "block"}),
    channels=("text", "reasoning"),
)
PHASES = (ASK, ANSWER)


def document(text: str, name: str = "p") -> Located[PolicyContract]:
    """A policy from its members below `name`."""
    whole = f"kind: policy\nname: {name}\n{textwrap.dedent(text)}"
    (found,) = decode(whole.encode(), f"{name}.yaml")
    assert isinstance(found.value, PolicyContract)
    return Located(found.value, found.file, found.places)


def rule(when: str, then: str = "block", id_: str = "r", more: str = "") -> str:
    """A policy of one rule of the phase `ask`."""
    return f"rules:\n- id: {id_}\n  phase: ask\n  when: {when}\n  then: [{then}]\n  why: because\n  {more}\n"


def policy(*texts: str) -> Policy:
    return load([document(text, f"p{index}") for index, text in enumerate(texts)], PHASES)


def facts(**values: Fact) -> Facts:
    """Facts of the phase `ask`; what is not given is absent."""
    return checked(ASK, values, ASK.names())
