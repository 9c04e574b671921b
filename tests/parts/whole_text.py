"""What stream rules mean, read off a whole text by brute force: the oracle of the governor's properties.

Nothing of the governor is used but the rules themselves: patterns run on the standard library's `re`, every question is
asked of a whole prefix anew, and nothing is remembered from one prefix to the next. Slow, and short enough to believe.

    a terminal rule stops the attempt at the first character after which it is sure to have matched
    what was free before that character has left; without a stop, everything leaves at the end
    text is free up to the earliest match that could still come, edit that is undecided, or unit that is open
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import regex

from wardwright.streams.rule import Block, Drop, Retry, Rewrite, StreamRule

RANKS = (Block, Retry, Rewrite, Drop)
CONTEXTS = ("", "a", " ", "\n", "\n\n")
"""What may follow a place, as far as a pattern can tell."""


class Pattern(NamedTuple):
    """One pattern, spelled three times."""

    source: str
    """As a rule says it; `re` reads it the same way but for `\\z`."""
    sure: str
    """Its places at the end of the text do not hold: more may follow."""
    alive: str
    """Matches what could become a match; `z` marks where something is missing."""


class Meaning(NamedTuple):
    """A rule and its pattern."""

    rule: StreamRule
    pattern: Pattern
    proof: Callable[[str], int] | None = None
    """Of a detector: how much of a candidate is proved."""

    @property
    def ends(self) -> bool:
        return isinstance(self.rule.then, Block | Retry) and not self.rule.shadow

    @property
    def edits(self) -> bool:
        return isinstance(self.rule.then, Rewrite | Drop) and not self.rule.shadow

    @property
    def holds(self) -> bool:
        return self.ends or self.edits


class Verdict(NamedTuple):
    """What becomes of a text."""

    released: str
    stop: tuple[str, ...]
    """The rules that end the attempt; empty: none."""
    composed: bool
    """They matched in what edits composed."""


class Edit(NamedTuple):
    start: int
    end: int
    meaning: Meaning


@lru_cache(100_000)
def _compiled(source: str) -> re.Pattern[str]:
    return re.compile(source.replace(r"\z", r"\Z"), re.ASCII)


@lru_cache(20_000)
def _alive(source: str) -> regex.Pattern[str]:
    return regex.compile(f"(?:{source})(?(z)|(?!))", regex.ASCII)


def judge(text: str, meanings: Sequence[Meaning]) -> Verdict:
    """The verdict on a whole text."""
    ending = [meaning for meaning in meanings if meaning.ends]
    stop, at = _stop(text, ending)
    composed = _free(text if at is None else text[: at - 1], meanings) if stop else _compose(text, meanings, final=True)
    return _through_net(composed, meanings, stop)


def _through_net(composed: str, meanings: Sequence[Meaning], stop: tuple[str, ...]) -> Verdict:
    blocks = [meaning for meaning in meanings if meaning.ends and isinstance(meaning.rule.then, Block)]
    if not blocks or not any(meaning.edits for meaning in meanings):
        return Verdict(composed, stop, False)
    caught, at = _stop(composed, blocks, final=not stop)
    if caught:
        before = composed if at is None else composed[: at - 1]
        return Verdict(before[: _alive_from(before, blocks)], caught[:1], True)
    return Verdict(composed[: _alive_from(composed, blocks)] if stop else composed, stop, False)


def _stop(text: str, ending: Sequence[Meaning], *, final: bool = True) -> tuple[tuple[str, ...], int | None]:
    """The rules that stop a text, and after how many characters; None: its end had to be seen."""
    sure = [(_sure_at(text, meaning), meaning) for meaning in ending]
    found = [(*where, meaning) for where, meaning in sure if where is not None]
    if found:
        first = min(at for at, _, _ in found)
        return _best([(start, meaning) for at, start, meaning in found if at == first]), first
    if not final:
        return (), None
    late = [(_ending(text, meaning), meaning) for meaning in ending]
    return _best([(start, meaning) for start, meaning in late if start is not None]), None


def _best(found: list[tuple[int, Meaning]]) -> tuple[str, ...]:
    found.sort(key=lambda one: (RANKS.index(type(one[1].rule.then)), -one[1].rule.priority, one[0], one[1].rule.id))
    if found and isinstance(found[0][1].rule.then, Retry):
        return tuple(meaning.rule.id for _, meaning in found)
    return tuple(meaning.rule.id for _, meaning in found[:1])


def _ending(text: str, meaning: Meaning) -> int | None:
    """The leftmost start of a match that the end of the text makes sure."""
    if meaning.proof is None:
        return _ending_at(text, meaning.pattern, len(text))
    span = _first(text, meaning, 0, final=True)
    return None if span is None else span[0]


def _first(text: str, meaning: Meaning, at: int, *, final: bool) -> tuple[int, int] | None:
    """The leftmost match from a place on; of a detector, the leftmost candidate that is proved."""
    pattern = _compiled(meaning.pattern.source if final else meaning.pattern.sure)
    if meaning.proof is None:
        found = pattern.search(text, at)
        return None if found is None else found.span()
    for start in range(at, len(text)):
        candidate = pattern.match(text, start)
        if candidate is not None and (size := meaning.proof(candidate.group())):
            return start, start + size
    return None


def _sure_at(text: str, meaning: Meaning) -> tuple[int, int] | None:
    """After how many characters the pattern is sure to have matched, and from where."""
    if meaning.proof is not None:
        proved = [(end, _first(text[:end], meaning, 0, final=False)) for end in range(1, len(text) + 1)]
        return next(((end, span[0]) for end, span in proved if span is not None), None)
    pattern = meaning.pattern
    for end in range(1, len(text) + 1):
        starts = [_ending_at(text[:end] + more, pattern, end) for more in CONTEXTS]
        if None not in starts:
            return end, min(start for start in starts if start is not None)
        if end < len(text) and (start := _ending_at(text, pattern, end)) is not None:
            one = [_ending_at(text[: end + 1] + more, pattern, end + 1) for more in CONTEXTS]
            rival = min((start for start in one if start is not None), default=start) if None not in one else start
            return end + 1, min(start, rival)
    return None


def _ending_at(text: str, pattern: Pattern, end: int) -> int | None:
    """The leftmost start of a match that ends exactly there."""
    found = _compiled(f"(?:{pattern.source})(?<=\\A[\\s\\S]{{{end}}})").search(text)
    return None if found is None else found.start()


def _alive_from(text: str, meanings: Sequence[Meaning]) -> int:
    """The earliest place from which one of the patterns could still match."""
    return min((_live(text, meaning.pattern, 0) for meaning in meanings), default=len(text))


def _live(text: str, pattern: Pattern, start: int) -> int:
    alive = _alive(pattern.alive)
    return next((at for at in range(start, len(text)) if alive.match(text, at)), len(text))


def _matches(text: str, meaning: Meaning, *, final: bool) -> tuple[list[tuple[int, int]], int]:
    """The spans that no later character can change, and the earliest place where one could still come."""
    spans: list[tuple[int, int]] = []
    at = 0
    while True:
        live = len(text) if final else _live(text, meaning.pattern, at)
        found = _first(text, meaning, at, final=final)
        if found is None or live <= found[0]:
            return spans, min(live, found[0] if found else live)
        spans.append(found)
        at = found[1]


def _edits(text: str, meanings: Sequence[Meaning], *, final: bool) -> tuple[list[Edit], int]:
    """The edits that are decided for, and the earliest place where one is not."""
    found: list[Edit] = []
    floor = len(text)
    for meaning in meanings:
        if meaning.edits:
            spans, live = _matches(text, meaning, final=final)
            found += [Edit(start, end, meaning) for start, end in spans]
            floor = min(floor, live)
    groups: list[list[Edit]] = []
    for edit in sorted(found, key=lambda edit: edit.start):
        if groups and edit.start < max(other.end for other in groups[-1]):
            groups[-1].append(edit)
        else:
            groups.append([edit])
    taken: list[Edit] = []
    for group in groups:
        if max(edit.end for edit in group) > floor:
            return taken, min(floor, group[0].start)
        for edit in sorted(group, key=_precedence):
            if not any(other.start < edit.end and edit.start < other.end for other in taken):
                taken.append(edit)
    return taken, floor


def _precedence(edit: Edit) -> tuple[int, int, int, str]:
    rule = edit.meaning.rule
    return RANKS.index(type(rule.then)), -rule.priority, edit.start, rule.id


def _free(text: str, meanings: Sequence[Meaning]) -> str:
    """What has left of a text that goes on."""
    return _compose(text, meanings, final=False)


def _compose(text: str, meanings: Sequence[Meaning], *, final: bool) -> str:
    edits, floor = _edits(text, meanings, final=final)
    limit = len(text)
    if not final:
        holding = [meaning for meaning in meanings if meaning.holds]
        open_units = [_unit_begin(text, meaning.rule.commit) for meaning in holding]
        ending = [meaning for meaning in holding if meaning.ends]
        limit = min([limit, floor, _alive_from(text, ending), *open_units])
    out, at = "", 0
    for edit in sorted(edits):
        if edit.end > limit:
            limit = min(limit, edit.start)
            break
        put = edit.meaning.rule.then.replacement if isinstance(edit.meaning.rule.then, Rewrite) else ""
        out, at = out + text[at : edit.start] + put, edit.end
    return out + text[at : max(at, limit)]


def _unit_begin(text: str, commit: str) -> int:
    """Where the unit that is open at the end of a text begins."""
    match commit:
        case "full":
            return 0
        case "line":
            return text.rfind("\n") + 1
        case "sentence":
            ends = [found.end() for found in re.finditer(r"""[.!?…]["'”’)\]]{0,8}(?=\s)|[。！？]|\n""", text)]
            return ends[-1] if ends else 0
        case "json_value":
            return _json_begin(text)
        case "code_block":
            return _block_begin(text)
        case _:
            return len(text)


def _json_begin(text: str) -> int:
    at = 0
    while (found := re.compile(r"[{\[]").search(text, at)) is not None:
        depth, at = 0, found.start()
        for token in re.compile(r'"(?:[^"\\]|\\[\s\S])*(?:"|\\?\Z)|[{}\[\]]').finditer(text, at):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
            if depth == 0:
                at = token.end()
                break
        else:
            return found.start()
    return len(text)


def _block_begin(text: str) -> int:
    at, fence, opened = 0, "", 0
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        mark = re.match(r" {0,3}(```+|~~~+)", line)
        if not fence and mark and line[-1] != "\n":
            return at
        if not fence and mark and (mark.group(1)[0] == "~" or "`" not in line[mark.end() :]):
            fence, opened = mark.group(1), at
        elif fence and mark and mark.group(1).startswith(fence) and not line[mark.end() :].strip() and line[-1] == "\n":
            fence = ""
        elif not fence and re.fullmatch(r" {1,3}| {0,3}(?:`{1,2}|~{1,2})", line):
            return at
        at += len(line)
    return opened if fence else len(text)
