"""A set of stream rules, admitted together: what is wrong with them, and the plans that streams run by.

Rule 1: a set is refused whole, with every problem it has: the rule, the member, the reason and what to write instead.
Rule 2: a rule that cannot keep its promise is refused: a rewrite that holds nothing, a match longer than what may be
held, a replacement or a reminder that would itself set off a rule that ends the answer.
Rule 3: plans are made once for a channel, its rules and their parts, and shared by every stream; PLANS_MAX are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Final, get_args

import msgspec

from wardwright.kernel import globs
from wardwright.kernel.detectors.prover import Prover
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.patterns.admission import Admitted, Regex, admit, admit_any
from wardwright.kernel.patterns.language import PatternProblem
from wardwright.kernel.patterns.search import Finder
from wardwright.streams.automaton import Automaton
from wardwright.streams.net import Mesh
from wardwright.streams.plan import Actions, Loaded, Plan, blocking, part_of, watch
from wardwright.streams.rule import (
    Action,
    Annotate,
    AnyOf,
    Block,
    Detected,
    Drop,
    Match,
    Past,
    Reasoning,
    Retry,
    Rewrite,
    StreamRule,
    Text,
    ToolArguments,
)
from wardwright.streams.units import Unit

RULES_MAX: Final = 1000
REMINDER_CHARS_MAX: Final = 4096
REPLACEMENT_CHARS_MAX: Final = 4096
RETRIES_MAX: Final = 10
HELD_CHARS_LIMIT: Final = 1 << 20
PLANS_MAX: Final = 256


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a rule is refused."""

    rule: str
    member: str
    """A dotted path inside the rule."""
    reason: str
    fix: str
    at: int | None = None
    """Index into the pattern, where that is what is wrong."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What an author should know of a rule that is admitted."""

    rule: str
    says: str


class RuleSet:
    """Rules that were admitted. `actions` settles what each does in one attempt, `plan` how a channel is watched."""

    __slots__ = ("_automata", "_loaded", "_plans", "_reasoning", "_text", "_usual", "notes", "rules", "showing")

    def __init__(self, rules: Sequence[StreamRule]) -> None:
        """Raises WardwrightError `contract_invalid` for the first of `problems`."""
        loaded, found = _load(rules)
        if found:
            first = found[0]
            raise WardwrightError(
                "contract_invalid",
                f"rule {first.rule!r}: {first.reason}",
                place=Place(path=f"{first.rule}.{first.member}"),
                hint=first.fix,
            )
        self.rules = tuple(rules)
        self.notes = _notes(loaded)
        self._loaded = loaded
        self._text, self._reasoning = _watching(self.rules, Text), _watching(self.rules, Reasoning)
        self.showing = tuple(
            index for index, rule in enumerate(rules) if isinstance(rule.then, Retry) and rule.then.keep_partial
        )
        """Rules whose retries show the model what it wrote."""
        self._usual = tuple(_action(rule, None, RETRIES_MAX) for rule in rules)
        self._automata: dict[tuple[int, ...], Automaton] = {}
        self._plans: dict[tuple[tuple[int, ...], Actions | None], Plan] = {}
        """By rules and what they do; None: the usual."""

    def actions(
        self, past: Sequence[Past] = (), *, retries_left: int = RETRIES_MAX, silent: frozenset[str] = frozenset()
    ) -> Actions:
        """What each rule does in the next attempt, after what it did before.

        `retries_left` is what the turn still allows; at 0 every retry rule is spent. `silent` names rules that do not
        take part.
        """
        if not past and not silent and retries_left > 0:
            return self._usual
        before = {one.rule: one for one in past}
        return tuple(
            None if rule.id in silent else _action(rule, before.get(rule.id), retries_left) for rule in self.rules
        )

    def text_plan(self, actions: Actions) -> Plan | None:
        """How the text of an answer is watched; None: it is not."""
        return self.plan(self._text, actions)

    def reasoning_plan(self, actions: Actions) -> Plan | None:
        return self.plan(self._reasoning, actions)

    def watching_tool(self, tool: str) -> tuple[tuple[int, ToolArguments], ...]:
        """The rules over a tool's arguments, each with the place it watches."""
        return tuple(
            (index, one)
            for index, rule in enumerate(self.rules)
            for one in rule.on
            if isinstance(one, ToolArguments) and globs.matches(one.tool, tool)
        )

    def plan(self, indices: tuple[int, ...], actions: Actions) -> Plan | None:
        """How these rules watch a text; None: nothing does. `actions` are those of the whole set."""
        if all(actions[index] is None for index in indices):
            return None
        chosen = None if actions is self._usual else tuple(actions[index] for index in indices)
        plan = self._plans.get((indices, chosen))
        if plan is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
                self._automata.clear()
            plan = self._plans[indices, chosen] = self._make(indices, tuple(actions[index] for index in indices))
        return plan

    def _make(self, indices: tuple[int, ...], actions: Actions) -> Plan:
        watched = [watch(self._loaded[index], action) for index, action in zip(indices, actions, strict=True)]
        net = None
        if any(one.part == "edit" for one in watched) and (blocks := blocking(watched)):
            caught = tuple(indices[index] for index in blocks)
            net = Mesh(self._automaton(caught), tuple(self._loaded[index].prover for index in caught))
        return Plan(watched, self._automaton(indices), net)

    def _automaton(self, indices: tuple[int, ...]) -> Automaton:
        made = self._automata.get(indices)
        if made is None:
            made = self._automata[indices] = Automaton([self._loaded[index].admitted.positions for index in indices])
        return made


def problems(rules: Sequence[StreamRule]) -> tuple[Problem, ...]:
    """Everything that is wrong with a set of rules."""
    return _load(rules)[1]


def _load(rules: Sequence[StreamRule]) -> tuple[tuple[Loaded, ...], tuple[Problem, ...]]:
    found: list[Problem] = []
    loaded: list[Loaded] = []
    seen: set[str] = set()
    if len(rules) > RULES_MAX:
        found.append(_problem(rules[RULES_MAX], "id", f"more than {RULES_MAX} stream rules", "merge patterns with `|`"))
    for rule in rules:
        if rule.id in seen:
            found.append(_problem(rule, "id", "another rule has this id", "give each rule its own"))
        seen.add(rule.id)
        try:
            admitted, finder = _admitted(rule.match)
        except PatternProblem as problem:
            found.append(Problem(rule=rule.id, member="match", reason=problem.reason, fix=problem.fix, at=problem.at))
            continue
        loaded.append(Loaded(rule=rule, admitted=admitted, finder=finder))
        found += _unkept(rule, admitted)
    return tuple(loaded), (*found, *_self_made(loaded))


def _admitted(match: Match) -> tuple[Admitted, Finder | Prover]:
    """Raises PatternProblem."""
    match match:
        case AnyOf(patterns=patterns):
            admitted = admit_any(patterns)
        case Detected(rows=rows):
            return admit_any([Regex(row.shape) for row in rows]), Prover(rows)
        case _:
            admitted = admit(match)
    return admitted, Finder(admitted)


def _watching(rules: Sequence[StreamRule], kind: type[Text | Reasoning]) -> tuple[int, ...]:
    return tuple(index for index, rule in enumerate(rules) if any(isinstance(one, kind) for one in rule.on))


def _problem(rule: StreamRule, member: str, reason: str, fix: str) -> Problem:
    return Problem(rule=rule.id, member=member, reason=reason, fix=fix)


def _unkept(rule: StreamRule, admitted: Admitted) -> list[Problem]:
    """Promises that the rule could not keep."""
    found: list[Problem] = []
    edits = [action for action in _does(rule) if isinstance(action, Rewrite | Drop)]
    on_tools = [isinstance(one, ToolArguments) for one in rule.on]
    if not rule.on:
        found.append(_problem(rule, "on", "it watches no channel", "name one, such as `text`"))
    if rule.commit == "pass" and edits:
        found.append(_problem(rule, "commit", "`pass` holds nothing, so nothing can be changed", "use `exact`"))
    if rule.commit in get_args(Unit) and on_tools and all(on_tools):
        found.append(_problem(rule, "commit", f"tool arguments have no {rule.commit}", "use `tool_call`"))
    if rule.commit == "tool_call" and on_tools and not any(on_tools):
        found.append(_problem(rule, "commit", "text has no tool call to wait for", "use `exact` or `full`"))
    if not 1 <= rule.held_chars_max <= HELD_CHARS_LIMIT:
        found.append(_problem(rule, "held_chars_max", "out of bounds", f"use 1 to {HELD_CHARS_LIMIT}"))
    elif rule.commit != "pass" and not isinstance(rule.then, Annotate) and admitted.chars_min > rule.held_chars_max:
        reason = f"a match has {admitted.chars_min} characters or more, and {rule.held_chars_max} may be held"
        found.append(_problem(rule, "held_chars_max", reason, f"allow at least {admitted.chars_min}"))
    if rule.held_age_ms_max is not None and rule.held_age_ms_max < 1:
        found.append(_problem(rule, "held_age_ms_max", "no time to hold anything", "use 1 or more, or leave it out"))
    if any(isinstance(action, Rewrite) and len(action.replacement) > REPLACEMENT_CHARS_MAX for action in edits):
        reason = f"the replacement is longer than {REPLACEMENT_CHARS_MAX} characters"
        found.append(_problem(rule, "then.replacement", reason, "shorten it"))
    if isinstance(rule.then, Retry):
        found += _unkept_retry(rule, rule.then)
    return found


def _unkept_retry(rule: StreamRule, then: Retry) -> list[Problem]:
    found: list[Problem] = []
    if len(then.reminder) > REMINDER_CHARS_MAX:
        reason = f"the reminder is longer than {REMINDER_CHARS_MAX} characters"
        found.append(_problem(rule, "then.reminder", reason, "say in a sentence what to do instead"))
    if not 0 <= then.retries_max <= RETRIES_MAX:
        found.append(_problem(rule, "then.retries_max", "out of bounds", f"use 0 to {RETRIES_MAX}"))
    if then.repeat_after_turns is not None and then.once_per != "session":
        reason = "turns are counted in a session"
        found.append(_problem(rule, "then.repeat_after_turns", reason, "say `once_per: session`"))
    return found


def _does(rule: StreamRule) -> tuple[Action, ...]:
    """The actions that the rule may have in some attempt."""
    return (rule.then, rule.then.after) if isinstance(rule.then, Retry) else (rule.then,)


def _self_made(loaded: Sequence[Loaded]) -> list[Problem]:
    """Replacements and reminders that would set off a rule that ends the answer."""
    found: list[Problem] = []
    for one in loaded:
        for action in _does(one.rule):
            match action:
                case Rewrite(replacement=text):
                    found += _sets_off(one.rule, "then.replacement", "the replacement", text, loaded, Block)
                case Retry(reminder=text):
                    found += _sets_off(one.rule, "then.reminder", "the reminder", text, loaded, Block | Retry)
                case _:
                    continue
    return found


def _sets_off(
    rule: StreamRule, member: str, what: str, text: str, loaded: Sequence[Loaded], kinds: type | UnionType
) -> list[Problem]:
    """The rules of these kinds that the text would set off."""
    fix = "say it without the text that the rule looks for"
    return [
        _problem(rule, member, f"{what} would itself set off rule {other.rule.id!r}", fix)
        for other in loaded
        if not other.rule.shadow
        and any(isinstance(action, kinds) for action in _does(other.rule))
        and _matches(other.finder, text)
    ]


def _matches(finder: Finder | Prover, text: str) -> bool:
    try:
        return finder.find(text, 0, final=True) is not None
    except TimeoutError:
        return True


def _notes(loaded: Sequence[Loaded]) -> tuple[Note, ...]:
    out: list[Note] = []
    for one in loaded:
        rule, most = one.rule, one.admitted.chars_max
        if rule.commit == "pass" or part_of(rule, rule.then) == "note":
            continue
        if most is None or most > rule.held_chars_max:
            cap = "ends the answer" if rule.on_cap == "fail_closed" else "lets text go unjudged"
            long = "a match may be of any length" if most is None else f"a match may have {most} characters"
            out.append(Note(rule=rule.id, says=f"{long}, and the cap of {rule.held_chars_max} held characters {cap}"))
        if isinstance(rule.then, Retry) and rule.commit == "exact":
            says = "text before a match may have left when it comes, and then the answer ends instead of being retried"
            out.append(Note(rule=rule.id, says=f"{says}; `full` or a unit keeps it back"))
    return tuple(out)


def _action(rule: StreamRule, past: Past | None, retries_left: int) -> Action:
    then = rule.then
    if not isinstance(then, Retry):
        return then
    if past is not None and then.once_per == "session" and past.turns_ago is not None:
        gap = then.repeat_after_turns
        if gap is None or past.turns_ago < gap:
            return Annotate()
    if retries_left <= 0 or (past.retries if past is not None else 0) >= then.retries_max:
        return then.after
    return then
