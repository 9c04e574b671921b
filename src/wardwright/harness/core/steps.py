"""A tool made of other tools: its parameters as a type, what each step is called with, what its result must be.

Pure: whoever runs the steps calls each tool as any other call, one after the other, and stops at the first that fails
or whose result is not what the step expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Final

import msgspec

from wardwright.contracts import template
from wardwright.contracts.tool import Parameter, Step, ToolContract, Value
from wardwright.kernel.errors import WardwrightError

_TYPES: Final[dict[str, type]] = {"text": str, "integer": int, "boolean": bool, "texts": tuple[str, ...]}


@cache
def arguments_type(contract: ToolContract) -> type[msgspec.Struct]:
    """The arguments of a tool of steps, as functions have theirs. None stands for what was left out."""
    needed = [(one.name, _told_of(one, _TYPES[one.type])) for one in contract.parameters if one.required]
    rest = [(one.name, *_optional(one)) for one in contract.parameters if not one.required]
    made = msgspec.defstruct("Arguments", [*needed, *rest], frozen=True, kw_only=True, forbid_unknown_fields=True)
    made.__doc__ = contract.doc
    return made


def _optional(parameter: Parameter) -> tuple[object, Value | None]:
    kind = _TYPES[parameter.type]
    return _told_of(parameter, kind if parameter.default is not None else kind | None), parameter.default


def _told_of(parameter: Parameter, kind: object) -> object:
    """The type of a parameter with its `doc`, which schemas and refusals repeat."""
    return Annotated[kind, msgspec.Meta(description=parameter.doc)] if parameter.doc else kind


def arguments_of(step: Step, arguments: msgspec.Struct) -> dict[str, Value]:
    """What a step is called with, given the arguments of the whole. What was left out there is left out here.

    >>> class Arguments(msgspec.Struct):
    ...     folder: str
    ...     count: int | None = None
    >>> step = Step(tool="x", arguments=(("path", "{folder}/a"), ("n", "{count}"), ("deep", True)))
    >>> arguments_of(step, Arguments("/srv", 3)), arguments_of(step, Arguments("/srv"))
    ({'path': '/srv/a', 'n': 3, 'deep': True}, {'path': '/srv/a', 'deep': True})
    """
    values: dict[str, Value | None] = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
    given = {name: _filled(value, values) for name, value in step.arguments}
    return {name: value for name, value in given.items() if value is not None}


def _filled(value: Value, values: Mapping[str, Value | None]) -> Value | None:
    match value:
        case str():
            alone = template.only_hole(value)
            return values[alone] if alone is not None else template.filled(value, _texts(values))
        case tuple():
            return tuple(template.filled(text, _texts(values)) for text in value)
        case _:
            return value


def _texts(values: Mapping[str, Value | None]) -> dict[str, str]:
    """Values as they stand within texts; `true` and `false` as documents write them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }


def require_expected(step: Step, result: Mapping[str, object]) -> None:
    """Raises `tool_failed` where the result of a step is not what it expects."""
    for name, wanted in step.expect:
        found = result.get(name)
        same = list(wanted) == found if isinstance(wanted, tuple) else type(found) is type(wanted) and found == wanted
        if not same:
            message = f"`{step.tool}` answered `{name}: {_told(found)}` where the step expects `{_told(wanted)}`"
            raise WardwrightError("tool_failed", message, hint=step.why or None)


def _told(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:59]}…"
