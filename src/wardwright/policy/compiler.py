"""Policies -> compiled rules, or every reason why not.

    policy = compile_policies(documents, phases)
    decide(policy, "request", facts)

Rule 1: a rule that reads what its phase does not know, or asks for what its phase does not allow, is refused here and
not met at run time.
Rule 2: what this build cannot carry out is refused too: a policy that is not enforced must not look as if it were.
Rule 3: two rules that could ask for what cannot both happen, at equal effect and priority, are refused unless one of
them names the other under `ties` with a reason.
Rule 4: what rules read of the past is declared once, and they can be asked in an order in which each label is written
before it is counted (`policy.strata`).
Rule 5: a reminder or replacement that a rule would find is refused: it would trigger what it is there to end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from wardwright.contracts.decode import Located
from wardwright.contracts.policy import (
    Action,
    ActionName,
    Alternative,
    Annotate,
    Block,
    Comparison,
    Condition,
    Either,
    Every,
    Hold,
    JsonExpectation,
    Leaf,
    MacroUse,
    Negation,
    Oblige,
    OperatorName,
    PolicyContract,
    Requirement,
    Retrying,
    Rule,
    State,
    Value,
    XmlExpectation,
    effect_of,
    hold_of,
)
from wardwright.contracts.refusal import ContractErrors, did_you_mean, in_order
from wardwright.contracts.wording import either, shown_key
from wardwright.kernel.detectors.prover import Prover
from wardwright.kernel.detectors.table import NAMES, Row, rows_of
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.patterns.admission import Admitted, Pattern, Phrase, Regex, admit, admit_any
from wardwright.kernel.patterns.language import PatternProblem
from wardwright.kernel.patterns.search import searcher
from wardwright.policy import budget_fields
from wardwright.policy.answer_schema import Schema, SchemaRefused
from wardwright.policy.answer_schema import admit as admit_schema
from wardwright.policy.arbiter import RANKS, arbitrate
from wardwright.policy.clashes import ambiguities, echoes
from wardwright.policy.compiled import INDETERMINATE_CODE, Compiled, Policy, Spans, Stratum
from wardwright.policy.conditions import ALWAYS, AllOf, AnyOf, Inverse, Node, boxes, compared, fast, leaves
from wardwright.policy.decision import Decision, Fired, Proposal
from wardwright.policy.detectors import DETECTORS
from wardwright.policy.expectation import Expecting, Form, JsonExpecting, XmlExpecting
from wardwright.policy.operators import OPERATORS, Check, Comparing, Detector, keeps
from wardwright.policy.phases import Field, FieldType, Phase
from wardwright.policy.recalling import declared, in_strata, kept_by_label, read_by, unkept, with_recalled
from wardwright.policy.reminders import states_of
from wardwright.policy.requirements import Required, required
from wardwright.policy.strata import MACHINE, MEASURES, STATE, Recalled, recalled_field


def compile_policies(
    documents: Iterable[Located[PolicyContract]],
    phases: Sequence[Phase],
    *,
    enforceable: frozenset[tuple[str, ActionName]] | None = None,
    measures: frozenset[str] = MEASURES,
    detectors: Mapping[str, Detector] = DETECTORS,
    budgets: bool = True,
) -> Policy:
    """Raises ContractErrors with all that is wrong.

    `enforceable` are the pairs of phase and action that the caller can carry out; None: all that the phases allow.
    `measures` are those of declared state that it can supply, and without any it supplies no machines; `budgets`:
    whether it keeps declared budgets.
    """
    found = sorted(documents, key=lambda document: document.value.name)
    by_name = {phase.name: phase for phase in phases}
    errors: list[WardwrightError] = []
    rules: list[Compiled] = []
    for document in found:
        known = budget_fields.with_budgets(by_name, document.value.budgets)
        compiler = _Compiler(document, known, enforceable, measures, detectors, errors)
        rules.extend(compiler.rules())
        if document.value.machines and not measures:
            message = f"this build keeps no history, and `{document.value.name}` declares machines"
            errors.append(WardwrightError("policy_unenforceable", message, place=document.place("machines")))
        if document.value.budgets and not budgets:
            message = f"this build keeps no budgets, and `{document.value.name}` declares them"
            errors.append(WardwrightError("policy_unenforceable", message, place=document.place("budgets")))
    errors.extend(budget_fields.clashes(found))
    recalled = declared(found, errors)
    grouped = {name: tuple(rule for rule in rules if rule.rule.phase == name) for name in by_name}
    errors.extend(unkept(rules, recalled, by_name))
    strata = {name: tuple(_strata(some, recalled, by_name[name], errors)) for name, some in grouped.items()}
    errors.extend(ambiguities(rules))
    errors.extend(echoes(rules))
    if errors:
        raise ContractErrors(in_order(errors))
    counted = budget_fields.declared(found)
    kept = kept_by_label(recalled.values())
    for document in found:
        for label in chain.from_iterable(state.events for state in states_of(document.value)):
            kept.setdefault(label, frozenset())
    known = budget_fields.with_budgets(by_name, (one.budget for one in counted))
    return Policy(
        names=tuple(document.value.name for document in found),
        phases={name: with_recalled(phase, recalled.values()) for name, phase in known.items()},
        rules=grouped,
        reads={name: read_by(some, recalled, kept) for name, some in grouped.items()},
        plain={name: _plain(some) for name, some in grouped.items()},
        strata={name: some for name, some in strata.items() if len(some) > 1 or any(one.wants for one in some)},
        recalled=tuple(recalled[field] for field in sorted(recalled)),
        keeps=kept,
        budgets=counted,
        keeping=frozenset(name for name, some in grouped.items() if any(_keeps(rule.node) for rule in some)),
    )


def _plain(rules: Iterable[Compiled]) -> tuple[tuple[Check, Compiled], ...]:
    return tuple((rule.check, rule) for rule in rules if rule.match is None and rule.expecting is None)


def _strata(
    rules: Sequence[Compiled], recalled: Mapping[str, Recalled], phase: Phase, errors: list[WardwrightError]
) -> Iterator[Stratum]:
    after: frozenset[tuple[str, str]] = frozenset()
    for some, wants in in_strata(rules, recalled, phase, errors):
        yield Stratum(
            wants=wants,
            after=after,
            plain=_plain(some),
            looking=tuple(rule for rule in some if rule.searches or rule.expecting is not None),
        )
        after |= {(rule.policy, rule.rule.id) for rule in some}


def _keeps(node: Node) -> bool:
    return any(keeps(leaf.test) for leaf in leaves(node))


class _Compiler:
    """One document."""

    def __init__(
        self,
        document: Located[PolicyContract],
        phases: Mapping[str, Phase],
        enforceable: frozenset[tuple[str, ActionName]] | None,
        measures: frozenset[str],
        detectors: Mapping[str, Detector],
        errors: list[WardwrightError],
    ) -> None:
        self._document = document
        self._policy = document.value
        self._phases = phases
        self._enforceable = enforceable
        self._measures = measures
        self._detectors = detectors
        self._errors = errors
        self._lists = {one.name: one.items for one in self._policy.lists}
        self._macros = {one.name: one.when for one in self._policy.macros}
        self._states = {one.name: one for one in self._policy.state}
        self._machines = {one.name: one for one in self._policy.machines}

    def rules(self) -> list[Compiled]:
        made = [self._rule(rule, f"rules[{index}]") for index, rule in enumerate(self._policy.rules)]
        return sorted((rule for rule in made if rule is not None), key=lambda rule: rule.rule.id)

    def _refuse(self, code: str, message: str, path: str, hint: str | None = None) -> None:
        self._errors.append(WardwrightError(code, message, place=self._document.place(path), hint=hint))

    def _rule(self, rule: Rule, path: str) -> Compiled | None:
        count = len(self._errors)
        phase = self._phases.get(rule.phase)
        if phase is None:
            hint = did_you_mean(rule.phase, self._phases)
            self._refuse("policy_field", f"there is no phase `{rule.phase}`", f"{path}.phase", hint)
            return None
        self._actions(rule, phase, path)
        self._channels(rule, phase, path)
        rows = () if rule.match is None else self._rows(rule.match, f"{path}.match")
        match = None if rule.match is None else self._match(rule.match, rows, f"{path}.match")
        expecting = self._expecting(rule, phase, f"{path}.expect")
        parts = [] if rule.when is None else [self._node(rule.when, phase, f"{path}.when")]
        exempts = [self._node(one.when, phase, f"{path}.unless[{index}].when") for index, one in enumerate(rule.unless)]
        node: Node = AllOf((*parts, *(Inverse(one) for one in exempts))) if exempts else parts[0] if parts else ALWAYS
        if len(self._errors) > count or rule.enforce == "off":
            return None
        found = boxes(node)
        proposals = self._proposals(rule, rule.then)
        return Compiled(
            policy=self._policy.name,
            rule=rule,
            document=self._document,
            path=path,
            check=fast(node),
            node=node,
            reads=frozenset(leaf.field for leaf in leaves(node)),
            match=match,
            detects=rows,
            search=None if match is None else _spans(match, rows),
            expecting=expecting,
            hold=self._hold(rule, phase),
            proposals=proposals,
            alone=_alone(self._policy.name, rule, proposals),
            untold=self._untold(rule, phase, path),
            after=self._after(rule),
            boxes=None if found is None else tuple(found),
        )

    def _hold(self, rule: Rule, phase: Phase) -> Hold | None:
        """What of an answer waits for a rule: all of it for one that judges it whole, unless it says `pass`."""
        if not phase.channels or rule.enforce == "shadow" or not (changes(rule) or rule.on_error == "deny"):
            return None
        if phase.whole:
            return None if rule.hold is not None and rule.hold.mode == "pass" else Hold(mode="full")
        hold = None if rule.match is None else hold_of(rule)
        return None if hold is None or hold.mode == "pass" else hold

    # Actions

    def _actions(self, rule: Rule, phase: Phase, path: str) -> None:
        for member, actions in (("then", rule.then), ("after_retries", rule.after_retries)):
            for index, action in enumerate(actions):
                self._action(rule, effect_of(action), phase, f"{path}.{member}[{index}]")

    def _action(self, rule: Rule, effect: ActionName, phase: Phase, path: str) -> None:
        if effect not in phase.actions:
            hint = f"the phase `{phase.name}` allows {either(sorted(phase.actions))}"
            self._refuse("policy_unenforceable", f"`{effect}` cannot happen in the phase `{phase.name}`", path, hint)
        elif not self._can(phase, effect) and rule.enforce == "enforce":
            message = f"this build cannot carry out `{effect}` in the phase `{phase.name}`"
            hint = "with `enforce: shadow` the rule is decided and recorded without effect"
            self._refuse("policy_unenforceable", message, path, hint)

    def _can(self, phase: Phase, effect: ActionName) -> bool:
        return self._enforceable is None or (phase.name, effect) in self._enforceable

    def _proposals(self, rule: Rule, actions: Iterable[Action]) -> tuple[Proposal, ...]:
        return tuple(
            Proposal(action=action, policy=self._policy.name, priority=rule.priority, rule=rule.id)
            for action in actions
        )

    def _after(self, rule: Rule) -> tuple[Proposal, ...]:
        if not any(isinstance(action, Retrying) for action in rule.then):
            return ()
        return self._proposals(rule, rule.after_retries or (Block(),))

    def _untold(self, rule: Rule, phase: Phase, path: str) -> tuple[Proposal, ...]:
        denies = "block" in phase.actions and self._can(phase, "block")
        if rule.on_error == "deny" and not denies:
            message = f"`on_error: deny` cannot be carried out in the phase `{phase.name}`"
            self._refuse("policy_unenforceable", message, f"{path}.on_error", "use `annotate`")
        match rule.on_error or ("deny" if denies and changes(rule) else "annotate"):
            case "deny":
                actions: tuple[Action, ...] = (Block(code=INDETERMINATE_CODE),)
            case "fire":
                actions = rule.then
            case "annotate" if "annotate" in phase.actions:
                actions = (Annotate(label=INDETERMINATE_CODE, note=rule.id),)
            case _:
                actions = ()
        return tuple(msgspec.structs.replace(one, because="indeterminate") for one in self._proposals(rule, actions))

    # Searching

    def _channels(self, rule: Rule, phase: Phase, path: str) -> None:
        if rule.match is not None and not phase.channels:
            hint = f"use `when` with a text field, such as `{_text_field(phase)}`"
            self._refuse(
                "policy_field", f"there is nothing to search in the phase `{phase.name}`", f"{path}.match", hint
            )
            return
        for index, channel in enumerate(rule.on):
            if channel.channel not in phase.channels:
                message = f"the phase `{phase.name}` has no channel `{channel.channel}`"
                self._refuse("policy_field", message, f"{path}.on[{index}]", f"it has {either(list(phase.channels))}")
        if rule.match is None:
            for index, action in enumerate(rule.then):
                if effect_of(action) in ("rewrite", "drop"):
                    message = f"`{effect_of(action)}` needs a `match`: there is no span without one"
                    self._refuse("policy_unenforceable", message, f"{path}.then[{index}]")

    def _rows(self, match: Comparison, path: str) -> tuple[Row, ...]:
        if match.op != "detector":
            return ()
        name = str(match.values[0])
        if name not in NAMES:
            self._refuse("policy_field", f"there is no detector `{name}`", path, did_you_mean(name, NAMES))
            return ()
        return rows_of(name)

    def _match(self, match: Comparison, rows: tuple[Row, ...], path: str) -> Admitted | None:
        if match.op == "detector":
            patterns: list[Pattern] = [Regex(row.shape) for row in rows]
        else:
            patterns = [_pattern(match.op, str(value), match.ignore_case) for value in self._values(match)]
        if not patterns:
            return None
        try:
            return admit_any(patterns)
        except PatternProblem as problem:
            self._refuse("policy_pattern", str(problem), path, problem.fix)
            return None

    def _admitted(self, texts: Iterable[str], ignore_case: bool, path: str) -> Iterator[Admitted]:
        for text in texts:
            try:
                yield admit(Regex(text, ignore_case))
            except PatternProblem as problem:
                self._refuse("policy_pattern", str(problem), path, problem.fix)

    # Judging whole answers

    def _expecting(self, rule: Rule, phase: Phase, path: str) -> Expecting | None:
        if rule.expect is None:
            return None
        if not phase.whole:
            whole = [one.name for one in self._phases.values() if one.whole]
            hint = f"the phase {either(whole)} has whole answers" if whole else None
            self._refuse("policy_field", f"there is no whole answer in the phase `{phase.name}`", path, hint)
            return None
        match rule.expect:
            case XmlExpectation(root=root, fenced=fenced):
                return XmlExpecting(root, fenced)
            case JsonExpectation(any_of=alternatives, fenced=fenced):
                forms = [self._form(one, f"{path}.any_of[{index}]") for index, one in enumerate(alternatives)]
                return JsonExpecting(tuple(forms), fenced)

    def _form(self, one: Alternative, path: str) -> Form:
        where = [self._required(each, f"{path}.where[{index}]") for index, each in enumerate(one.where)]
        return Form(
            one.name, self._schema(one.schema, f"{path}.schema"), tuple(one for one in where if one is not None)
        )

    def _schema(self, text: str | None, path: str) -> Schema | None:
        if text is None:
            return None
        try:
            return admit_schema(text)
        except SchemaRefused as refused:
            inside = "".join(f"[{step}]" if isinstance(step, int) else f".{shown_key(step)}" for step in refused.path)
            self._refuse(refused.code, refused.reason, path + inside, refused.fix)
            return None

    def _required(self, requirement: Requirement, path: str) -> Required | None:
        """A requirement's operands are compared as the JSON value that they meet, whatever its type."""
        comparison, op = requirement.test, requirement.test.op
        values = self._values(comparison)
        detector = self._detector(str(values[0]), path) if op == "detector" else None
        if op == "detector" and detector is None:
            return None
        test = Comparing(
            op=op,
            type="text",
            values=values,
            ignore_case=comparison.ignore_case,
            patterns=tuple(self._admitted(map(str, values), comparison.ignore_case, path)) if op == "regex" else (),
            detector=detector,
        )
        return required(requirement, test)

    def _detector(self, name: str, path: str) -> Detector | None:
        detector = self._detectors.get(name)
        if detector is None:
            self._refuse("policy_field", f"there is no detector `{name}`", path, did_you_mean(name, self._detectors))
        return detector

    # Conditions

    def _node(self, condition: Condition, phase: Phase, path: str) -> Node:
        match condition:
            case Every() | Either():
                parts = tuple(
                    self._node(inner, phase, f"{path}.conditions[{index}]")
                    for index, inner in enumerate(condition.conditions)
                )
                return AllOf(parts) if isinstance(condition, Every) else AnyOf(parts)
            case Negation():
                return Inverse(self._node(condition.condition, phase, f"{path}.condition"))
            case MacroUse():
                return self._node(self._macros[condition.name], phase, path)
            case Leaf():
                return self._leaf(condition, phase, path)

    def _leaf(self, leaf: Leaf, phase: Phase, path: str) -> Node:
        field = self._field(leaf.field, phase, path)
        if field is None:
            return ALWAYS
        item: FieldType = "text" if leaf.over != "value" else field.type
        op = leaf.test.op
        if leaf.over != "value" and field.type != "texts":
            self._refuse("policy_field", f"`{leaf.field}` is one {field.type}, not a list", path, f"write `{op}` alone")
            return ALWAYS
        if item not in OPERATORS[op].types:
            message = f"`{op}` cannot compare `{leaf.field}`, which is {_a(field.type)}"
            hint = "ask for its items with `any_of` or `all_of`" if field.type == "texts" else None
            self._refuse("policy_field", message, path, hint or self._fitting(item))
            return ALWAYS
        values = tuple(self._value(value, item, leaf.field, path) for value in self._values(leaf.test))
        detector = None
        if op == "detector":
            detector = self._detector(str(values[0]), path)
            if detector is None:
                return ALWAYS
        test = Comparing(
            op=op,
            type=item,
            values=values,
            ignore_case=leaf.test.ignore_case,
            patterns=tuple(self._admitted(map(str, values), leaf.test.ignore_case, path)) if op == "regex" else (),
            detector=detector,
        )
        return compared(leaf.field, leaf.over, test)

    def _field(self, name: str, phase: Phase, path: str) -> Field | None:
        if name.startswith(STATE):
            return self._state(name.removeprefix(STATE), path)
        if name.startswith(MACHINE):
            return self._machine(name.removeprefix(MACHINE), path)
        field = phase.field(name)
        if field is None:
            elsewhere = [other.name for other in self._phases.values() if other.field(name) is not None]
            message, hint = f"the phase `{phase.name}` has no field `{name}`", did_you_mean(name, phase.names())
            if elsewhere:
                hint = f"the phase {either(elsewhere)} has it"
            else:
                message, hint = budget_fields.unknown(name, phase) or (message, hint)
            self._refuse("policy_field", message, path, hint)
        return field

    def _state(self, name: str, path: str) -> Field | None:
        state: State | None = self._states.get(name)
        if state is None:
            hint = did_you_mean(name, self._states) or "declare it under `state`"
            self._refuse("policy_field", f"this policy declares no state `{name}`", path, hint)
            return None
        if state.measure not in self._measures:
            message = f"this build cannot supply the state `{name}`: it keeps no `{state.measure}`"
            self._refuse("policy_unenforceable", message, path)
            return None
        return recalled_field(f"{STATE}{name}", state)

    def _machine(self, name: str, path: str) -> Field | None:
        if name not in self._machines:
            hint = did_you_mean(name, self._machines) or "declare it under `machines`"
            self._refuse("policy_field", f"this policy declares no machine `{name}`", path, hint)
            return None
        return recalled_field(f"{MACHINE}{name}", self._machines[name])

    def _values(self, test: Comparison) -> tuple[Value, ...]:
        return self._lists[test.list] if test.list is not None else test.values

    def _value(self, value: Value, type_: FieldType, field: str, path: str) -> Value:
        """The value as its field holds it; refused where it can never be equal."""
        match type_, value:
            case "boolean", bool():
                return value
            case "integer", int() if not isinstance(value, bool):
                return value
            case "decimal", int() if not isinstance(value, bool):
                return str(value)
            case (("text" | "decimal"), str()):
                return value
            case _:
                message = f"`{field}` is {_a(type_)} and never {_shown(value)}"
                hint = "put quotes around it" if type_ == "text" else None
                self._refuse("policy_field", message, path, hint)
                return value

    def _fitting(self, type_: FieldType) -> str:
        return f"{_a(type_)} can be compared with {either([op for op, row in OPERATORS.items() if type_ in row.types])}"


def _spans(match: Admitted, rows: tuple[Row, ...]) -> Spans:
    if rows:
        prover = Prover(rows)
        return lambda text: prover.find(text, 0, final=True)
    search = searcher(match)
    return lambda text: None if (found := search(text)) is None else found.span()


def _pattern(op: OperatorName, text: str, ignore_case: bool) -> Pattern:
    return Phrase(text, ignore_case) if op == "contains" else Regex(text, ignore_case)


def _alone(policy: str, rule: Rule, proposals: tuple[Proposal, ...]) -> Decision:
    hidden = rule.enforce == "shadow"
    reasons = (Fired(policy=policy, rule=rule.id, shadow=hidden),)
    return arbitrate((), proposals, reasons) if hidden else arbitrate(proposals, (), reasons)


def changes(rule: Rule) -> bool:
    """Whether a rule can change a call, rather than only speak of it."""
    return any(RANKS[effect_of(action)] > 0 or isinstance(action, Oblige) for action in rule.then)


def _text_field(phase: Phase) -> str:
    return next((field.name for field in phase.fields if field.type == "text"), "caller.tenant")


def _a(type_: FieldType) -> str:
    words: dict[FieldType, str] = {
        "text": "text",
        "texts": "a list of texts",
        "integer": "a whole number",
        "decimal": "a number",
        "boolean": "true or false",
    }
    return words[type_]


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"
