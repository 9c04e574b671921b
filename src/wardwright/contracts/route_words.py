"""A route in words: one line for lists, differences and explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from wardwright.contracts.model import Alias, Alloy, Cascade, Dispatcher, Guard, Node, TargetRef, When


def described(node: Node) -> str:
    """A route in one line.

    >>> described(Cascade(members=(TargetRef(target="a"), Alias(model="base"))))
    'cascade(a, alias base)'
    """
    match node:
        case TargetRef():
            return node.target
        case Alias():
            return f"alias {node.model}"
        case Dispatcher():
            return f"dispatcher({_list(node.members)})"
        case Cascade():
            return f"cascade({_list(node.members)}{', by what was learned' if node.order == 'learned' else ''})"
        case Alloy():
            heavy = any(member.weight != 1 for member in node.members)
            voices = (f"{described(one.node)}{f' ×{one.weight}' if heavy else ''}" for one in node.members)
            return f"alloy({', '.join(voices)})"
        case Guard():
            other = "" if node.otherwise is None else f", otherwise {described(node.otherwise)}"
            return f"guard({condition(node.when)}: {described(node.then)}{other})"
        case _:
            assert_never(node)


def _list(nodes: Sequence[Node]) -> str:
    return ", ".join(described(node) for node in nodes)


def condition(when: When) -> str:
    """
    >>> condition(When(region=("eu",), input_tokens_min=1000))
    'input_tokens_min 1000 and region eu'
    """
    asked = []
    for field in msgspec.structs.fields(When):
        value = getattr(when, field.name)
        if value != field.default:
            asked.append(f"{field.name} {' or '.join(value) if isinstance(value, tuple) else value}")
    return " and ".join(asked)
