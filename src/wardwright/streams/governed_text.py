"""The text of one channel under its rules: what may leave, what waits, what is changed, what ends the answer.

Rule 1: every rule reads the model's original text, in one pass from left to right. What an edit puts in is read by no
rule but the net.
Rule 2: text waits from the earliest place whose fate is open: a match that is alive, an edit that is not decided, a
unit that is not complete. Everything before it leaves, composed once and in order.
Rule 3: nothing depends on where the text was cut. A character is judged with the text before it; when it ends the
attempt, what was free before it leaves and the rest is dropped. Caps alone look at what is held after a delta: they
bound what waits, and nothing waits that came and went in one piece.
Rule 4: when `stop` is set it stays, and no more text leaves.

    nothing alive      the delta itself is handed on; its characters took one look into a dict each
    something alive    `_walk` follows the starts, `_search` asks `regex` for the spans of rules that matched, `_judge`
                       decides edits whose neighbourhood is settled, `_limit` says how far text may leave, the composer
                       lets it go
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.kernel.detectors.prover import Prover
from wardwright.streams.arbitration import Edit, arbitrate, clusters
from wardwright.streams.arrivals import Arrivals
from wardwright.streams.composer import Composer
from wardwright.streams.effects import Done, Flag, Spot, Violation
from wardwright.streams.plan import Plan, Watched
from wardwright.streams.rule import RANK, Action, Annotate, Block, Drop, Retry, Rewrite
from wardwright.streams.units import tracker

FACTS_MAX: Final = 64
"""Violations of one rule that are told one by one in one channel; more are counted."""
LAST_CHARS_MAX: Final = 64
"""A delta that is kept whole for its last character, which costs nothing; of a longer one that character is copied."""
KEPT_CHARS_MIN: Final = 256
"""Text that has left is forgotten when this much is kept, not before: forgetting copies."""
_MS: Final = 1_000_000
NEVER_NS: Final = 1 << 63

StopCause: TypeAlias = Literal["match", "held_chars", "held_age", "call_size", "indeterminate"]


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why the attempt must end."""

    cause: StopCause
    rules: tuple[Watched, ...]
    """The first decides; more than one: retry rules that matched together."""
    start: int
    end: int


class GovernedText:
    """One channel of one answer. Feed it in order; `close` it when the channel is complete."""

    __slots__ = (
        "_arrivals", "_base", "_busy", "_flagged", "_floors", "_from", "_last", "_looked_ns", "_node", "_parts",
        "_pending", "_plan", "_starts", "_trackers", "composer", "counts", "facts", "length", "received", "spot",
        "stop",
    )  # fmt: skip

    def __init__(self, plan: Plan, spot: Spot) -> None:
        self.spot = spot
        self.stop: Stop | None = None
        self.facts: list[Violation | Flag] = []
        """What was found; whoever reads them clears the list."""
        self.counts: dict[str, int] = {}
        """How often each rule matched."""
        self.received = 0
        """Characters that came."""
        self.length = 0
        """Characters that were judged."""
        self.composer = Composer(plan.net)
        self._plan = plan
        self._node = plan.automaton.start
        self._starts: list[int] = []
        """Of the node's groups."""
        self._busy = plan.waits
        self._last = ""
        """The end of the text while nothing is kept, as context."""
        self._parts: list[str] = []
        """The text that is kept, from `_base` on."""
        self._base = 0
        self._flagged: dict[int, int] = {}
        """Rules that matched and whose spans are not known yet, with the earliest start."""
        self._from: dict[int, int] = {}
        """Where the next match of a rule may begin: after its last."""
        self._floors: dict[int, int] = {}
        """Rules that were waived: what lies before is not theirs to hold."""
        self._pending: list[Edit] = []
        """Edits that something still alive could overlap."""
        self._trackers = tuple(tracker(unit) for unit, _ in plan.units)
        self._arrivals = Arrivals()
        self._looked_ns = 0
        """The next cap on age, as `tick` found it when it last looked; no text has come since."""

    @property
    def held(self) -> int:
        """Characters that came and have not left."""
        return self.received - self.composer.released

    @property
    def stopped(self) -> bool:
        return self.stop is not None

    def feed(self, text: str, now_ns: int = 0) -> str:
        """The composed text that may leave now: the delta itself where nothing is held or changed."""
        if not self._busy and not self.stopped:
            node = self._node
            for char in text:
                node = node[char]
                if node.matched:
                    break
            else:
                if not node.groups and text and self.composer.skims(text, self.length + len(text)):
                    self._node = node
                    self._last = text if len(text) < LAST_CHARS_MAX else text[-1]
                    self.length += len(text)
                    self.received += len(text)
                    return text
        if not text:
            return ""
        self.received += len(text)
        return "" if self.stopped else self._work(text, now_ns)

    def whole(self, text: str) -> str:
        """A text that came complete, judged at once. Caps bound waiting, and here nothing waits."""
        if not text:
            return self.close()
        self.received += len(text)
        return self._work(text, 0, capped=False) + self.close()

    def close(self) -> str:
        """The channel is complete: the rest of the text, judged as a whole."""
        if self.stop is not None:
            return ""
        self._wake()
        terminal: list[tuple[int, int, int]] = []
        for hit in self._plan.automaton.ends(self._node):
            self._take_hit(hit.pattern, self._starts[hit.start], self.length, terminal, "", final=True)
        if terminal:
            self._end(terminal)
        if self.stopped:
            return ""
        out = self._settle(final=True)
        if self.stop is None:
            out += self.composer.close()
            self._take_caught()
        return out

    def tick(self, now_ns: int) -> str:
        """Time passed: caps on the age of held text. What a waived rule held may leave."""
        if self.stopped or not self.held or self._arrivals.paused:
            return ""
        aging = self._aging()
        self._looked_ns = min((due_ns for _, _, due_ns in aging if due_ns > now_ns), default=NEVER_NS)
        return self._cap("held_age", [(rule, held) for rule, held, due_ns in aging if due_ns <= now_ns])

    @property
    def due_ns(self) -> int | None:
        """When `tick` must come: not after the next cap on age is reached, before it only once."""
        age_ns = self._plan.age_ns_max
        if age_ns is None or self.stopped or self._arrivals.paused or not self.held:
            return None
        due_ns = max(self._arrivals.came_ns(self.composer.released) + age_ns, self._looked_ns)
        return None if due_ns >= NEVER_NS else due_ns

    def pause(self, now_ns: int) -> None:
        """Another channel of the answer speaks: held text does not age."""
        self._arrivals.pause(now_ns)

    def resume(self, now_ns: int) -> None:
        self._arrivals.resume(now_ns)

    # -- one delta ----------------------------------------------------------------------------------------------------

    def _work(self, text: str, now_ns: int, *, capped: bool = True) -> str:
        self._wake()
        self._looked_ns = 0
        if self._plan.age_ns_max is not None:
            self._arrivals.mark(self.length, now_ns, self.composer.out)
        terminal = self._walk(text)
        out = "" if self.stopped else self._settle(final=False)
        if self.stop is not None:
            return out
        if terminal:
            self._end(terminal)
            return out
        if not capped:
            return out
        if max(self.length - self._base, self.composer.waiting) > self._plan.chars_max:
            out += self._cap("held_chars", self._oversized())
        return out

    def _wake(self) -> None:
        """Begin to keep text, with one character of context."""
        if not self._busy:
            self._busy = True
            self._parts = [self._last[-1:]] if self._last else []
            self._base = self.length - len(self._last[-1:])

    def _walk(self, text: str) -> list[tuple[int, int, int]]:
        """Judge character by character, up to the one that ends the attempt. Returns the terminal matches it made."""
        node, starts, at = self._node, self._starts, self.length
        terminal: list[tuple[int, int, int]] = []
        for char in text:
            after = node[char]
            if after.groups or after.matched or starts:
                kept, hits = node.moves[char]
                if hits:
                    for hit in hits:
                        start = starts[hit.start] if hit.start >= 0 else at
                        end = at if hit.late else at + 1
                        self._take_hit(hit.pattern, start, end, terminal, text[: at + 1 - self.length], final=False)
                    if terminal or self.stopped:
                        break
                if kept is not None:
                    starts = [starts[index] if index >= 0 else at for index in kept]
            node = after
            at += 1
        judged = text if at - self.length == len(text) else text[: at - self.length]
        self._node, self._starts, self.length = node, starts, at
        self._parts.append(judged)
        for unit in self._trackers:
            unit.feed(judged)
        return terminal

    def _take_hit(
        self, rule: int, start: int, end: int, terminal: list[tuple[int, int, int]], more: str, *, final: bool
    ) -> None:
        """A match; `more` was judged and is not kept yet."""
        watched = self._plan.watched[rule]
        if watched.part == "terminal":
            if watched.prover is None:
                terminal.append((rule, start, end))
            elif (span := self._proved(rule, watched.prover, start, more, final=final)) is not None:
                terminal.append((rule, *span))
        elif watched.part != "silent":
            self._flagged[rule] = min(start, self._flagged.get(rule, start))

    def _proved(self, rule: int, prover: Prover, start: int, more: str, *, final: bool) -> tuple[int, int] | None:
        """Where a candidate that begins at `start` or later is proved."""
        try:
            span = prover.find(self._text() + more, max(start - self._base, 0), final=final)
        except TimeoutError:
            self._flagged[rule] = start
            self._indeterminate(rule)
            return None
        return None if span is None else (span[0] + self._base, span[1] + self._base)

    def _settle(self, *, final: bool) -> str:
        """Decide what can be decided, let go what may leave, forget what nobody needs."""
        if self._flagged:
            self._search(final=final)
        if self._pending and not self.stopped:
            self._judge(final=final)
        if self.stopped:
            return ""
        composer = self.composer
        limit = self.length if final else self._limit()
        out = composer.compose(self._text(), self._base, limit) if limit > composer.out else ""
        if composer.net is not None and composer.net.caught is not None:
            self._take_caught()
        if not self._starts and not self._flagged:
            self._rest()
        if self.length - self._base > KEPT_CHARS_MIN:
            self._trim()
        return out

    # -- matches ------------------------------------------------------------------------------------------------------

    def _text(self) -> str:
        if len(self._parts) != 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0]

    def _live(self, rule: int) -> int | None:
        """The oldest start from which the rule could still match."""
        territory = self._plan.automaton.territories[rule]
        for start, group in zip(self._starts, self._node.groups, strict=True):
            if group & territory:
                return max(start, self._from.get(rule, 0))
        return None

    def _search(self, *, final: bool) -> None:
        """Spans of the rules that matched, as far as no later character could change them."""
        text = self._text()
        for rule, first in sorted(self._flagged.items()):
            watched = self._plan.watched[rule]
            live = None if final else self._live(rule)
            at = max(first, self._from.get(rule, 0))
            while True:
                try:
                    span = watched.finder.find(text, at - self._base, final=final)
                except TimeoutError:
                    self._indeterminate(rule)
                    break
                if span is None:
                    del self._flagged[rule]
                    break
                start, end = span[0] + self._base, span[1] + self._base
                if live is not None and max(live, at) <= start:
                    self._flagged[rule] = at
                    break
                self._found(watched, rule, start, end)
                self._from[rule] = at = end

    def _found(self, watched: Watched, rule: int, start: int, end: int) -> None:
        if watched.part == "note":
            self._report(watched, start, end)
        else:
            one = watched.rule
            self._pending.append(Edit(start, end, rule, one.id, watched.action, one.priority))

    def _judge(self, *, final: bool) -> None:
        """Decide edits that nothing still alive could overlap."""
        floor = self.length
        if not final:
            for rule, watched in enumerate(self._plan.watched):
                if watched.part == "edit" and (live := self._live(rule)) is not None:
                    floor = min(floor, live)
        self._pending, undecided = [], clusters(self._pending)
        for cluster in undecided:
            if max(edit.end for edit in cluster) > floor:
                self._pending += cluster
                continue
            for ruling in arbitrate(cluster):
                if ruling.lost_to is None:
                    self.composer.edits.append(ruling.edit)
                edit = ruling.edit
                self._report(self._plan.watched[edit.rule], edit.start, edit.end, lost_to=ruling.lost_to)

    def _end(self, terminal: list[tuple[int, int, int]]) -> None:
        """The attempt ends: the best of the matches that one character made decides."""
        found = [(self._plan.watched[rule], start, end) for rule, start, end in terminal]
        found.sort(key=lambda one: (RANK[type(one[0].action)], -one[0].rule.priority, one[1], one[0].rule.id))
        winner, start, end = found[0]
        together = [found[0], *(one for one in found[1:] if isinstance(winner.action, Retry))]
        for one in found:
            self._report(*one, lost_to=None if one in together else winner.rule.id)
        self.stop = Stop(cause="match", rules=tuple(one[0] for one in together), start=start, end=end)

    def _report(
        self, watched: Watched, start: int, end: int, *, lost_to: str | None = None, composed: bool = False
    ) -> None:
        rule = watched.rule.id
        self.counts[rule] = count = self.counts.get(rule, 0) + 1
        if count <= FACTS_MAX:
            self.facts.append(
                Violation(
                    rule=rule,
                    action=done(watched.action),
                    spot=self.spot,
                    start=start,
                    end=end,
                    released_chars=self.composer.released,
                    composed=composed,
                    lost_to=lost_to,
                    shadow=watched.rule.shadow,
                )
            )

    # -- leaving ------------------------------------------------------------------------------------------------------

    def _limit(self) -> int:
        """How far the original text may leave."""
        limit = self.length
        holding = self._plan.holding
        if self._from or self._floors:
            for rule, watched in enumerate(self._plan.watched):
                if watched.holds and (live := self._live(rule)) is not None:
                    limit = min(limit, max(live, self._floors.get(rule, 0)))
        else:
            for start, group in zip(self._starts, self._node.groups, strict=True):
                if group & holding:
                    limit = start
                    break
        for edit in self._pending:
            limit = min(limit, edit.start)
        if self._plan.waits:
            for unit, (_, rules) in zip(self._trackers, self._plan.units, strict=True):
                limit = min(limit, max(unit.begin, min(self._floors.get(rule, 0) for rule in rules)))
            limit = min([limit, *(self._floors.get(rule, 0) for rule in self._plan.full)])
        return limit if limit > self.composer.out else self.composer.out

    def _take_caught(self) -> None:
        """The net caught a blocked text that edits composed."""
        caught = self.composer.caught
        if caught is None or self.stopped:
            return
        start, end = self.composer.origin(caught.start), self.composer.origin(caught.end, is_end=True)
        found = [self._plan.watched[self._plan.net_rules[index]] for index in caught.rules]
        found.sort(key=lambda one: (-one.rule.priority, one.rule.id))
        for one in found:
            self._report(one, start, end, composed=True, lost_to=None if one is found[0] else found[0].rule.id)
        self.stop = Stop(cause="match", rules=(found[0],), start=start, end=end)

    def _rest(self) -> None:
        """Nothing is alive: if nothing waits either, the next delta is handed on without being kept."""
        self._from.clear()
        if not self._pending and not self._plan.waits and self.composer.idle:
            self.composer.forget()
            self._busy = False
            self._last = self._text()[-1:]
            self._parts = []

    def _trim(self) -> None:
        """Forget text that has left and that no search needs."""
        self.composer.forget()
        if not self._busy:
            return
        keep = self.composer.out
        for rule, first in self._flagged.items():
            keep = min(keep, max(first, self._from.get(rule, 0)))
        for start, group in zip(self._starts, self._node.groups, strict=True):
            if group & self._plan.spans:
                keep = min(keep, start)
                break
        if keep - 1 > self._base:
            self._parts = [self._text()[keep - 1 - self._base :]]
            self._base = keep - 1

    # -- caps ---------------------------------------------------------------------------------------------------------

    def _held_from(self, rule: int) -> int | None:
        """The first character that waits, or is kept, for a rule."""
        watched = self._plan.watched[rule]
        starts = [edit.start for edit in self._pending if edit.rule == rule]
        if watched.part in ("edit", "note") or watched.holds:
            live = self._live(rule)
            starts += [] if live is None else [live]
            starts += [max(self._flagged[rule], self._from.get(rule, 0))] if rule in self._flagged else []
        if watched.holds and watched.rule.commit == "full":
            starts.append(0)
        for unit, (_, rules) in zip(self._trackers, self._plan.units, strict=True):
            if rule in rules:
                starts.append(unit.begin)
        held = max(min(starts), self._floors.get(rule, 0)) if starts else self.length
        if self.composer.waiting and rule in self._plan.net_rules:
            held = min(held, self.composer.released)
        return held if held < self.length else None

    def _oversized(self) -> list[tuple[int, int]]:
        caps = [(rule, self._plan.watched[rule].rule.held_chars_max) for rule in self._holders()]
        return [
            (rule, held)
            for rule, cap in caps
            if (held := self._held_from(rule)) is not None and self.length - held > cap
        ]

    def _holders(self) -> list[int]:
        """The rules that may be why text is kept."""
        plan, alive = self._plan, 0
        for group in self._node.groups:
            alive |= group
        living = [rule for rule, territory in enumerate(plan.automaton.territories) if alive & territory]
        edits = [edit.rule for edit in self._pending]
        units = [rule for _, rules in plan.units for rule in rules]
        netting = plan.net_rules if self.composer.waiting else ()
        return sorted({*living, *edits, *units, *netting, *self._flagged, *plan.full})

    def _aging(self) -> list[tuple[int, int, int]]:
        """Rules that hold text under a cap on its age: (rule, first held character, instant of the cap)."""
        out: list[tuple[int, int, int]] = []
        for rule in self._holders():
            watched = self._plan.watched[rule]
            age_ms = watched.rule.held_age_ms_max
            if watched.holds and age_ms is not None and (held := self._held_from(rule)) is not None:
                out.append((rule, held, self._arrivals.came_ns(held) + age_ms * _MS))
        return out

    def _cap(self, cause: Literal["held_chars", "held_age"], over: list[tuple[int, int]]) -> str:
        """Rules that hold too much or too long: end the answer, or let their text go."""
        if not over:
            return ""
        for rule, held in over:
            watched = self._plan.watched[rule]
            if watched.part != "note" and watched.rule.on_cap == "fail_closed":
                self.stop = Stop(cause=cause, rules=(watched,), start=held, end=self.length)
                return ""
        out = ""
        for rule, held in over:
            self._waive(cause, rule, held)
            if rule in self._plan.net_rules:
                out += self.composer.let_go()
        return out + self._settle(final=False)

    def _waive(self, cause: Literal["held_chars", "held_age", "indeterminate"], rule: int, held: int) -> None:
        """Text up to here is not the rule's to judge any more."""
        self._floors[rule] = self.length
        if self._plan.watched[rule].part != "terminal":
            self._from[rule] = self.length
        self._flagged.pop(rule, None)
        self._pending = [edit for edit in self._pending if edit.rule != rule]
        flag = Flag(cause=cause, rule=self._plan.watched[rule].rule.id, spot=self.spot, start=held, end=self.length)
        self.facts.append(flag)

    def _indeterminate(self, rule: int) -> None:
        """The rule could not be evaluated in time."""
        watched = self._plan.watched[rule]
        held = max(self._flagged[rule], self._from.get(rule, 0))
        if watched.part == "note" or watched.rule.on_error == "release_and_flag":
            self._waive("indeterminate", rule, held)
        else:
            self.stop = Stop(cause="indeterminate", rules=(watched,), start=held, end=self.length)


def done(action: Action) -> Done:
    """The word for what a rule does."""
    match action:
        case Block():
            return "block"
        case Retry():
            return "retry"
        case Rewrite():
            return "rewrite"
        case Drop():
            return "drop"
        case Annotate():
            return "annotate"
        case _:
            assert_never(action)
