"""The docstrings of attributes, read from source: Python keeps no other trace of them.

So the source of the modules that hold the types must be installed.
"""

from __future__ import annotations

import ast
import inspect


def docs_in(source: str) -> dict[str, dict[str, str]]:
    """The string after each annotated member of each class, by the names of both, each as one line.

    >>> docs_in("class A:\\n    b: int\\n    'How many.'")
    {'A': {'b': 'How many.'}}
    """
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        docs = found.setdefault(node.name, {})
        for member, after in zip(node.body, node.body[1:], strict=False):
            match member, after:
                case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as doc))):
                    docs[name] = sentence(doc)
                case _:
                    continue
    return found


def sentence(doc: str | None) -> str:
    """A docstring as one line."""
    return inspect.cleandoc(doc or "").replace("\n", " ")
