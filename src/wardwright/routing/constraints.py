"""Which targets an allow-list admits: a set algebra that fails closed.

A *pattern* names targets; a *constraint* is a set of patterns and admits what any of them names; several constraints
admit what **all** of them admit, decided target by target and never by comparing patterns: `local` and `local/qwen`
leave `local/qwen`. An empty constraint admits nothing, and a pattern that names nothing admits nothing.

| Pattern | Names a target when |
|---|---|
| `word` | `word` matches its name in the contract, its provider, or one of its labels |
| `word/*` | `word` matches its provider or one of its labels |
| `word/model` | `word` matches its provider and `model` what the provider calls it |

`*` is that of `kernel.globs`. The first slash divides: `hub/org/model` is `org/model` at `hub`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from wardwright.contracts.model import Target
from wardwright.kernel.globs import matches

EVERYTHING: Final = "*"


def names(pattern: str, target: Target) -> bool:
    """Whether a pattern names a target, by the table above.

    >>> qwen = Target(name="fast", provider="box", model="qwen-3", context_window=8192, labels=("local",))
    >>> [p for p in ("fast", "box", "local", "local/*", "box/qwen*", "local/qwen*", "fast/*") if names(p, qwen)]
    ['fast', 'box', 'local', 'local/*', 'box/qwen*']
    """
    word, slash, model = pattern.partition("/")
    if not slash:
        return matches(word, target.name) or _homes(word, target)
    if model == EVERYTHING:
        return _homes(word, target)
    return matches(word, target.provider) and matches(model, target.model)


def admits(constraint: Iterable[str], target: Target) -> bool:
    """Whether one constraint admits a target."""
    return any(names(pattern, target) for pattern in constraint)


def excluded_by(constraints: Sequence[Sequence[str]], target: Target) -> Sequence[str] | None:
    """The first constraint that does not admit the target; None if all do."""
    for constraint in constraints:
        if not admits(constraint, target):
            return constraint
    return None


def _homes(word: str, target: Target) -> bool:
    return matches(word, target.provider) or any(matches(word, label) for label in target.labels)
