"""The phases of a tool call: what rules may read and propose before it and after it.

Rule 1: a field stands here once the harness can supply it.
Rule 2: values of arguments and of the result may be anybody's secrets: rules read them, receipts do not keep them
(WITHHELD). Paths, hosts and programs of the scope are kept: they are what was decided about.
"""

from __future__ import annotations

from typing import Final

from wardwright.calls.phases import CALLER
from wardwright.contracts.policy import ActionName
from wardwright.policy.phases import Field, Phase

ARGUMENTS: Final = "arguments."

_TOOL: Final = (
    Field("tool.name", "text", "The tool, such as `git.commit`."),
    Field("tool.effect", "text", "`read`, `write-local`, `write-remote` or `irreversible`."),
    Field("tool.reversal", "text", "How the call is taken back: `T0` to `T4`."),
    Field("tool.mode", "text", "`simple`, `intelligent` or `sovereign`."),
    Field("tool.walls", "text", "What stands around its programs: `both`, `bubblewrap`, `landlock` or `none`."),
    Field("tool.shape", "text", "Names, types and sizes of the arguments, without their values."),
    Field("tool.degraded", "boolean", "It stands in for a tool that failed."),
    Field("tool.evidence", "integer", "Receipts that the call cites."),
    Field("tool.plan", "text", "The plan that the call follows."),
    Field("tool.undoes", "text", "The receipt of the call of this tool that is taken back; unset for any other call."),
    Field("arguments.*", "text", "An argument as text, such as `arguments.path`; lists and numbers as JSON."),
    Field("scope.read", "texts", "Paths that the call may read."),
    Field("scope.write", "texts", "Paths that the call may write."),
    Field("scope.hosts", "texts", "`host:port` that the call may reach."),
    Field("scope.programs", "texts", "Programs that the call may run."),
)
_PREDICTION: Final = (
    Field("prediction.success_ppm", "integer", "How likely it is to succeed, in parts per million."),
    Field("prediction.low_ppm", "integer", "The lower end of the central 90 % of what that may be."),
    Field("prediction.evidence_milli", "integer", "Thousandths of a try that this rests on, older ones counting less."),
    Field("prediction.abstained", "boolean", "There is too little to rest on."),
)
_RESULT: Final = (
    Field("result.status", "text", "`completed`, `failed` or `timed_out`."),
    Field("result.error", "text", "The code of the failure."),
    Field("result.cached", "boolean", "It was given before."),
    Field("result.attempts", "integer", "Attempts that were made."),
    Field("result.bytes", "integer", "Of the result, as JSON."),
    Field("result.took_ms", "integer", "From its acceptance."),
    Field("result.text", "text", "The result as JSON."),
)

_SPEAKS: Final[frozenset[ActionName]] = frozenset({"allow", "annotate"})

BEFORE: Final = Phase(
    name="tool.before",
    doc="What a tool is about to be called with.",
    fields=CALLER + _TOOL + _PREDICTION,
    actions=_SPEAKS | {"block", "oblige", "require_approval", "set_argument"},
)
AFTER: Final = Phase(
    name="tool.after",
    doc="What a tool gave, before the caller has it.",
    fields=CALLER + _TOOL + _RESULT,
    actions=_SPEAKS | {"block"},
)

TOOL_PHASES: Final = (BEFORE, AFTER)
"""In the order of a call."""

WITHHELD: Final = ("arguments.", "result.text")
"""How fields begin whose values no receipt keeps."""


def is_withheld(field: str) -> bool:
    return field.startswith(WITHHELD)
