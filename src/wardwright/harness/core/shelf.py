"""The tools that serve: functions under the contracts that documents give them, and tools of steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from wardwright.contracts.digest import digest
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.steps import arguments_type
from wardwright.harness.core.tool import AnyTool, JsonSchema, Tools, schema, spelled
from wardwright.kernel.errors import WardwrightError


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One tool, as it may be called."""

    contract: ToolContract
    digest: str
    function: AnyTool | None
    """None: it is made of steps."""
    arguments: type[msgspec.Struct]

    @property
    def name(self) -> str:
        return self.contract.name

    @property
    def doc(self) -> str:
        """For whoever calls it."""
        return self.contract.doc if self.function is None else self.function.doc

    @property
    def arguments_schema(self) -> JsonSchema:
        if self.function is not None and self.function.foreign is not None:
            return self.function.foreign
        return schema(self.arguments)

    @property
    def result_schema(self) -> JsonSchema | None:
        """None for a tool of steps: its result is what each of them gave."""
        return None if self.function is None else schema(self.function.result)


class Shelf:
    """Every tool by its name."""

    def __init__(self, served: Iterable[Served]) -> None:
        """A later one takes the place of an earlier one of its name."""
        self._served = {one.name: one for one in served}
        self._spelled = {spelled(name): name for name in self._served}

    def __len__(self) -> int:
        return len(self._served)

    @property
    def names(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self._served))

    def find(self, name: str) -> Served | None:
        """The tool of a name such as `git.status`, or `git_status` where dots cannot be written."""
        return self._served.get(name) or self._served.get(self._spelled.get(name, ""))

    def get(self, name: str) -> Served:
        """Raises `tool_not_found`."""
        found = self.find(name)
        if found is None:
            raise WardwrightError(
                "tool_not_found", f"no tool is named `{_short(name)}`", hint=did_you_mean(name, self._served)
            )
        return found


def shelf(functions: Tools, documents: Mapping[str, ToolContract]) -> Shelf:
    """The built-in tools and those of extensions, and what documents make of them.

    The documents were judged (`harness.core.judged`): one that names a function which is not there is left out.
    """
    found: list[Served] = []
    for name in functions.names:
        tool = functions.get(name)
        found.append(_served(tool.contract, tool))
    for contract in documents.values():
        if contract.implements is None:
            found.append(_served(contract, None))
        elif contract.implements in functions:
            found.append(_served(contract, functions.get(contract.implements).under(contract)))
    return Shelf(found)


def _served(contract: ToolContract, function: AnyTool | None) -> Served:
    arguments = arguments_type(contract) if function is None else function.arguments
    return Served(arguments=arguments, contract=contract, digest=digest(contract), function=function)


def _short(name: str) -> str:
    return name if len(name) <= 60 and name.isprintable() else f"{ascii(name[:59])[1:-1]}…"
