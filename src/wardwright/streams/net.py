"""The net under the edits: blocking rules once more, over the text that rewrites and drops composed.

Rule 1: what could still become a match in the composed text waits here, so that an edit cannot join the two halves of
what is blocked after the first half has left.
Rule 2: a detector's match is caught where it is proved, of what waits here; what was let go is out of its reach.
Rule 3: it changes nothing. It lets text through, keeps it, or reports the first match.
"""

from __future__ import annotations

import msgspec

from wardwright.kernel.detectors.prover import Prover
from wardwright.streams.automaton import Automaton


class Mesh(msgspec.Struct, frozen=True):
    """What a net is made of."""

    automaton: Automaton
    provers: tuple[Prover | None, ...]
    """For each pattern, what must prove a match; None: nothing must."""


class Caught(msgspec.Struct, frozen=True):
    """A blocking rule matched in composed text. Offsets count composed characters."""

    rules: tuple[int, ...]
    """Indices among the patterns of the net's automaton."""
    start: int
    end: int


class Net:
    """One composed text. After `caught` is set it lets nothing more through."""

    __slots__ = ("_automaton", "_node", "_provers", "_starts", "_waiting", "caught", "length", "passed")

    def __init__(self, mesh: Mesh) -> None:
        self._automaton = mesh.automaton
        self._provers = mesh.provers
        self._node = mesh.automaton.start
        self._starts: list[int] = []
        self._waiting = ""
        self.passed = 0
        """Composed characters that were let through."""
        self.length = 0
        """Composed characters that were judged."""
        self.caught: Caught | None = None

    @property
    def idle(self) -> bool:
        return self.passed == self.length

    def skims(self, text: str) -> bool:
        """Let the text through at once if nothing waits and nothing in it is alive; else nothing happened."""
        if self.passed != self.length:
            return False
        node = self._node
        for char in text:
            node = node[char]
            if node.matched:
                return False
        if node.groups:
            return False
        self._node = node
        self.length += len(text)
        self.passed = self.length
        return True

    def feed(self, text: str) -> str:
        """The text that may pass now."""
        if self.caught is not None:
            return ""
        node, starts, at = self._node, self._starts, self.length
        for char in text:
            after = node[char]
            if after.groups or after.matched or starts:
                kept, hits = node.moves[char]
                found = [(hit.pattern, starts[hit.start] if hit.start >= 0 else at) for hit in hits]
                if found and (found := self._proved(found, text[: at + 1 - self.length], final=False)):
                    self.caught = Caught(tuple(rule for rule, _ in found), min(start for _, start in found), at + 1)
                    self._waiting += text[: at - self.length]
                    self.length = at
                    return self._pass(starts[0] if starts else at)
                if kept is not None:
                    starts = [starts[index] if index >= 0 else at for index in kept]
            node = after
            at += 1
        self._node, self._starts, self.length = node, starts, at
        self._waiting += text
        return self._pass(starts[0] if starts else at)

    def let_go(self) -> str:
        """All that waits passes; a match that it began may still be caught."""
        return self._pass(self.length) if self.caught is None else ""

    def close(self) -> str:
        """The text is complete."""
        if self.caught is not None:
            return ""
        found = [(hit.pattern, self._starts[hit.start]) for hit in self._automaton.ends(self._node)]
        if found := self._proved(found, "", final=True):
            start = min(start for _, start in found)
            self.caught = Caught(tuple(rule for rule, _ in found), start, self.length)
            return ""
        return self._pass(self.length)

    def _proved(self, found: list[tuple[int, int]], more: str, *, final: bool) -> list[tuple[int, int]]:
        """Of matches, each a pattern and its start, those that are proved; `more` was judged and does not wait yet."""
        out: list[tuple[int, int]] = []
        for pattern, start in found:
            prover = self._provers[pattern]
            if prover is None:
                out.append((pattern, start))
                continue
            try:
                span = prover.find(self._waiting + more, max(start - self.passed, 0), final=final)
            except TimeoutError:
                span = start - self.passed, 0
            if span is not None:
                out.append((pattern, self.passed + span[0]))
        return out

    def _pass(self, limit: int) -> str:
        size = limit - self.passed
        if size <= 0:
            return ""
        out, self._waiting = self._waiting[:size], self._waiting[size:]
        self.passed = limit
        return out
