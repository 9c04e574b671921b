"""The use of an approval, until it is durable."""

from __future__ import annotations

from wardwright.journal.entry import Durable


class Redemption:
    """The use of one approval, durable or failed sooner or later. Whoever listens is told once."""

    __slots__ = ("_failure", "_listener", "_over")

    def __init__(self) -> None:
        self._failure: Exception | None = None
        self._listener: Durable | None = None
        self._over = False

    def settle(self, failure: Exception | None) -> None:
        """It is durable (None), or could not be written."""
        self._over, self._failure = True, failure
        if self._listener is not None:
            self._listener(failure)

    def listen(self, listener: Durable) -> None:
        if self._over:
            listener(self._failure)
        else:
            self._listener = listener
