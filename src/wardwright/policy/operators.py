"""The operators of conditions: for each, all that the rest of policy asks of it.

An operator is a row of OPERATORS: which types it compares, how dear it is, how it is evaluated, said in words, brought
to hold and just not to hold, and lowered for analysis. To add one is to add its row here and in `contracts.policy`.

Rule 1: a check reads one snapshot and answers true or false. An absent field (None) satisfies nothing but a negation.
Rule 2: a check that cannot be told raises: TimeoutError where a search took too long. Everything three-valued is in
`policy.conditions`.
Rule 3: `lower` never claims too little: a region holds every value for which the comparison can be true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import msgspec

from wardwright.contracts.decimals import compare
from wardwright.contracts.policy import OperatorName, Value
from wardwright.kernel.detectors.samples import SAMPLES, Samples
from wardwright.kernel.detectors.table import NAMES, rows_of, words
from wardwright.kernel.globs import matches
from wardwright.kernel.patterns.admission import Admitted
from wardwright.kernel.patterns.search import finds, samples, searcher
from wardwright.policy.phases import Fact, FieldType, View
from wardwright.policy.regions import Region

Check: TypeAlias = Callable[[View], bool]
"""A compiled condition."""

Detector: TypeAlias = Callable[[str], object | None]
"""Finds something in a text, or gives None."""

ITEM: Final = "item"
"""The key under which a list's items are compared one by one."""


class Comparing(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, its lists resolved, its patterns admitted."""

    op: OperatorName
    type: FieldType
    """Of what is compared: for a quantified list, of its items."""
    values: tuple[Value, ...] = ()
    ignore_case: bool = False
    patterns: tuple[Admitted, ...] = ()
    """For `regex`, one a value."""
    detector: Detector | None = None


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one operator."""

    types: frozenset[FieldType]
    cost: int
    """Cheaper comparisons of a condition are made first."""
    check: Callable[[str, Comparing], Check]
    """The comparison of the field under a key."""
    said: Callable[[Comparing], str]
    """What follows the field's name in a sentence."""
    denied: Callable[[Comparing], str]
    """The same for the opposite."""
    witnesses: Callable[[Comparing], Iterable[Fact]]
    """A few values for which it holds, where they can be made."""
    near_misses: Callable[[Comparing], Iterable[Fact]]
    """A few values for which it just does not hold."""
    lower: Callable[[Comparing], Region]
    """Where it can be true."""


def folded(key: str) -> str:
    """Where a snapshot keeps a field's text case folded, once somebody asked for it."""
    return f"{key}\0folded"


def keeps(test: Comparing) -> bool:
    """Whether checking it keeps something in the snapshot."""
    folds = any(one.literal is not None and one.literal.folded for one in test.patterns)
    return test.ignore_case or folds or test.op == "detector"


# Equality


def _eq(key: str, test: Comparing) -> Check:
    wanted = test.values[0]
    return lambda view: view[key] == wanted


def _in(key: str, test: Comparing) -> Check:
    wanted = frozenset(test.values)
    return lambda view: view[key] in wanted


def _exists(key: str, test: Comparing) -> Check:
    return lambda view: view[key] is not None


def _other(value: Value) -> Fact:
    """A value next to one, and different from it."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case _:
            return value[:-1] + ("y" if value[-1:] == "x" else "x")


def _others(test: Comparing) -> Iterable[Fact]:
    return [other for other in (_other(value) for value in test.values) if other not in test.values][:2]


def _something(test: Comparing) -> Iterable[Fact]:
    made: dict[FieldType, Fact] = {"text": "x", "texts": ("x",), "integer": 1, "decimal": "1", "boolean": True}
    return [made[test.type]]


# Numbers


def _number(key: str, test: Comparing) -> Check:
    bound: Any = test.values[0]
    if test.type == "decimal":
        return _decimal(key, test)
    match test.op:
        case "gt":
            return lambda view: (value := view[key]) is not None and value > bound
        case "gte":
            return lambda view: (value := view[key]) is not None and value >= bound
        case "lt":
            return lambda view: (value := view[key]) is not None and value < bound
        case _:
            return lambda view: (value := view[key]) is not None and value <= bound


_SIGNS: Final[dict[str, frozenset[int]]] = {
    "gt": frozenset({1}),
    "gte": frozenset({0, 1}),
    "lt": frozenset({-1}),
    "lte": frozenset({-1, 0}),
}
"""What a comparison of decimals may come out as."""


def _decimal(key: str, test: Comparing) -> Check:
    bound, signs = str(test.values[0]), _SIGNS[test.op]

    def check(view: View) -> bool:
        value = view[key]
        return isinstance(value, str) and compare(value, bound) in signs

    return check


def _between(key: str, test: Comparing) -> Check:
    low, high = test.values
    if test.type == "decimal":
        first, last = str(low), str(high)

        def check(view: View) -> bool:
            value = view[key]
            return isinstance(value, str) and compare(value, first) >= 0 and compare(value, last) <= 0

        return check
    bounds: Any = (low, high)
    return lambda view: (value := view[key]) is not None and bounds[0] <= value <= bounds[1]


def _steps(test: Comparing, *offsets: int) -> Iterable[Fact]:
    """Numbers beside the bounds; decimals have none worth naming."""
    whole = [value for value in test.values if isinstance(value, int)]
    return [value + offset for value, offset in zip(whole, offsets, strict=False)]


# Text


def _texts(test: Comparing) -> tuple[str, ...]:
    texts = tuple(str(value) for value in test.values)
    return tuple(text.casefold() for text in texts) if test.ignore_case else texts


def _read(key: str, test: Comparing, holds: Callable[[str], bool]) -> Check:
    """A check over the text of a field, case folded once a snapshot where case is ignored."""
    if not test.ignore_case:

        def plain(view: View) -> bool:
            value: Any = view[key]
            return value is not None and holds(value)

        return plain
    kept = folded(key)

    def ignoring(view: View) -> bool:
        value: Any = view.get(kept)
        if value is None:
            text: Any = view[key]
            if text is None:
                return False
            value = view[kept] = text.casefold()
        return holds(value)

    return ignoring


def _contains(key: str, test: Comparing) -> Check:
    texts = _texts(test)
    if len(texts) == 1 and not test.ignore_case:
        needle: Any = texts[0]

        def one(view: View) -> bool:
            value: Any = view[key]
            return value is not None and needle in value

        return one

    def some(value: str) -> bool:
        for text in texts:  # noqa: SIM110 (a generator costs as much as the search)
            if text in value:
                return True
        return False

    return _read(key, test, some)


def _prefix(key: str, test: Comparing) -> Check:
    texts = _texts(test)
    return _read(key, test, lambda value: value.startswith(texts))


def _suffix(key: str, test: Comparing) -> Check:
    texts = _texts(test)
    return _read(key, test, lambda value: value.endswith(texts))


def _glob(key: str, test: Comparing) -> Check:
    globs = _texts(test)
    return _read(key, test, lambda value: any(matches(glob, value) for glob in globs))


def _regex(key: str, test: Comparing) -> Check:
    checks = [_search(key, test, pattern) for pattern in test.patterns]
    return checks[0] if len(checks) == 1 else lambda view: any(check(view) for check in checks)


def _search(key: str, test: Comparing, pattern: Admitted) -> Check:
    search = searcher(pattern)

    def plain(view: View) -> bool:
        value: Any = view[key]
        return value is not None and search(value) is not None

    literal = pattern.literal
    if literal is None or (pattern.short and not literal.folded):
        return plain
    sought = msgspec.structs.replace(test, op="contains", values=(literal.text,), ignore_case=literal.folded)
    holds_literal = _contains(key, sought)
    return lambda view: holds_literal(view) and plain(view)


def _detector(key: str, test: Comparing) -> Check:
    detect = test.detector
    assert detect is not None
    detect("")  # made ready now, not at the first request
    kept = f"{key}\0{test.values[0]}"

    def check(view: View) -> bool:
        found = view.get(kept)
        if found is None:
            value: Any = view[key]
            found = view[kept] = value is not None and detect(value) is not None
        return found is True

    return check


def _detected(test: Comparing) -> Iterable[Fact]:
    """Texts of the kernel's samples in which it finds something."""
    texts = [text for samples in _samples(test) for text in samples.texts()]
    return [text for text in texts if test.detector is not None and test.detector(text)][:2]


def _undetected(test: Comparing) -> Iterable[Fact]:
    texts = [text for samples in _samples(test) for text in samples.lookalikes()]
    return [text for text in texts if test.detector is not None and not test.detector(text)][:2]


def _samples(test: Comparing) -> list[Samples]:
    name = str(test.values[0])
    return [SAMPLES[row.name] for row in rows_of(name)] if name in NAMES else []


def _with_around(make: Callable[[str], str]) -> Callable[[Comparing], Iterable[Fact]]:
    return lambda test: [make(str(value)) for value in test.values[:2]]


def _without(test: Comparing) -> Iterable[Fact]:
    """The texts with one character changed, as far as none of them is still in it."""
    texts = [str(value) for value in test.values]
    changed = [str(_other(text)) for text in texts[:2]]
    return [one for one in changed if not any(text.casefold() in one.casefold() for text in texts)]


def _globbed(test: Comparing) -> Iterable[Fact]:
    return [str(value).replace("*", "x") for value in test.values[:2]]


def _unglobbed(test: Comparing) -> Iterable[Fact]:
    globs = _texts(test)
    return [one for one in ("", "x") if not any(matches(glob, one) for glob in globs)][:1]


def _sampled(test: Comparing) -> Iterable[Fact]:
    return [text for pattern in test.patterns for text in samples(pattern)][:2]


def _unsampled(test: Comparing) -> Iterable[Fact]:
    """Samples with one character changed, so that no pattern finds anything."""
    searches = [searcher(pattern) for pattern in test.patterns]
    found: list[Fact] = []
    for one in _sampled(test):
        text = str(one)
        for at in range(len(text)):
            changed = text[:at] + "\x01" + text[at + 1 :]
            if not any(finds(search, changed) for search in searches):
                found.append(changed)
                break
    return found


# Words


def _quoted(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:,}"
        case _:
            return f"`{value}`"


def _list(test: Comparing, last: str = "or") -> str:
    words = [_quoted(value) for value in test.values]
    if len(words) > _SAID_MAX:
        words = [*words[:_SAID_MAX], f"{len(words) - _SAID_MAX} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" {last} {words[-1]}"


_SAID_MAX: Final = 6
"""Values that a sentence names."""


def _says(before: str) -> Callable[[Comparing], str]:
    return lambda test: f"{before} {_list(test)}" + (" in any case" if test.ignore_case else "")


def _says_between(before: str) -> Callable[[Comparing], str]:
    return lambda test: f"{before} {_list(test, 'and')}"


# Regions


def _values(test: Comparing) -> Region:
    return Region(values=frozenset(test.values), present=True)


def _interval(test: Comparing) -> Region:
    if test.type != "integer":
        return Region(present=True, opaque=True)
    bounds = [value for value in test.values if isinstance(value, int)]
    match test.op:
        case "gt":
            return Region(low=bounds[0] + 1, present=True)
        case "gte":
            return Region(low=bounds[0], present=True)
        case "lt":
            return Region(high=bounds[0] - 1, present=True)
        case "lte":
            return Region(high=bounds[0], present=True)
        case _:
            return Region(low=bounds[0], high=bounds[1], present=True)


def _predicate(test: Comparing) -> Region:
    """A text predicate: opaque, but for candidates that are known."""
    check = OPERATORS[test.op].check(ITEM, test)
    return Region(present=True, tests=(lambda value: check({ITEM: value}),))


def _presence(test: Comparing) -> Region:
    return Region(present=True)


def _opaque(test: Comparing) -> Region:
    return Region(present=True, opaque=True)


_SCALARS: Final[frozenset[FieldType]] = frozenset({"text", "integer", "decimal", "boolean"})
_TEXT: Final[frozenset[FieldType]] = frozenset({"text"})
_NUMBERS: Final[frozenset[FieldType]] = frozenset({"integer", "decimal"})
_ALL: Final[frozenset[FieldType]] = frozenset({"text", "texts", "integer", "decimal", "boolean"})


def _text_operator(
    check: Callable[[str, Comparing], Check],
    cost: int,
    words: tuple[str, str],
    witnesses: Callable[[Comparing], Iterable[Fact]],
    near_misses: Callable[[Comparing], Iterable[Fact]],
) -> Operator:
    return Operator(
        types=_TEXT,
        cost=cost,
        check=check,
        said=_says(words[0]),
        denied=_says(words[1]),
        witnesses=witnesses,
        near_misses=near_misses,
        lower=_predicate,
    )


def _number_operator(words: tuple[str, str], witness: int, miss: int) -> Operator:
    return Operator(
        types=_NUMBERS,
        cost=1,
        check=_number,
        said=_says(words[0]),
        denied=_says(words[1]),
        witnesses=lambda test: _steps(test, witness),
        near_misses=lambda test: _steps(test, miss),
        lower=_interval,
    )


OPERATORS: Final[dict[OperatorName, Operator]] = {
    "eq": Operator(
        types=_SCALARS,
        cost=1,
        check=_eq,
        said=_says("is"),
        denied=_says("is not"),
        witnesses=lambda test: list(test.values),
        near_misses=_others,
        lower=_values,
    ),
    "in": Operator(
        types=_SCALARS,
        cost=1,
        check=_in,
        said=_says("is"),
        denied=_says("is not"),
        witnesses=lambda test: list(test.values[:2]),
        near_misses=_others,
        lower=_values,
    ),
    "prefix": _text_operator(
        _prefix, 2, ("begins with", "does not begin with"), _with_around(lambda text: f"{text}x"), _without
    ),
    "suffix": _text_operator(
        _suffix, 2, ("ends with", "does not end with"), _with_around(lambda text: f"x{text}"), _without
    ),
    "contains": _text_operator(
        _contains, 3, ("contains", "does not contain"), _with_around(lambda text: f"x {text} x"), _without
    ),
    "glob": _text_operator(_glob, 4, ("looks like", "does not look like"), _globbed, _unglobbed),
    "regex": _text_operator(_regex, 6, ("matches", "does not match"), _sampled, _unsampled),
    "gt": _number_operator(("is more than", "is not more than"), 1, 0),
    "gte": _number_operator(("is at least", "is not at least"), 0, -1),
    "lt": _number_operator(("is less than", "is not less than"), -1, 0),
    "lte": _number_operator(("is at most", "is not at most"), 0, 1),
    "between": Operator(
        types=_NUMBERS,
        cost=1,
        check=_between,
        said=_says_between("is between"),
        denied=_says_between("is not between"),
        witnesses=lambda test: _steps(test, 0, 0),
        near_misses=lambda test: _steps(test, -1, 1),
        lower=_interval,
    ),
    "exists": Operator(
        types=_ALL,
        cost=1,
        check=_exists,
        said=lambda test: "is known",
        denied=lambda test: "is unknown",
        witnesses=_something,
        near_misses=lambda test: [None],
        lower=_presence,
    ),
    "detector": Operator(
        types=_TEXT,
        cost=20,
        check=_detector,
        said=lambda test: f"holds {words(str(test.values[0]))}",
        denied=lambda test: f"does not hold {words(str(test.values[0]))}",
        witnesses=_detected,
        near_misses=_undetected,
        lower=_opaque,
    ),
}
"""Every operator."""


def quantified(over: str, key: str, test: Comparing) -> Check:
    """`any` or `all` items of a list pass. An absent list satisfies neither; an empty one satisfies `all`."""
    if test.op == "in":
        wanted = frozenset(test.values)
        if over == "any":
            return lambda view: (items := view[key]) is not None and not wanted.isdisjoint(items)  # type: ignore[arg-type]
        return lambda view: (items := view[key]) is not None and wanted.issuperset(items)  # type: ignore[arg-type]
    check = OPERATORS[test.op].check(ITEM, test)

    ends = over == "any"

    def over_items(view: View) -> bool:
        items: Any = view[key]
        if items is None:
            return False
        for item in items:
            if check({ITEM: item}) is ends:
                return ends
        return not ends

    return over_items
