"""Text on its way out: edits made, through the net, with the provider's seals behind what they seal.

Rule 1: original text leaves once and in order. An edit leaves whole: text never ends inside one.
Rule 2: a seal stands for the very text before it. Where that was edited the signature is left out, since the provider
would refuse it; encrypted thinking, which nobody here can read, goes through.
Rule 3: where composed text came from is remembered as long as the net may ask.
"""

from __future__ import annotations

import msgspec

from wardwright.kernel.events import ReasoningDelta
from wardwright.streams.arbitration import Edit
from wardwright.streams.net import Caught, Mesh, Net
from wardwright.streams.rule import Rewrite


class _Seam(msgspec.Struct, frozen=True):
    """An edit in composed text: what stands from `at` to `to` came from `start` to `end`."""

    at: int
    to: int
    start: int
    end: int


class Composer:
    """The way out of one channel."""

    __slots__ = ("_composed", "_edited", "_seals", "_seams", "_shift", "_split", "edits", "net", "out")

    def __init__(self, net: Mesh | None) -> None:
        self.out = 0
        """How far the original text was composed."""
        self.edits: list[Edit] = []
        """Edits that were decided for and not made yet, in the order of the text."""
        self.net = None if net is None else Net(net)
        self._composed = 0
        self._seams: list[_Seam] = []
        """Edits in text that the net keeps."""
        self._shift = 0
        """How much longer composed text was than the original before them."""
        self._seals: list[tuple[int, ReasoningDelta]] = []
        """Seals whose text was not composed, by original offset."""
        self._split: list[tuple[int, ReasoningDelta]] = []
        """Seals whose text was composed, by composed offset."""
        self._edited = False
        """Since the last seal."""

    @property
    def idle(self) -> bool:
        """Nothing waits here."""
        return not (self.edits or self._seals) and (self.net is None or self.net.idle)

    @property
    def released(self) -> int:
        """How far the original text has left."""
        if self.net is None or (self.net.idle and self.net.caught is None):
            return self.out
        return self.origin(self.net.passed)

    @property
    def waiting(self) -> int:
        """Composed characters that the net keeps."""
        return 0 if self.net is None else self.net.length - self.net.passed

    @property
    def caught(self) -> Caught | None:
        return None if self.net is None else self.net.caught

    def skims(self, text: str, length: int) -> bool:
        """Let a delta through as it is, if nothing waits; `length` is that of the original text with it."""
        if self.net is not None and not self.net.skims(text):
            return False
        self._composed += len(text)
        self.out = length
        return True

    def compose(self, text: str, base: int, limit: int) -> str:
        """Let original text leave up to `limit`; `text` is the original from `base` on."""
        if not self._seals:
            return self._compose(text, base, limit)
        out = ""
        while self._seals and self._seals[0][0] <= limit:
            out += self._compose(text, base, self._seals[0][0])
            if self.out < self._seals[0][0]:
                break
            self._let_seals_go()
        out += self._compose(text, base, limit)
        self._let_seals_go()
        return out

    def close(self) -> str:
        """The text is complete and composed."""
        return "" if self.net is None else self.net.close()

    def let_go(self) -> str:
        """What the net keeps leaves unjudged."""
        return "" if self.net is None else self.net.let_go()

    def seal(self, event: ReasoningDelta, length: int) -> None:
        """The provider sealed what came up to `length`."""
        self._seals.append((length, event))
        self._let_seals_go()

    def split(self, text: str) -> list[str | ReasoningDelta]:
        """Text that was just let go, with the seals that leave in it."""
        passed = self._composed if self.net is None else self.net.passed
        at = passed - len(text)
        out: list[str | ReasoningDelta] = []
        while self._split and self._split[0][0] <= passed:
            offset, event = self._split.pop(0)
            out += [text[: offset - at], event]
            text, at = text[offset - at :], offset
        return [piece for piece in (*out, text) if piece]

    def origin(self, composed: int, *, is_end: bool = False) -> int:
        """The original offset of a composed one."""
        shift = self._shift
        for seam in self._seams:
            if composed - is_end < seam.at:
                break
            if composed - is_end < seam.to:
                return seam.end if is_end else seam.start
            shift = seam.to - seam.end
        return composed - shift

    def forget(self) -> None:
        """Drop seams that the net asks for no more."""
        if self._seams and self.net is not None:
            while self._seams and self._seams[0].to <= self.net.passed:
                self._shift = self._seams[0].to - self._seams[0].end
                del self._seams[0]

    def _compose(self, text: str, base: int, limit: int) -> str:
        at = self.out
        if limit <= at:
            return ""
        if not self.edits:
            self.out = limit
            return self._leave(text[at - base : limit - base])
        pieces: list[str] = []
        while self.edits and self.edits[0].start < limit:
            edit = self.edits[0]
            if edit.end > limit:
                limit = edit.start
                break
            del self.edits[0]
            put = edit.action.replacement if isinstance(edit.action, Rewrite) else ""
            pieces += [self._leave(text[at - base : edit.start - base]), self._leave(put)]
            if self.net is not None:
                self._seams.append(_Seam(self._composed - len(put), self._composed, edit.start, edit.end))
            self._edited = True
            at = edit.end
        pieces.append(self._leave(text[at - base : limit - base]))
        self.out = max(at, limit)
        return "".join(pieces)

    def _leave(self, piece: str) -> str:
        self._composed += len(piece)
        return piece if self.net is None else self.net.feed(piece)

    def _let_seals_go(self) -> None:
        while self._seals and self._seals[0][0] <= self.out:
            _, event = self._seals.pop(0)
            if event.signature is None or not self._edited:
                self._split.append((self._composed, event))
            self._edited = False
