"""The typed value of a `kind: policy` contract: rules over what a phase knows, and what they propose.

Rule 1: a value here is canonical (see `contracts.model`): user-named maps are lists of named values, and actions hold
their members in alphabetical order, since decisions carry them into receipts.
Rule 2: this file says what a document may say. Which phases there are, which fields they know and which actions they
allow, the compiler is told: `policy.compiler`.
Rule 3: operators and actions are closed sets. An operator is a row of OPERATORS and a row of `policy.operators`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.budget import Budget
from wardwright.contracts.model import Count, Name

FORMAT: Final = 1
"""The current format of policy contracts."""

RULES_MAX: Final = 512
"""Rules in one policy."""

CONDITION_DEPTH_MAX: Final = 16
"""Conditions inside one another, macros unfolded."""

CONDITION_LEAVES_MAX: Final = 256
"""Comparisons in one rule, macros unfolded."""

ACTIONS_MAX: Final = 16
"""Actions of one rule."""

PRIORITY_MAX: Final = 1000

AGE_S_MAX: Final = 30 * 24 * 3600
"""How far back any state reaches: what is older is never counted, whatever else bounds it."""

MACHINES_MAX: Final = 16
"""Machines of one policy."""

MACHINE_STATES_MAX: Final = 64
"""States of one machine."""

MACHINE_TRANSITIONS_MAX: Final = 256
"""Transitions of one machine."""

ALTERNATIVES_MAX: Final = 8
"""Forms that one rule accepts an answer in."""

REQUIREMENTS_MAX: Final = 64
"""Semantic rules of one alternative."""

Value: TypeAlias = str | int | bool
"""What a field is compared with; decimals are normalised texts such as `0.25`."""

Operands: TypeAlias = Literal["one", "many", "texts", "number", "range", "none", "name"]
"""What stands after an operator: one value, a list or `$list`, one text or several, a number, two numbers, nothing, or
a name."""

OperatorName: TypeAlias = Literal[
    "eq", "in", "prefix", "suffix", "contains", "glob", "regex", "gt", "gte", "lt", "lte", "between", "exists",
    "detector",
]  # fmt: skip

OPERATORS: Final[dict[OperatorName, Operands]] = {
    "eq": "one",
    "in": "many",
    "prefix": "texts",
    "suffix": "texts",
    "contains": "texts",
    "glob": "texts",
    "regex": "texts",
    "gt": "number",
    "gte": "number",
    "lt": "number",
    "lte": "number",
    "between": "range",
    "exists": "none",
    "detector": "name",
}
"""Every operator, and what stands after it."""

Priority: TypeAlias = Annotated[int, msgspec.Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX)]
"""The higher wins among proposals of equal effect."""


# Conditions


class Comparison(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comparison, without what is compared."""

    op: OperatorName
    values: tuple[Value, ...] = ()
    """The operands; a text operator holds where it holds for one of them."""
    list: str | None = None
    """The name of the list that stands for `values`."""
    ignore_case: bool = False


class Leaf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="form", tag="leaf"):
    """A comparison of one field."""

    field: str
    """Such as `caller.tenant`; the phase says which there are."""
    test: Comparison
    over: Literal["value", "any", "all"] = "value"
    """For fields that are lists: `any` item passes, or `all` do."""


class Every(msgspec.Struct, frozen=True, kw_only=True, tag_field="form", tag="all"):
    """All conditions hold."""

    conditions: tuple[Condition, ...]


class Either(msgspec.Struct, frozen=True, kw_only=True, tag_field="form", tag="any"):
    """At least one condition holds."""

    conditions: tuple[Condition, ...]


class Negation(msgspec.Struct, frozen=True, kw_only=True, tag_field="form", tag="not"):
    """The condition does not hold."""

    condition: Condition


class MacroUse(msgspec.Struct, frozen=True, kw_only=True, tag_field="form", tag="macro"):
    """A condition that the policy gave a name."""

    name: str


Condition: TypeAlias = Leaf | Every | Either | Negation | MacroUse


class NamedList(msgspec.Struct, frozen=True, kw_only=True):
    """Values that conditions name as `$name`."""

    name: Name
    items: tuple[Value, ...]
    """Sorted, each once."""


class Macro(msgspec.Struct, frozen=True, kw_only=True):
    """A condition with a name."""

    name: Name
    when: Condition


class Exempt(msgspec.Struct, frozen=True, kw_only=True):
    """A named exception: where it holds, the rule is silent."""

    name: Name
    when: Condition


# State over time


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How far back state reaches. An event must lie within every bound that is set."""

    steps: Count | None = None
    """Model calls of the conversation; 1 is the current one alone."""
    turns: Count | None = None
    """Turns of the conversation; 1 is the current one alone."""
    events: Count | None = None
    """The last events of this state."""
    age_s: Annotated[int, msgspec.Meta(ge=1, le=AGE_S_MAX)] | None = None
    """Seconds; an event that is exactly as old still counts."""


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """State that rules read as the field `state.<name>`; nothing else of the past is readable."""

    name: Name
    measure: Literal["count", "sum", "distinct", "formerly", "sequence", "absent"]
    """`count`, `sum` and `distinct` are numbers; the others are true or false."""
    events: tuple[Name, ...]
    """The labels counted, as rules `annotate` them; for `sequence` in their order."""
    scope: Literal["attempt", "run", "session", "agent", "user", "model", "tenant"]
    """Whose past it is. A call without that value reads it as indeterminate, never as a wider scope."""
    of: str | None = None
    """The field that `sum` adds up or `distinct` tells apart."""
    same: tuple[str, ...] = ()
    """Fields in which an event must equal the current call."""
    session: Literal["any", "declared"] = "any"
    """`declared`: a conversation that was derived from the first message does not do."""
    within: Window = Window()
    including_current: bool = True
    """The labels that the call being decided has earned by now count, those of the same phase too, so that `gte: 3` is
    true on the third. Otherwise only other calls count."""
    items_max: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 256
    """Events kept for each value of the scope; the oldest leave first."""


# Machines


class MachineState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One state of a machine."""

    name: Name
    restrict_routes: tuple[str, ...] = ()
    """In this state only targets that match one of the patterns may serve; empty: any."""
    terminal: bool = False
    """Nothing leads out of it."""


class Transition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A label that leads from one state to another. Written with `from` for `origin`."""

    on: Name
    """The label, as a rule of this policy annotates it."""
    origin: Name
    """The state it leads from; authors write `from`."""
    to: Name
    max: Count | None = None
    """Times it may be taken, for each value of the scope; the next time leads to `on_exhausted`."""


class Machine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """States that labels lead through, read by rules as the text `machine.<name>`."""

    name: Name
    initial: Name
    scope: Literal["run", "session", "agent", "user", "tenant"]
    """Whose state it is. A call without that value reads it as indeterminate, and is held to every restriction."""
    states: tuple[MachineState, ...]
    """By name, sorted."""
    transitions: tuple[Transition, ...]
    session: Literal["any", "declared"] = "any"
    """`declared`: a conversation that was derived from the first message does not do."""
    on_exhausted: Name | None = None
    """Where a transition leads whose `max` is spent."""


# Channels of a stream


class Channel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What of an answer a rule watches."""

    channel: Literal["text", "reasoning", "tool_arguments"]
    tool: str | None = None
    """For tool arguments: the tools, `*` standing for any characters; all where unset."""
    pointer: str | None = None
    """For tool arguments: a JSON pointer to one argument, such as `/path`; the whole arguments where unset."""


HELD_CHARS_MAX: Final = 4096
"""Characters that wait for a rule at most, where it does not say."""
ANSWER_CHARS_MAX: Final = 1 << 20
"""The same for a rule that holds the whole answer."""
HELD_AGE_MS_MAX: Final = 2000
"""For how long text waits for a rule that does not say, and does not hold the whole answer."""


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is kept back from the client until a rule can decide. See `hold_of` for what is unset."""

    mode: Literal["pass", "exact", "boundary", "full"] = "exact"
    """`exact`: what could still become a match; `boundary`: a unit; `full`: the answer; `pass`: nothing."""
    boundary: Literal["sentence", "line", "code_block", "json_value", "tool_call"] | None = None
    """The unit of `mode: boundary`."""
    chars_max: Count | None = None
    """Characters held at most. Unset: 4096; 1048576 for `mode: full`."""
    age_ms_max: Count | None = None
    """Milliseconds that the oldest held character may wait. Unset: 2000; without bound for `mode: full`."""
    on_cap: Literal["fail_closed", "release_and_flag"] = "fail_closed"


# Whole answers


class Requirement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What must hold of one value in an answer, beyond its schema."""

    pointer: str
    """A JSON pointer such as `/confidence`; empty for the whole value."""
    test: Comparison
    over: Literal["value", "any", "all"] = "value"
    """For lists: `any` item passes, or `all` do."""
    negated: bool = False
    """The comparison must not hold."""
    why: str = ""
    """The reason, said to the model behind what must hold."""


class Alternative(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One form in which a JSON answer is accepted."""

    name: Name = "value"
    schema: str | None = None
    """A JSON Schema (2020-12), kept as canonical JSON text; unset: any value."""
    where: tuple[Requirement, ...] = ()
    """What must hold of a value that the schema admits, in the author's order."""


Fenced: TypeAlias = Literal["refuse", "accept"]
"""Whether a Markdown code fence around the whole answer is taken off before it is judged."""


class JsonExpectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="syntax", tag="json"):
    """The answer is one JSON value, in one of the alternatives; without any, every JSON value does."""

    any_of: tuple[Alternative, ...] = ()
    fenced: Fenced = "refuse"
    """`accept`: a Markdown code fence around the whole answer is taken off before it is judged."""


class XmlExpectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="syntax", tag="xml"):
    """The answer is one well-formed XML document without a document type."""

    fenced: Fenced = "refuse"
    """`accept`: a Markdown code fence around the whole answer is taken off before it is judged."""
    root: str | None = None
    """The name of its root element, as written; any where unset."""


Expectation: TypeAlias = JsonExpectation | XmlExpectation


# Actions, weakest first


class Allow(msgspec.Struct, frozen=True, kw_only=True, tag_field="act", tag="allow"):
    """Say that the rule looked and has no objection. It lifts no other rule's objection."""


class Annotate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="annotate"):
    """Write a label into the receipt."""

    label: Name
    """The label; state over time counts it."""
    note: str = ""
    """For whoever reads the receipt."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="alert"):
    """Tell somebody, while the call goes on."""

    message: str = ""
    """What they are told."""
    severity: Literal["info", "warning", "critical"] = "warning"
    """How much it matters."""
    sink: Name = "default"
    """Where it goes, as the gateway's settings name it."""


class Oblige(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="oblige"):
    """Demand a named check over the receipts that follow."""

    check: Name
    """The check's name."""


class Transform(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="transform"):
    """Put the operator's text around the caller's messages."""

    postscript: str | None = None
    """A system message put last."""
    preamble: str | None = None
    """A system message put first."""


class InjectReminder(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="inject_reminder"
):
    """Add a message for the model after the caller's."""

    role: Literal["system", "user"] = "system"
    """Who says it."""
    text: str
    """What it says."""


class SetArgument(msgspec.Struct, frozen=True, kw_only=True, tag_field="act", tag="set_argument"):
    """Call the tool with this argument, whatever the caller gave."""

    name: str
    """The argument's name."""
    to: Value
    """Its value."""


class RestrictRoutes(msgspec.Struct, frozen=True, kw_only=True, tag_field="act", tag="restrict_routes"):
    """Only targets that match one of the patterns may serve; several restrictions must all admit a target."""

    to: tuple[str, ...]
    """Patterns over `provider/model`, target names and labels."""


class SwitchModel(msgspec.Struct, frozen=True, kw_only=True, tag_field="act", tag="switch_model"):
    """Serve by another model contract."""

    model: Name
    """The name of the contract."""


class Drop(msgspec.Struct, frozen=True, kw_only=True, tag_field="act", tag="drop"):
    """Leave the matched span out."""


class Rewrite(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="rewrite"):
    """Put other text in the place of the matched span."""

    replacement: str = "[redacted]"
    """The other text."""


class Reroute(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="reroute"):
    """End this attempt and try again at targets that match one of the patterns."""

    max: Count = 1
    """Times in one call."""
    to: tuple[str, ...]
    """Patterns over `provider/model`, target names and labels."""


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="retry"):
    """End this attempt and ask the same again."""

    max: Count = 1
    """Times in one call."""


class RetryWithReminder(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="retry_with_reminder"
):
    """End this attempt and ask again with a reminder added."""

    after_release: Literal["refuse", "continue"] = "refuse"
    """What happens where a part of the answer has left already: `continue` has the model go on from there, at providers
    that can; else, and elsewhere, the answer ends in an error."""
    after_turns: Count | None = None
    """The reminder may come again after this many turns."""
    keep_partial: bool = False
    """The model sees what it had begun to write."""
    max: Count = 1
    """Times in one call."""
    once_per: Literal["attempt", "turn", "session"] | None = None
    """The reminder comes once in each."""
    text: str
    """What the model is told."""


class RequireApproval(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="require_approval"
):
    """Refuse until somebody approves; the approved request runs once."""

    expires_s: Count = 3600
    """Seconds for which the question stands."""
    message: str = ""
    """What whoever approves is told, and the caller too."""


class Block(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="act", tag="block"):
    """Refuse. The caller is told code, rule and message."""

    code: Name = "policy_blocked"
    """The code that the caller sees."""
    message: str = ""
    """What the caller is told."""


Action: TypeAlias = (
    Allow
    | Annotate
    | Alert
    | Oblige
    | Transform
    | InjectReminder
    | SetArgument
    | RestrictRoutes
    | SwitchModel
    | Drop
    | Rewrite
    | Reroute
    | Retry
    | RetryWithReminder
    | RequireApproval
    | Block
)

Retrying: TypeAlias = Retry | RetryWithReminder | Reroute
"""Actions that end an attempt and make another."""

ActionName: TypeAlias = Literal[
    "allow", "annotate", "alert", "oblige", "transform", "inject_reminder", "set_argument", "restrict_routes",
    "switch_model", "drop", "rewrite", "reroute", "retry", "retry_with_reminder", "require_approval", "block",
]  # fmt: skip


# Examples


class ExampleFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one field holds, or what a channel carries."""

    field: str
    """A field of the phase, or a channel: `text`, `reasoning`, `tool_arguments`."""
    values: tuple[Value, ...]
    shape: Literal["value", "list", "pieces"] = "value"
    """`pieces` are joined: text that must not stand in a document whole, such as a credential."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One case. Fields that it leaves out are absent."""

    facts: tuple[ExampleFact, ...]
    """By field, sorted."""


class Examples(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Cases that are checked when the policy is loaded."""

    fires: tuple[Example, ...] = ()
    silent: tuple[Example, ...] = ()


# Rules


class Tie(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tie with another rule, of equal effect and priority, that somebody decided to leave: the lower id wins."""

    rule: Name
    """The other rule's id."""
    why: str


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """In one phase: where a condition holds, propose actions."""

    id: Name
    phase: str
    """Where it is decided: `request`, `route`, `stream`, `output`, `receipt`."""
    then: tuple[Action, ...]
    why: str
    """The reason, for whoever meets the rule."""
    on: tuple[Channel, ...] = ()
    """What `match` or `expect` looks at, in phases that have channels; for `expect`, the text where unset."""
    match: Comparison | None = None
    """What must be found on a channel."""
    expect: Expectation | None = None
    """What a whole answer must be: the rule fires where it is not."""
    when: Condition | None = None
    """What must hold of the phase's fields; unset: always."""
    unless: tuple[Exempt, ...] = ()
    hold: Hold | None = None
    after_retries: tuple[Action, ...] = ()
    """What happens when the rule fires and its retries are spent; unset: the answer is refused."""
    on_error: Literal["deny", "fire", "annotate", "silent"] | None = None
    """What happens where the condition cannot be told. Unset: `deny` for rules that can change a call, else
    `annotate`."""
    enforce: Literal["off", "shadow", "enforce"] = "enforce"
    """`shadow`: decided and recorded, without effect."""
    priority: Priority = 0
    owner: str = ""
    """Who answers for the rule; the policy's owner where empty."""
    ties: tuple[Tie, ...] = ()
    examples: Examples = Examples()


class PolicyContract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rules that model contracts name under `policies`."""

    name: Name
    rules: tuple[Rule, ...]
    kind: Literal["policy"] = "policy"
    format: int = FORMAT
    version: str | None = None
    """The operator's own label."""
    description: str = ""
    owner: str = ""
    """Who answers for the policy."""
    lists: tuple[NamedList, ...] = ()
    """By name, sorted."""
    macros: tuple[Macro, ...] = ()
    """By name, sorted."""
    state: tuple[State, ...] = ()
    """By name, sorted."""
    machines: tuple[Machine, ...] = ()
    """By name, sorted."""
    budgets: tuple[Budget, ...] = ()
    """What may be used, by whom, in which time."""


def effect_of(action: Action) -> ActionName:
    """The action's word.

    >>> effect_of(Block(code="no"))
    'block'
    """
    return action.__struct_config__.tag  # type: ignore[return-value]


def hold_of(rule: Rule) -> Hold:
    """What a rule holds back, with everything that it leaves unsaid.

    A rule that tries again holds the whole answer unless it says otherwise: another attempt can be made only while the
    client has seen nothing of this one.
    """
    retries = any(isinstance(action, Retrying) for action in rule.then)
    hold = rule.hold or Hold(mode="full" if retries else "exact")
    full = hold.mode == "full"
    return msgspec.structs.replace(
        hold,
        chars_max=hold.chars_max or (ANSWER_CHARS_MAX if full else HELD_CHARS_MAX),
        age_ms_max=hold.age_ms_max if full else hold.age_ms_max or HELD_AGE_MS_MAX,
    )
