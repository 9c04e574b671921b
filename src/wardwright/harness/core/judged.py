"""What tool documents say, judged by the functions that there are.

Rule 1: a document may narrow a function and give it another name; it never calls its effect lighter than it is. Of a
function whose effect is only assumed it says what that is.
Rule 2: a tool of steps is at least as grave as the gravest of its steps.
Rule 3: every name is followed: functions, tools, arguments, holes of the scope, members of results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from wardwright.contracts import template
from wardwright.contracts.decode import Located
from wardwright.contracts.refusal import did_you_mean, in_order
from wardwright.contracts.tool import Step, ToolContract, ToolScope, graver
from wardwright.contracts.tool_check import check_tools
from wardwright.harness.core.steps import arguments_type
from wardwright.harness.core.tool import AnyTool, Tools
from wardwright.kernel.errors import WardwrightError


def judged(documents: Mapping[str, Located[ToolContract]], functions: Tools) -> tuple[WardwrightError, ...]:
    """Everything that is wrong with the documents, given the functions that there are; in the order of the files."""
    judge = _Judge({name: one.value for name, one in documents.items()}, functions)
    found = [error for one in documents.values() for error in judge.errors(one)]
    return tuple(in_order([*check_tools(documents), *found]))


class _Judge:
    def __init__(self, documents: Mapping[str, ToolContract], functions: Tools) -> None:
        self._documents = documents
        self._functions = functions

    def errors(self, one: Located[ToolContract]) -> Iterator[WardwrightError]:
        contract = one.value
        if contract.implements is not None:
            yield from self._function(one, contract.implements)
        for index, step in enumerate(contract.steps):
            yield from self._step(one, step, f"steps[{index}]")
        if contract.degrade is not None:
            yield from self._degrade(one, contract.degrade)

    def _function(self, one: Located[ToolContract], name: str) -> Iterator[WardwrightError]:
        if name not in self._functions:
            yield _unknown(one, "implements", f"no function is named `{name}`", name, self._functions.names)
            return
        function = self._functions.get(name)
        lighter = graver(one.value.effect, function.contract.effect) != one.value.effect
        if lighter and not function.assumed:
            message = f"`{name}` has the effect `{function.contract.effect}`; a contract cannot call it lighter"
            yield WardwrightError(
                "contract_invalid", message, place=one.place("effect"), hint="write that, or a graver one"
            )
        known = [field.name for field in msgspec.structs.fields(function.arguments)]
        for argument in one.value.inputs:
            if argument not in known:
                yield _unknown(one, "inputs", f"`{name}` has no argument `{argument}`", argument, known)
        for path, hole in _holes(one.value.scope):
            if hole not in known:
                yield _unknown(one, path, f"`{name}` has no argument `{hole}`", hole, known)

    def _step(self, one: Located[ToolContract], step: Step, path: str) -> Iterator[WardwrightError]:
        contract = self._contract(step.tool)
        if contract is None:
            yield _unknown(one, f"{path}.tool", f"no tool is named `{step.tool}`", step.tool, self._names())
            return
        if graver(one.value.effect, contract.effect) != one.value.effect:
            message = f"the step `{step.tool}` has the effect `{contract.effect}`, which is graver than the whole"
            hint = f"write `effect: {contract.effect}`"
            yield WardwrightError("contract_invalid", message, place=one.place(f"{path}.tool"), hint=hint)
        cls = self._arguments(contract)
        if cls is None:
            return
        fields = {field.name: field for field in msgspec.structs.fields(cls)}
        for name, given in step.arguments:
            place = f"{path}.arguments.{name}"
            if name not in fields:
                yield _unknown(one, place, f"`{step.tool}` has no argument `{name}`", name, fields)
            elif not (isinstance(given, str | tuple) and _templated(given)):
                yield from _misfit(one, place, given, fields[name].type, f"`{name}` of `{step.tool}`")
        for name, field in fields.items():
            if field.required and name not in dict(step.arguments):
                message = f"the step `{step.tool}` needs the argument `{name}`"
                yield WardwrightError("contract_invalid", message, place=one.place(path), hint=f"add `{name}: …`")
        yield from self._expected(one, step, contract, path)

    def _expected(
        self, one: Located[ToolContract], step: Step, contract: ToolContract, path: str
    ) -> Iterator[WardwrightError]:
        if contract.implements is None or contract.implements not in self._functions:
            return
        result = self._functions.get(contract.implements).result
        fields = {field.name: field for field in msgspec.structs.fields(result)}
        for name, wanted in step.expect:
            place = f"{path}.expect.{name}"
            if name not in fields:
                yield _unknown(one, place, f"the result of `{step.tool}` has no `{name}`", name, fields)
            else:
                yield from _misfit(one, place, wanted, fields[name].type, f"`{name}` of the result of `{step.tool}`")

    def _degrade(self, one: Located[ToolContract], name: str) -> Iterator[WardwrightError]:
        contract = self._contract(name)
        if contract is None:
            yield _unknown(one, "degrade", f"no tool is named `{name}`", name, self._names())
            return
        if graver(one.value.effect, contract.effect) != one.value.effect:
            message = f"`{name}` has the effect `{contract.effect}`, which is graver than what it stands in for"
            yield WardwrightError("contract_invalid", message, place=one.place("degrade"))
        ours, theirs = self._arguments(one.value), self._arguments(contract)
        if ours is None or theirs is None:
            return
        given = {field.name for field in msgspec.structs.fields(ours)}
        taken = {field.name for field in msgspec.structs.fields(theirs)}
        needed = {field.name for field in msgspec.structs.fields(theirs) if field.required}
        for argument in sorted((given - taken) | (needed - given)):
            message = f"`{name}` does not take the same arguments: `{argument}` stands in one of them alone"
            yield WardwrightError("contract_reference", message, place=one.place("degrade"))

    def _contract(self, name: str) -> ToolContract | None:
        """A document serves in the place of the built-in tool of its name."""
        if name in self._documents:
            return self._documents[name]
        return self._functions.get(name).contract if name in self._functions else None

    def _arguments(self, contract: ToolContract) -> type[msgspec.Struct] | None:
        if contract.implements is None:
            return arguments_type(contract)
        function: AnyTool | None = (
            self._functions.get(contract.implements) if contract.implements in self._functions else None
        )
        return None if function is None else function.arguments

    def _names(self) -> list[str]:
        return sorted({*self._documents, *self._functions.names})


def _unknown(one: Located[ToolContract], path: str, message: str, word: str, known: Iterable[str]) -> WardwrightError:
    hint = did_you_mean(word, list(known))
    return WardwrightError("contract_reference", message, place=one.place(path), hint=hint)


def _misfit(
    one: Located[ToolContract], path: str, value: object, type_: object, what: str
) -> Iterator[WardwrightError]:
    try:
        msgspec.convert(list(value) if isinstance(value, tuple) else value, type_, strict=True)
    except msgspec.ValidationError as refused:
        message = f"{what} would be refused: {str(refused)[0].lower()}{str(refused)[1:]}"
        yield WardwrightError("contract_invalid", message, place=one.place(path))


def _templated(value: str | tuple[str, ...]) -> bool:
    return any(template.holes(text) for text in ((value,) if isinstance(value, str) else value))


def _holes(scope: ToolScope) -> Iterator[tuple[str, str]]:
    for member in ("read", "write", "hosts"):
        for entry in getattr(scope, member):
            for hole in template.holes(entry):
                yield f"scope.{member}", hole
