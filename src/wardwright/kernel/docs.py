"""What the members of a class mean: the text after each of them in the source.

Python keeps no other trace of these texts, so the source must be there to read.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType


@cache
def members_of(cls: type) -> Mapping[str, str]:
    """The text of each member that has one, in the order of the class, lines joined.

    >>> from wardwright.kernel.errors import Place
    >>> members_of(Place)["line"]
    '1-based.'
    """
    module = inspect.getmodule(cls)
    assert module is not None
    return MappingProxyType(_classes(inspect.getsource(module)).get(cls.__qualname__, {}))


def sentence_of(cls: type) -> str:
    """The docstring of a class, lines joined."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split())


@cache
def _classes(source: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        docs = found.setdefault(node.name, {})
        for member, after in zip(node.body, node.body[1:], strict=False):
            match member, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as doc)):
                    docs[name] = " ".join(inspect.cleandoc(doc).split())
                case _:
                    continue
    return found
