"""How authors write conditions, comparisons, actions and examples of a policy.

A condition is a mapping with exactly one of

    all: [CONDITION, …]      any: [CONDITION, …]      not: CONDITION      macro: NAME
    in: [caller.tenant, $prod_tenants]            # an operator with its field first
    regex: {field: text.user, value: 'AKIA\\w+', ignore_case: true}
    exists: caller.user
    any_of: [caller.tags, [urgent, batch]]        # some item of a list is one of these
    all_of: {field: tools.names, prefix: docs_}   # every item passes

and the `match` of a rule is the same without a field: `regex: 'OldClient\\('`, `contains: [a, b]`, `detector: iban`.
Text operators take one text, several, or `$list`, and hold where they hold for one of them. An action is its word, or
its word with its members: `drop`, `block: {code: no_secrets}`, or with its first member alone: `block: no_secrets`. An
example maps fields to values; text that must not stand in a document whole is written `{pieces: [AKIA, …]}`.

The canonical form of each is read too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, cast

import msgspec

from wardwright.contracts.decimals import normalise
from wardwright.contracts.policy import (
    ACTIONS_MAX,
    CONDITION_DEPTH_MAX,
    OPERATORS,
    Alert,
    Allow,
    Annotate,
    Block,
    Channel,
    Comparison,
    Condition,
    Drop,
    Either,
    Every,
    Example,
    ExampleFact,
    Exempt,
    InjectReminder,
    Leaf,
    Machine,
    MachineState,
    Macro,
    MacroUse,
    NamedList,
    Negation,
    Oblige,
    OperatorName,
    RequireApproval,
    Reroute,
    RestrictRoutes,
    Retry,
    RetryWithReminder,
    Rewrite,
    SetArgument,
    State,
    SwitchModel,
    Transform,
    Transition,
    Value,
)
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.shapes import ITEMS_MAX, TEXT_CHARS_MAX, WRONG, At, Read, Reader, type_of
from wardwright.contracts.tree import Entry, Items, Scalar, Table, Tree
from wardwright.contracts.wording import either, found, shown, shown_key

CONDITION_TAG: Final = "form"
ACTION_TAG: Final = "act"

GROUPS: Final[dict[str, type[Every | Either | Negation | MacroUse]]] = {
    "all": Every,
    "any": Either,
    "not": Negation,
    "macro": MacroUse,
}
"""Words that make a mapping a condition over conditions."""

QUANTIFIERS: Final = {"any_of": "any", "all_of": "all"}
"""Words that look at the items of a list."""

_FORMS: Final[dict[str, type[Condition]]] = {**GROUPS, "leaf": Leaf}
_WORDS: Final = (*GROUPS, *QUANTIFIERS, *OPERATORS)

ActionClass: TypeAlias = (
    type[Allow]
    | type[Annotate]
    | type[Alert]
    | type[Oblige]
    | type[Transform]
    | type[InjectReminder]
    | type[SetArgument]
    | type[RestrictRoutes]
    | type[SwitchModel]
    | type[Drop]
    | type[Rewrite]
    | type[Reroute]
    | type[Retry]
    | type[RetryWithReminder]
    | type[RequireApproval]
    | type[Block]
)

ACTIONS: Final[dict[str, tuple[ActionClass, str | None]]] = {
    "allow": (Allow, None),
    "annotate": (Annotate, "label"),
    "alert": (Alert, "sink"),
    "oblige": (Oblige, "check"),
    "transform": (Transform, None),
    "inject_reminder": (InjectReminder, "text"),
    "set_argument": (SetArgument, None),
    "restrict_routes": (RestrictRoutes, "to"),
    "switch_model": (SwitchModel, "model"),
    "drop": (Drop, None),
    "rewrite": (Rewrite, "replacement"),
    "reroute": (Reroute, "to"),
    "retry": (Retry, "max"),
    "retry_with_reminder": (RetryWithReminder, "text"),
    "require_approval": (RequireApproval, "message"),
    "block": (Block, "code"),
}
"""Every action: its type, and the member that may stand alone after its word."""

ALIASES: Final = {"ask": "require_approval", "deny": "block"}
"""Other words for an action, as tool policies say them."""


# Conditions


def condition(reader: Reader, tree: Tree, at: At) -> Read:
    """Any condition, in the author's spelling or the canonical one."""
    return _condition(reader, tree, at, 1)


def _condition(reader: Reader, tree: Tree, at: At, depth: int) -> Read:
    reader.note(tree, at)
    if depth > CONDITION_DEPTH_MAX:
        return reader.invalid(tree, at, f"conditions nest deeper than {CONDITION_DEPTH_MAX}", "name a part as a macro")
    if not isinstance(tree, Table):
        hint = "write `eq: [caller.tenant, acme]`, or `all: [ … ]` around several" if isinstance(tree, Items) else None
        return reader.invalid(tree, at, f"a condition is a mapping of one word; here stands {found(tree)}", hint)
    tag = _text_of(tree, CONDITION_TAG)
    if tag in _FORMS and len(tree.entries) > 1:
        return _canonical(reader, tag, tree.without(CONDITION_TAG), at, depth)
    if len(tree.entries) != 1:
        return _not_one_word(reader, tree, at)
    entry = tree.entries[0]
    inside = at.under(shown_key(entry.key))
    match entry.key:
        case "all" | "any" as word:
            return _group(reader, GROUPS[word], entry.value, inside, depth)
        case "not":
            value = _condition(reader, entry.value, At(at.member("condition").typed, inside.written), depth + 1)
            return value if value is WRONG else Negation(condition=cast(Condition, value))
        case "macro":
            value = reader.value(type_of(MacroUse, "name"), entry.value, At(at.member("name").typed, inside.written))
            return value if value is WRONG else MacroUse(name=cast(str, value))
        case word if word in QUANTIFIERS:
            return _quantified(reader, word, entry.value, inside)
        case word if word in OPERATORS:
            return _leaf(reader, word, entry.value, inside)
        case word:
            place = reader.place(entry.key_at, inside)
            message = f"`{shown_key(word)}` is no operator"
            return reader.refuse("contract_unknown_key", message, place, did_you_mean(word, _WORDS))


def _canonical(reader: Reader, tag: str, tree: Table, at: At, depth: int) -> Read:
    """`{"form": "all", "conditions": […]}` and its like."""
    if tag in ("all", "any"):
        entry = tree.get("conditions")
        if entry is not None and len(tree.entries) == 1:
            return _group(reader, GROUPS[tag], entry.value, at, depth)
    if tag == "not":
        entry = tree.get("condition")
        if entry is not None and len(tree.entries) == 1:
            value = _condition(reader, entry.value, at.member("condition"), depth + 1)
            return value if value is WRONG else Negation(condition=cast(Condition, value))
    return reader.members(_FORMS[tag], tree, at)


def _not_one_word(reader: Reader, tree: Table, at: At) -> Read:
    words = [entry for entry in tree.entries if entry.key in _WORDS]
    if len(words) > 1:
        message = (
            f"a condition is one word, and this has {either([entry.key for entry in words]).replace(' or ', ' and ')}"
        )
        return reader.invalid(tree, at, message, "put them into `all: [ … ]`")
    for entry in tree.entries:
        if entry not in words:
            place = reader.place(entry.key_at, at.under(shown_key(entry.key)))
            message = (
                f"`{shown_key(entry.key)}` stands beside a condition" if words else f"`{entry.key}` is no operator"
            )
            return reader.refuse("contract_unknown_key", message, place, did_you_mean(entry.key, _WORDS))
    return reader.invalid(tree, at, "a condition is a mapping of one word; here stands an empty mapping")


def _group(reader: Reader, cls: type, tree: Tree, at: At, depth: int) -> Read:
    if not isinstance(tree, Items) or not tree.items:
        return reader.invalid(tree, at, f"`{at.word}` is a list of conditions; here stands {found(tree)}")
    if len(tree.items) > ITEMS_MAX:
        return reader.invalid(tree, at, f"`{at.word}` has more than {ITEMS_MAX:,} conditions")
    inside = At(at.member("conditions").typed, at.written)
    values = [_condition(reader, item, inside.item(index), depth + 1) for index, item in enumerate(tree.items)]
    return WRONG if WRONG in values else cls(conditions=tuple(values))


# Comparisons


def comparison(reader: Reader, tree: Tree, at: At) -> Read:
    """A comparison without its field: the `match` of a rule."""
    reader.note(tree, at)
    if isinstance(tree, Table) and tree.get("op") is not None:
        return reader.members(Comparison, tree, at)
    if not isinstance(tree, Table) or len(tree.entries) != 1:
        message = f"`{at.word}` is one operator with its operand, such as `regex: 'OldClient\\('`"
        return reader.invalid(tree, at, message)
    return operation(reader, tree.entries[0], at)


def operation(reader: Reader, entry: Entry, at: At) -> Read:
    """One operator without a field: `regex: 'x'`, `contains: [a, b]`, or `regex: {value: 'x', ignore_case: true}`."""
    inside = at.under(shown_key(entry.key))
    if entry.key not in OPERATORS:
        place = reader.place(entry.key_at, inside)
        message = f"`{shown_key(entry.key)}` is no operator"
        return reader.refuse("contract_unknown_key", message, place, did_you_mean(entry.key, OPERATORS))
    op = entry.key
    if isinstance(entry.value, Table):
        return _spelled_out(reader, op, entry.value, inside)
    if OPERATORS[op] == "range" and isinstance(entry.value, Items):
        return _comparison(reader, op, entry.value.items, entry.value, inside)
    return _comparison(reader, op, (entry.value,), entry.value, inside)


def _leaf(reader: Reader, op: OperatorName, tree: Tree, at: At) -> Read:
    """An operator with its field: `eq: [caller.role, sre]`, `regex: {field: …, value: …}`, `exists: caller.user`."""
    match tree:
        case Items(items=(first, *operands)):
            return _with_field(reader, first, _comparison(reader, op, tuple(operands), tree, at), at)
        case Table():
            entry = tree.get("field")
            if entry is None:
                return reader.invalid(tree, at, f"`{op}` needs the `field` that it compares", "add `field: …`")
            test = _spelled_out(reader, op, tree.without("field"), at)
            return _with_field(reader, entry.value, test, at)
        case Scalar() if OPERATORS[op] == "none":
            return _with_field(reader, tree, Comparison(op=op), at)
        case _:
            message = f"`{op}` takes its field and {_wanted(op)}; here stands {found(tree)}"
            return reader.invalid(tree, at, message, f"write `{op}: [FIELD{_shape(op)}]`")


def _quantified(reader: Reader, word: str, tree: Tree, at: At) -> Read:
    match tree:
        case Items(items=(first, second)):
            test = _comparison(reader, "in", (second,), tree, at)
            return _with_field(reader, first, test, at, QUANTIFIERS[word])
        case Table() if (entry := tree.get("field")) is not None:
            rest = tree.without("field")
            if len(rest.entries) == 1:
                return _with_field(reader, entry.value, operation(reader, rest.entries[0], at), at, QUANTIFIERS[word])
    hint = f"write `{word}: [FIELD, [a, b]]`, or `{word}: {{field: FIELD, prefix: a}}`"
    return reader.invalid(tree, at, f"`{word}` takes a field and what its items are compared with", hint)


def _with_field(reader: Reader, tree: Tree, test: Read, at: At, over: str = "value") -> Read:
    field = reader.value(type_of(Leaf, "field"), tree, At(at.member("field").typed, at.written))
    if WRONG in (field, test):
        return WRONG
    return Leaf(field=cast(str, field), test=cast(Comparison, test), over=over)  # type: ignore[arg-type]


def _spelled_out(reader: Reader, op: OperatorName, tree: Table, at: At) -> Read:
    """The members `value`, or `low` and `high`, and `ignore_case`."""
    operands = ("low", "high") if OPERATORS[op] == "range" else () if OPERATORS[op] == "none" else ("value",)
    known = (*operands, "ignore_case") if OPERATORS[op] == "texts" else operands
    unknown = [entry for entry in tree.entries if entry.key not in known]
    for entry in unknown:
        place = reader.place(entry.key_at, at.member(shown_key(entry.key)))
        hint = did_you_mean(entry.key, (*known, "field"))
        reader.refuse("contract_unknown_key", f"`{op}` has no member `{shown_key(entry.key)}`", place, hint)
    given = [tree.get(name) for name in operands]
    if unknown:
        return WRONG
    if None in given:
        return reader.invalid(tree, at, f"`{op}` needs {either(list(operands)).replace(' or ', ' and ')}")
    flag = tree.get("ignore_case")
    ignore_case: Read = False
    if flag is not None:
        ignore_case = reader.value(type_of(Comparison, "ignore_case"), flag.value, at.member("ignore_case"))
    trees = tuple(cast(Entry, entry).value for entry in given)
    made = _comparison(reader, op, trees, tree, at)
    if WRONG in (made, ignore_case):
        return WRONG
    return msgspec.structs.replace(cast(Comparison, made), ignore_case=cast(bool, ignore_case))


def _comparison(reader: Reader, op: OperatorName, operands: Sequence[Tree], whole: Tree, at: At) -> Read:
    wanted = OPERATORS[op]
    count = {"none": 0, "range": 2}.get(wanted, 1)
    if len(operands) != count:
        many = "; put several in brackets" if wanted in ("many", "texts") else ""
        message = f"`{op}` takes its field and {_wanted(op)}; here are {len(operands)} operands{many}"
        return reader.invalid(whole, at, message, f"write `{op}: [FIELD{_shape(op)}]`")
    if wanted in ("many", "texts") and (name := _list_name(operands[0])) is not None:
        return Comparison(op=op, list=name)
    trees = operands
    if wanted in ("many", "texts") and isinstance(operands[0], Items):
        trees = operands[0].items
        if not trees or len(trees) > ITEMS_MAX:
            return reader.invalid(operands[0], at, f"`{op}` takes 1 to {ITEMS_MAX:,} values; here are {len(trees):,}")
    elif wanted == "many":
        hint = "put it in brackets, or name a list as `$list`"
        return reader.invalid(operands[0], at, f"`{op}` takes a list; here stands {found(operands[0])}", hint)
    values = [value_of(reader, tree, at) for tree in trees]
    if WRONG in values:
        return WRONG
    made = Comparison(op=op, values=tuple(cast(list[Value], values)))
    return WRONG if (why := unfit(made)) is not None and reader.invalid(whole, at, *why) is WRONG else made


def unfit(test: Comparison) -> tuple[str, str | None] | None:
    """What is wrong with the operands of a comparison and what to do, whatever its field; None where nothing is."""
    op, values, wanted = test.op, test.values, OPERATORS[test.op]
    if test.list is not None:
        return ("`values` and `list` stand side by side", "remove one of them") if values else None
    if (wanted in ("texts", "name")) and not all(isinstance(value, str) and value for value in values):
        return f"`{op}` compares text; put quotes around it", None
    if wanted in ("number", "range") and not all(_is_number(value) for value in values):
        return f"`{op}` compares numbers", None
    if wanted == "range" and len(values) == 2 and _number(values[0]) > _number(values[1]):
        return f"nothing lies between {values[0]} and {values[1]}", "write the smaller number first"
    if test.ignore_case and wanted != "texts":
        return f"`ignore_case` means nothing to `{op}`", "remove it"
    counts = {"one": 1, "number": 1, "name": 1, "range": 2, "none": 0}
    if len(values) != counts.get(wanted, len(values)) or (wanted in ("many", "texts") and not values):
        return f"`{op}` takes {_wanted(op)}", None
    return None


def value_of(reader: Reader, tree: Tree, at: At) -> Read:
    """One value: text, a number, true or false."""
    match tree:
        case Scalar(form="text", value=str() as text) if len(text) <= TEXT_CHARS_MAX:
            return text
        case Scalar(form="integer" | "boolean", value=value):
            return value
        case Scalar(form="decimal", value=value) if (decimal := normalise(str(value))) is not None:
            return decimal
        case _:
            message = f"`{at.word}` takes text, a number, true or false; here stands {found(tree)}"
            return reader.invalid(tree, at, message)


def _list_name(tree: Tree) -> str | None:
    text = tree.value if isinstance(tree, Scalar) and tree.form == "text" else None
    return text[1:] if isinstance(text, str) and text.startswith("$") and len(text) > 1 else None


def _is_number(value: Value) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or normalise(value) == value)


def _number(value: Value) -> float:
    return float(value)


def _wanted(op: OperatorName) -> str:
    match OPERATORS[op]:
        case "one":
            return "one value"
        case "many":
            return "a list of values or `$list`"
        case "texts":
            return "a text, a list of texts or `$list`"
        case "number":
            return "a number"
        case "range":
            return "two numbers"
        case "none":
            return "nothing else"
        case "name":
            return "a name"


def _shape(op: OperatorName) -> str:
    shapes = {"one": ", VALUE", "many": ", [A, B]", "texts": ", TEXT", "number": ", 1", "range": ", 1, 2", "none": ""}
    return shapes.get(OPERATORS[op], ", NAME")


# Actions


def action(reader: Reader, tree: Tree, at: At) -> Read:
    """Any action, in the author's spelling or the canonical one."""
    reader.note(tree, at)
    match tree:
        case Scalar(form="text", value=str() as written):
            entry = Entry(written, tree.at, Table((), tree.at))
        case Table() if (tag := _text_of(tree, ACTION_TAG)) in ACTIONS:
            return reader.members(ACTIONS[tag][0], tree.without(ACTION_TAG), at)
        case Table(entries=(entry,)):
            pass
        case _:
            hint = "write `- block: {code: …}`, and each action as an item of its own"
            return reader.invalid(tree, at, f"an action is one word with its members; here stands {found(tree)}", hint)
    word = ALIASES.get(entry.key, entry.key)
    inside = at.under(shown_key(entry.key))
    if word not in ACTIONS:
        message = f"`{shown_key(entry.key)}` is no action"
        meant = did_you_mean(word, [*ACTIONS, *ALIASES])
        return reader.refuse("contract_unknown_key", message, reader.place(entry.key_at, inside), meant)
    row = ACTIONS[word]
    if isinstance(entry.value, Table):
        return reader.members(row[0], entry.value, inside)
    if row[1] is None:
        return reader.invalid(
            entry.value, inside, f"`{word}` takes members or nothing; here stands {found(entry.value)}"
        )
    bare, value = row[1], entry.value
    if bare == "to" and isinstance(value, Scalar):
        value = Items((value,), value.at)
    return reader.members(row[0], Table((Entry(bare, entry.key_at, value),), value.at), inside, bare=bare)


def actions(reader: Reader, tree: Tree, at: At) -> Read:
    """A list of actions, or one."""
    if not isinstance(tree, Items):
        value = action(reader, tree, at.item(0))
        return value if value is WRONG else (value,)
    if not 1 <= len(tree.items) <= ACTIONS_MAX:
        return reader.invalid(tree, at, f"`{at.word}` has 1 to {ACTIONS_MAX} actions; here are {len(tree.items)}")
    values = [action(reader, item, at.item(index)) for index, item in enumerate(tree.items)]
    return WRONG if WRONG in values else tuple(values)


# What has a name, and channels


def channel(reader: Reader, tree: Tree, at: At) -> Read:
    """`text`, or `{tool_arguments: {tool: edit, pointer: /path}}`."""
    match tree:
        case Scalar():
            name = reader.value(type_of(Channel, "channel"), tree, At(at.member("channel").typed, at.written))
            return name if name is WRONG else Channel(channel=name)  # type: ignore[arg-type]
        case Table(entries=(Entry(key="tool_arguments", value=Table() as inside),)) if inside.get("channel") is None:
            entry = Entry("channel", tree.at, Scalar("tool_arguments", "text", tree.at))
            return reader.members(Channel, Table((entry, *inside.entries), tree.at), at.under("tool_arguments"))
        case _:
            return reader.members(Channel, tree, at)


def exempt(reader: Reader, tree: Tree, at: At) -> Read:
    """A condition with a `name` beside it."""
    if not isinstance(tree, Table) or tree.get("when") is not None or tree.get("name") is None:
        return reader.members(Exempt, tree, at)
    name = reader.value(type_of(Exempt, "name"), cast(Entry, tree.get("name")).value, at.member("name"))
    when = condition(reader, tree.without("name"), At(at.member("when").typed, at.written))
    return WRONG if WRONG in (name, when) else Exempt(name=cast(str, name), when=cast(Condition, when))


def named_lists(reader: Reader, tree: Tree, at: At) -> Read:
    return _by_name(reader, tree, at, _named_list)


def macros(reader: Reader, tree: Tree, at: At) -> Read:
    return _by_name(reader, tree, at, _macro)


def states(reader: Reader, tree: Tree, at: At) -> Read:
    return _by_name(reader, tree, at, _state)


def machines(reader: Reader, tree: Tree, at: At) -> Read:
    return _by_name(reader, tree, at, _named(Machine))


def machine_states(reader: Reader, tree: Tree, at: At) -> Read:
    """A mapping from names to `{}`, `{terminal: true}`, `{restrict_routes: [ … ]}`; one without members may be bare."""
    return _by_name(reader, tree, at, _named(MachineState))


def transition(reader: Reader, tree: Tree, at: At) -> Read:
    """`{from: a, on: label, to: b}`; the canonical form says `origin` for `from`."""
    reader.note(tree, at)
    if not isinstance(tree, Table):
        hint = "write `{from: one, on: label, to: other}`"
        return reader.invalid(tree, at, f"a transition is a mapping; here stands {found(tree)}", hint)
    if tree.get("from") is None and tree.get("origin") is None:
        return reader.invalid(tree, at, "a transition needs `from`, the state it leads from")
    entries: list[Entry] = []
    for one in tree.entries:
        if one.key == "from":
            reader.note(one.value, At(at.member("origin").typed, at.member("from").written))
        entries.append(Entry("origin", one.key_at, one.value) if one.key == "from" else one)
    if sum(one.key == "origin" for one in entries) > 1:
        return reader.invalid(tree, at, "`from` and `origin` say the same", "remove one of them")
    return reader.members(Transition, Table(tuple(entries), tree.at), at)


_OfName: TypeAlias = Callable[[Reader, Read, Tree, At], Read]


def _by_name(reader: Reader, tree: Tree, at: At, make: _OfName) -> Read:
    """A mapping from names, or the canonical list of values with a `name`; sorted by name."""
    made: dict[str, Read] = {}
    for name_tree, value, inside in _pairs(reader, tree, at):
        if name_tree is None:
            return WRONG
        name = reader.value(type_of(NamedList, "name"), name_tree, inside.member("name"))
        if isinstance(name, str) and name in made:
            reader.invalid(name_tree, inside, f"`{name}` stands twice in `{at.word}`", "rename one of them")
            return WRONG
        made[str(name)] = WRONG if name is WRONG else make(reader, name, value, inside)
    return WRONG if WRONG in made.values() else tuple(made[name] for name in sorted(made))


def _pairs(reader: Reader, tree: Tree, at: At) -> list[tuple[Tree | None, Tree, At]]:
    """Names, what they stand for, and where: typed paths count in the order of names, as the typed value does."""
    match tree:
        case Table(entries=entries):
            rank = _ranks([entry.key for entry in entries])
            return [
                (
                    Scalar(entry.key, "text", entry.key_at),
                    entry.value,
                    At(at.item(rank[entry.key]).typed, at.member(shown_key(entry.key)).written),
                )
                for entry in entries
            ]
        case Items(items=items) if all(isinstance(item, Table) and item.get("name") is not None for item in items):
            tables = [cast(Table, item) for item in items]
            rank = _ranks([_text_of(table, "name") for table in tables])
            return [
                (
                    cast(Entry, table.get("name")).value,
                    table.without("name"),
                    At(at.item(rank[_text_of(table, "name")]).typed, at.item(index).written),
                )
                for index, table in enumerate(tables)
            ]
        case _:
            reader.invalid(tree, at, f"`{at.word}` maps names to what they stand for; here stands {found(tree)}")
            return [(None, tree, at)]


def _ranks(names: Sequence[str]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(sorted(set(names)))}


def _named_list(reader: Reader, name: Read, tree: Tree, at: At) -> Read:
    reader.note(tree, at)
    if isinstance(tree, Table) and (entry := tree.get("items")) is not None:
        tree = entry.value
    if not isinstance(tree, Items) or not 1 <= len(tree.items) <= ITEMS_MAX:
        return reader.invalid(tree, at, f"a list has 1 to {ITEMS_MAX:,} values; here stands {found(tree)}")
    values = [value_of(reader, item, at.item(index)) for index, item in enumerate(tree.items)]
    if WRONG in values:
        return WRONG
    kept = sorted({(type(value).__name__, value) for value in cast(list[Value], values)}, key=str)
    return NamedList(name=cast(str, name), items=tuple(value for _, value in kept))


def _macro(reader: Reader, name: Read, tree: Tree, at: At) -> Read:
    if isinstance(tree, Table) and (entry := tree.get("when")) is not None and len(tree.entries) == 1:
        tree = entry.value
    when = condition(reader, tree, At(at.member("when").typed, at.written))
    return when if when is WRONG else Macro(name=cast(str, name), when=cast(Condition, when))


def _state(reader: Reader, name: Read, tree: Tree, at: At) -> Read:
    """`{count: [label], scope: session}`, or the canonical members."""
    if not isinstance(tree, Table):
        return reader.invalid(tree, at, f"state says its measure and scope; here stands {found(tree)}")
    entries = list(tree.entries)
    for index, entry in enumerate(entries):
        if entry.key in ("count", "sum", "distinct", "formerly", "sequence", "absent"):
            events = entry.value if isinstance(entry.value, Items) else Items((entry.value,), entry.value.at)
            entries[index : index + 1] = [
                Entry("measure", entry.key_at, Scalar(entry.key, "text", entry.key_at)),
                Entry("events", entry.key_at, events),
            ]
            break
    entries.append(Entry("name", tree.at, Scalar(cast(str, name), "text", tree.at)))
    return reader.members(State, Table(tuple(entries), tree.at), at)


def _named(cls: type[Machine] | type[MachineState]) -> _OfName:
    """Reads the members of a struct whose name stands before them."""

    def read(reader: Reader, name: Read, tree: Tree, at: At) -> Read:
        reader.note(tree, at)
        bare = cls is MachineState and isinstance(tree, Scalar) and tree.form == "null"
        if not isinstance(tree, Table) and not bare:
            what = "a machine" if cls is Machine else "a state of a machine"
            return reader.invalid(tree, at, f"{what} is a mapping of its members; here stands {found(tree)}")
        entries = tree.entries if isinstance(tree, Table) else ()
        entry = Entry("name", tree.at, Scalar(cast(str, name), "text", tree.at))
        return reader.members(cls, Table((*entries, entry), tree.at), at)

    return read


# Examples


def example(reader: Reader, tree: Tree, at: At) -> Read:
    """A mapping from fields to what they hold."""
    reader.note(tree, at)
    if isinstance(tree, Table) and isinstance(getattr(tree.get("facts"), "value", None), Items):
        return reader.members(Example, tree, at)
    if not isinstance(tree, Table) or not tree.entries:
        return reader.invalid(tree, at, f"an example maps fields to values; here stands {found(tree)}")
    values = [_fact(reader, entry, at) for entry in tree.entries]
    if WRONG in values:
        return WRONG
    return Example(facts=tuple(sorted(cast(list[ExampleFact], values), key=lambda fact: fact.field)))


def _fact(reader: Reader, entry: Entry, at: At) -> Read:
    inside = at.under(shown_key(entry.key))
    shape = "value"
    items: Sequence[Tree] = (entry.value,)
    match entry.value:
        case Items(items=several):
            shape, items = "list", several
        case Table(entries=(Entry(key="pieces", value=Items(items=several)),)):
            shape, items = "pieces", several
        case Scalar():
            pass
        case _:
            hint = "write a value, a list, or `{pieces: [ … ]}` for text in pieces"
            return reader.invalid(entry.value, inside, f"`{shown(entry.key)[1:-1]}` holds {found(entry.value)}", hint)
    values = [value_of(reader, item, inside) for item in items]
    if WRONG in values:
        return WRONG
    if shape == "pieces" and not all(isinstance(value, str) for value in values):
        return reader.invalid(entry.value, inside, "`pieces` are texts that are joined")
    return ExampleFact(field=entry.key, values=tuple(cast(list[Value], values)), shape=shape)  # type: ignore[arg-type]


def _text_of(table: Table, key: str) -> str:
    entry = table.get(key)
    value = entry.value.value if entry is not None and isinstance(entry.value, Scalar) else None
    return value if isinstance(value, str) else ""
