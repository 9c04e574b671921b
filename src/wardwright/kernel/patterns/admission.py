"""The one door for patterns: what is proved about them before any text is seen.

Rule 1: a pattern enters only if RE2 takes it too: no look-around, no back-references, a program of bounded size. What
it means is what that linear engine would find; `regex` and the automaton of streams are both made from its tree.
Rule 2: `regex` tries ways in turn. A pattern in which a loop reads one text in several ways is refused; the others cost
at worst a power of the text's length, and are searched for under a timeout where a search is not proved to be short.
Rule 3: a pattern that matches the empty text is refused: it would match everywhere.
Rule 4: a refusal says the reason, what to write instead and, where there is one, the place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, assert_never

import msgspec
import re2

from wardwright.kernel.patterns import language as p
from wardwright.kernel.patterns.ambiguity import require_unambiguous
from wardwright.kernel.patterns.positions import Positions, joined, positions
from wardwright.kernel.patterns.spelling import spelled

PATTERN_CHARS_MAX: Final = 4096
RE2_BYTES_MAX: Final = 1 << 20
"""Of RE2's compiled program."""
TOGETHER_POSITIONS_MAX: Final = 16_384
"""Characters of all patterns that one rule looks for, counted loops unrolled."""

_REPEAT_MAX: Final = 64
"""The largest count of a repetition in a pattern that is searched for without a timeout."""
_VARIABLE_MAX: Final = 4
"""Repetitions of no fixed count in such a pattern."""
_LITERAL_MIN: Final = 3
"""Characters that make a fixed text worth looking for."""


class Phrase(msgspec.Struct, frozen=True, tag="literal"):
    """This text, as it stands."""

    text: str
    ignore_case: bool = False


class Regex(msgspec.Struct, frozen=True, tag="regex"):
    """A pattern in the language of `kernel.patterns`."""

    pattern: str
    ignore_case: bool = False


Pattern: TypeAlias = Phrase | Regex


class Literal(msgspec.Struct, frozen=True):
    """A text that every match holds. Most texts do not hold it, which is cheap to see."""

    text: str
    folded: bool
    """It is case folded, and so must be the text that is looked at."""


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern, or several of which any may match, and what is known of it."""

    patterns: tuple[Pattern, ...]
    """As the author wrote them."""
    node: p.Node
    positions: Positions
    deterministic: bool
    """Proved: no character leaves two ways open, so that a match is found without going back."""
    short: bool
    """Proved: a search takes a bounded number of steps at each character."""
    chars_min: int
    chars_max: int | None
    """None: a match may be of any length."""
    literal: Literal | None
    """None: no text worth looking for stands in every match."""
    midstream: str
    """For `regex`, where more text may follow: places that the next character decides do not hold at the end."""
    final: str
    """For `regex`, where the text is complete."""
    wider: str | None
    """For `regex`: without the word edge that it begins with, found wherever the pattern is, and sooner missed."""

    @property
    def bounded(self) -> bool:
        """A match has a longest length."""
        return self.chars_max is not None


def admit(pattern: Pattern) -> Admitted:
    """Raises PatternProblem, with the reason and what to write instead."""
    node = _read(pattern)
    placed = positions(node)
    if placed.nullable:
        raise p.PatternProblem(
            "it matches the empty text, so it would match everywhere",
            "ask for one character at least; for a blank text, deny that it holds `\\S`",
        )
    if not placed.last or not placed.first:
        raise p.PatternProblem(
            "nothing can match it: its places contradict each other", "look at its `^`, `$` and `\\b`"
        )
    if isinstance(pattern, Regex):
        require_unambiguous(node)
    return _known((pattern,), node, placed)


def admit_any(patterns: Sequence[Pattern]) -> Admitted:
    """Several patterns as one, the first preferred where two match at one place. Raises PatternProblem."""
    each = [admit(pattern) for pattern in patterns]
    if len(each) == 1:
        return each[0]
    placed = joined([one.positions for one in each])
    if len(placed.chars) > TOGETHER_POSITIONS_MAX:
        raise p.PatternProblem(
            f"together its patterns have more than {TOGETHER_POSITIONS_MAX:,} characters",
            "spread them over several rules",
        )
    return _known(tuple(patterns), p.Choice(tuple(one.node for one in each)), placed)


def _read(pattern: Pattern) -> p.Node:
    match pattern:
        case Phrase(text=text, ignore_case=ignore_case):
            if not text:
                raise p.PatternProblem("the text to look for is empty", "write what must not appear")
            _require_bounded(text)
            return p.literal(text, ignore_case=ignore_case)
        case Regex(pattern=source, ignore_case=ignore_case):
            _require_bounded(source)
            node = p.parse(source, ignore_case=ignore_case)
            _ask_re2(source)
            return node
        case _:
            assert_never(pattern)


def _require_bounded(text: str) -> None:
    if len(text) > PATTERN_CHARS_MAX:
        reason = f"a pattern has at most {PATTERN_CHARS_MAX:,} characters; this has {len(text):,}"
        raise p.PatternProblem(reason, "split it into several")


def _ask_re2(source: str) -> None:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = RE2_BYTES_MAX
    try:
        re2.compile(source, options)
    except UnicodeEncodeError as error:
        raise p.PatternProblem("it holds half a character", "write the whole character") from error
    except re2.error as error:
        said = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise p.PatternProblem(f"RE2 does not take it: {said}", "write it in RE2's syntax") from error


def _known(patterns: tuple[Pattern, ...], node: p.Node, placed: Positions) -> Admitted:
    least, most = p.width(node)
    short = _is_short(node)
    items = list(_flat(node))
    edged = short and len(items) > 1 and items[0] == p.Look("edge") and _is_set(items[1])
    return Admitted(
        patterns=patterns,
        node=node,
        positions=placed,
        deterministic=len(patterns) == 1 and placed.deterministic,
        short=short,
        chars_min=least,
        chars_max=most,
        literal=_literal(items),
        midstream=spelled(node, final=False),
        final=spelled(node, final=True),
        wider=spelled(p.Sequence(tuple(items[1:])), final=True) if edged else None,
    )


def _is_short(node: p.Node) -> bool:
    """Bounded work at each place: no loops, no repeated groups, few choices of length."""
    repeats = list(_repeats(node))
    if any(one.most is None or one.most > _REPEAT_MAX for one in repeats):
        return False
    if any(one.most != 1 and not isinstance(one.item, p.Chars) for one in repeats):
        return False
    return sum(one.least != one.most for one in repeats) <= _VARIABLE_MAX


def _repeats(node: p.Node) -> Iterator[p.Repeat]:
    match node:
        case p.Chars() | p.Look():
            return
        case p.Sequence(items=parts) | p.Choice(options=parts):
            for part in parts:
                yield from _repeats(part)
        case p.Repeat():
            yield node
            yield from _repeats(node.item)
        case _:
            assert_never(node)


def _flat(node: p.Node) -> Iterator[p.Node]:
    """What stands in a row, groups opened."""
    if isinstance(node, p.Sequence):
        for item in node.items:
            yield from _flat(item)
    else:
        yield node


def _is_set(node: p.Node) -> bool:
    """`regex` looks for an edge at every place before it looks for what follows: dear where that is a set."""
    chars = node.item if isinstance(node, p.Repeat) else node
    return isinstance(chars, p.Chars) and _only(chars) is None


def _literal(items: Sequence[p.Node]) -> Literal | None:
    """The longest text that stands in every match."""
    runs: list[list[p.Chars]] = [[]]
    for item in items:
        match item:
            case p.Chars() if _only(item) is not None:
                runs[-1].append(item)
            case p.Look():
                continue
            case p.Repeat(item=p.Chars() as chars, least=least, most=most) if least and _only(chars) is not None:
                runs[-1] += [chars] * min(least, PATTERN_CHARS_MAX)
                if least != most:
                    runs.append([])
            case _:
                runs.append([])
    longest = max(runs, key=len)
    if len(longest) < _LITERAL_MIN:
        return None
    folded = any(len(one.ranges) > 1 for one in longest)
    text = "".join(_only(one) or "" for one in longest) if folded else "".join(chr(one.ranges[0][0]) for one in longest)
    return Literal(text, folded)


def _only(chars: p.Chars) -> str | None:
    """What all characters of a set are when case folded; None where they differ."""
    if len(chars.ranges) > _LITERAL_MIN or any(low != high for low, high in chars.ranges):
        return None
    folds = {chr(low).casefold() for low, _ in chars.ranges}
    return folds.pop() if len(folds) == 1 else None
