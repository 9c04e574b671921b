"""The phases of a model call: what rules may read and propose at each point of it.

Rule 1: a field stands here once the gateway can supply it; one that it does not supply in some call is unavailable,
and rules on it cannot be told.
Rule 2: texts are the caller's own, messages of one role joined by line breaks; the operator's preamble is not in them.
Rule 3: later phases keep the fields of earlier ones but for the texts, which are looked at once.
"""

from __future__ import annotations

from typing import Final

from wardwright.contracts.policy import ActionName
from wardwright.policy.phases import Field, Phase

CALLER: Final = (
    Field("caller.tenant", "text", "The tenant, from the credential alone."),
    Field("caller.application", "text", "The application or team on whose account the call runs."),
    Field("caller.agent", "text", "The agent that consumes the answer."),
    Field("caller.house", "text", "The rules and people the agent works for."),
    Field("caller.user", "text", "The person the agent works for."),
    Field("caller.key", "text", "The id of the serving key; unknown for keyless callers."),
    Field("caller.session", "text", "The session that the caller declares."),
    Field("caller.run", "text", "The run that the caller declares."),
    Field("caller.tags", "texts", "Free words of the caller."),
)
_REQUEST: Final = (
    Field("request.model", "text", "The model contract's name, without prefix."),
    Field("request.stream", "boolean", "The client asked for a stream."),
    Field("request.messages", "integer", "Messages in the request."),
    Field("request.choices", "integer", "Answers asked for: `n`."),
    Field("request.output_tokens", "integer", "The output budget that the request states; unknown where it does not."),
    Field("request.input_tokens", "integer", "Estimated input tokens, tools counted."),
    Field("request.capabilities", "texts", "What the request asks of a target, such as `tools` or `vision`."),
    Field("request.bytes", "integer", "Bytes of the body."),
    Field("request.hops", "integer", "Gateways of this kind that the request had passed before."),
    Field("request.retries", "integer", "The client's own count of retries before this call."),
    Field("metadata.*", "text", "A text of the request's `metadata`, such as `metadata.data_class`."),
    Field("tools.count", "integer", "Tools that the request declares."),
    Field("tools.names", "texts", "Names of the tools that the request declares."),
    Field("tools.latest", "texts", "Names of the tools that the latest assistant message calls, each parallel call."),
    Field("tools.latest_calls", "texts", "A keyed digest of each: name and arguments, JSON in any order of keys."),
    Field("tools.latest_results", "texts", "A keyed digest of each result that these calls have."),
    Field("tools.latest_results_chars", "integer", "Characters of these results together."),
    Field("tools.empty_results", "integer", "Those of them that hold nothing, such as `[]`: an answer, no failure."),
    Field("tools.unanswered", "integer", "Calls of the latest assistant message that have no result."),
    Field(
        "tools.repeats",
        "integer",
        "How often one of these calls stands in the conversation with the same result, this time included: the most.",
    ),
    Field("conversation.step", "integer", "Assistant messages so far: the index of this model call."),
    Field("conversation.turn", "integer", "User messages so far less one: the index of this turn."),
    Field("conversation.in_tool_loop", "boolean", "The last message is a tool's result."),
    Field("conversation.source", "text", "Where the conversation comes from: a header, metadata, or `derived`."),
)
_TEXTS: Final = (
    Field("text.all", "text", "Every message's text."),
    Field("text.user", "text", "The text of the user's messages."),
    Field("text.last_user", "text", "The text of the last user message."),
    Field("text.system", "text", "The text of the caller's system and developer messages."),
    Field("text.assistant", "text", "What the model said before."),
    Field("text.tool", "text", "Results of tools."),
)
_ROUTE: Final = (
    Field("route.targets", "texts", "Targets that would be tried, as `provider/model`, in order."),
    Field("route.first", "text", "The first of them."),
    Field("route.skipped", "texts", "Targets of the route that would not be tried."),
    Field("route.resting", "texts", "Targets that health takes out now: a breaker is open, or a rate limit was met."),
)
_ATTEMPT: Final = (
    Field("attempt.number", "integer", "From 1, over all retries of the call."),
    Field("attempt.provider", "text", "The provider asked."),
    Field("attempt.model", "text", "What the provider calls the model."),
    Field("attempt.target", "text", "The target's name in its contract."),
)
_OUTPUT: Final = (
    Field("output.text", "text", "The answer's text."),
    Field("output.reasoning", "text", "What the model showed of its reasoning."),
    Field("output.tool_names", "texts", "Names of the tools that the answer calls."),
    Field("output.finish", "texts", "Finish reasons, one a choice."),
    Field("usage.input_tokens", "integer", "Input tokens of this attempt."),
    Field("usage.output_tokens", "integer", "Output tokens of this attempt."),
)
_RECEIPT: Final = (
    Field("receipt.status", "text", "How the call ended: `completed`, `refused`, `blocked`, `failed`, `client_left`."),
    Field("receipt.error", "text", "The gateway's code; `policy_blocked` where a rule refused under its own."),
    Field("receipt.attempts", "integer", "Attempts that were started."),
    Field("receipt.fallback", "boolean", "The answer came from another target than the first of the plan."),
    Field("receipt.cost_nano_usd", "integer", "Over all attempts, in billionths of a US dollar."),
    Field("receipt.total_ms", "integer", "From acceptance to the end of the answer."),
    Field("receipt.first_byte_ms", "integer", "From acceptance to the first byte handed to the client."),
    Field("receipt.finish", "texts", "Finish reasons, one a choice."),
    Field("usage.input_tokens", "integer", "Input tokens over all attempts."),
    Field("usage.output_tokens", "integer", "Output tokens over all attempts."),
)

_SPEAKS: Final[frozenset[ActionName]] = frozenset({"allow", "annotate", "alert", "oblige"})
_ENDS: Final[frozenset[ActionName]] = frozenset({"block", "require_approval"})
_AGAIN: Final[frozenset[ActionName]] = frozenset({"retry", "retry_with_reminder", "reroute"})

REQUEST: Final = Phase(
    name="request",
    doc="What the caller asks, before a route is chosen.",
    fields=CALLER + _REQUEST + _TEXTS,
    actions=_SPEAKS | _ENDS | {"transform", "inject_reminder", "restrict_routes", "switch_model"},
    budgets="before",
)
ROUTE: Final = Phase(
    name="route",
    doc="Which targets would be tried, before the first is.",
    fields=CALLER + _REQUEST + _ROUTE,
    actions=_SPEAKS | _ENDS | {"restrict_routes"},
    budgets="before",
)
STREAM: Final = Phase(
    name="stream",
    doc="The answer while it is written.",
    fields=CALLER + _REQUEST + _ATTEMPT,
    actions=_SPEAKS | _AGAIN | {"block", "rewrite", "drop"},
    channels=("text", "reasoning", "tool_arguments"),
)
OUTPUT: Final = Phase(
    name="output",
    doc="The whole answer of an attempt, before its end is told.",
    fields=CALLER + _REQUEST + _ATTEMPT + _OUTPUT,
    actions=_SPEAKS | _AGAIN | {"block"},
    channels=("text", "reasoning", "tool_arguments"),
    whole=True,
)
RECEIPT: Final = Phase(
    name="receipt",
    doc="What happened, when it can no longer be changed.",
    fields=CALLER + _REQUEST + _RECEIPT,
    actions=_SPEAKS,
    budgets="after",
)

PHASES: Final = (REQUEST, ROUTE, STREAM, OUTPUT, RECEIPT)
"""In the order of a call."""
