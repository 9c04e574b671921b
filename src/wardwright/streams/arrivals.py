"""When held text came: how old the oldest held character is.

Rule 1: text only ages. Instants that are forgotten to stay within MARKS_MAX make text seem older, never younger.
Rule 2: while another channel of the answer speaks, held text does not age: nothing could complete it.
"""

from __future__ import annotations

from typing import Final

MARKS_MAX: Final = 64


class Arrivals:
    """The instants at which the characters of one channel came."""

    __slots__ = ("_marks", "_paused_ns")

    def __init__(self) -> None:
        self._marks: list[tuple[int, int]] = []
        """(first character, instant), ascending."""
        self._paused_ns: int | None = None

    @property
    def paused(self) -> bool:
        return self._paused_ns is not None

    def mark(self, offset: int, now_ns: int, released: int) -> None:
        """Text from `offset` on comes now; what lies before `released` is of no interest any more."""
        marks = self._marks
        if released == offset:
            self._marks = [(offset, now_ns)]
        elif not marks or marks[-1][1] != now_ns:
            marks.append((offset, now_ns))
            if len(marks) > MARKS_MAX:
                self._marks = marks[::2]

    def came_ns(self, offset: int) -> int:
        """When the character at `offset` came."""
        return next((at_ns for start, at_ns in reversed(self._marks) if start <= offset), self._marks[0][1])

    def pause(self, now_ns: int) -> None:
        if self._paused_ns is None:
            self._paused_ns = now_ns

    def resume(self, now_ns: int) -> None:
        if self._paused_ns is not None:
            asleep_ns = now_ns - self._paused_ns
            self._marks = [(offset, at_ns + asleep_ns) for offset, at_ns in self._marks]
            self._paused_ns = None
