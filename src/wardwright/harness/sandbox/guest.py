"""What a sandboxed Python child runs: one function, called once. Stands alone: the standard library only.

Told on stdin as JSON: `{target, paths, arguments}`. What the function prints goes to stderr; stdout carries one JSON
object alone: `{"result": …}`, or `{"failed": …, "why": …}` with one of `load`, `arguments`, `raised`, `result`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
from typing import Any, Final

WHY_CHARS_MAX: Final = 500


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that the function prints can pass for its result
    told = json.load(sys.stdin)
    out.write(json.dumps(answered(told)).encode())
    out.close()


def answered(told: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one call."""
    sys.path[:0] = told["paths"]
    module, _, name = told["target"].partition(":")
    try:
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
    except BaseException as error:
        return _failed("load", error)
    try:
        bound = inspect.signature(function).bind(**told["arguments"])
    except (TypeError, ValueError) as error:
        return _failed("arguments", error)
    try:
        result = function(*bound.args, **bound.kwargs)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
    except BaseException as error:  # also what would end the process: the answer says so
        return _failed("raised", error)
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return _failed("result", error)
    return {"result": result}


async def _awaited(result: Any) -> Any:
    return await result


def _failed(kind: str, error: BaseException) -> dict[str, Any]:
    return {"failed": kind, "why": f"{type(error).__name__}: {error}"[:WHY_CHARS_MAX]}


if __name__ == "__main__":
    main()
