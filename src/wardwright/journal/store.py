"""The seams between the journal and where it lies: reading lines, keeping blobs, asking an index.

Writing is `journal.entry.Writer`. Implemented by `wardwright.storage`, and in memory by `wardwright.testing.journal`;
the kit that both pass is `wardwright.testing.journal_kit`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, Protocol

import msgspec

from wardwright.journal.entry import Chain, Record
from wardwright.journal.rows import Row


class ChainKey(msgspec.Struct, frozen=True, order=True):
    """One chain of one writer."""

    writer: str
    """`<node>/<role>-<slot>`."""
    chain: Chain

    def __str__(self) -> str:
        return f"{self.writer}/{self.chain}"


class Cursor(msgspec.Struct, frozen=True, order=True):
    """A place in a chain: before the line that begins at `offset`."""

    segment: int = 0
    offset: int = 0
    """Bytes from the start of the segment."""


START: Final = Cursor()
"""Before everything that is still there."""


class Line(msgspec.Struct, frozen=True):
    """One line of a segment as it lies there."""

    text: bytes
    """Without its newline."""
    segment: int
    offset: int
    whole: bool = True
    """Whether a newline ended it. A segment without any byte reads as one empty line that is not whole."""

    @property
    def next(self) -> Cursor:
        """Where the line after it begins."""
        return Cursor(self.segment, self.offset + len(self.text) + 1)


def segment_name(key: ChainKey, segment: int) -> str:
    """The file of a segment, relative to the journal: what error messages and verdicts call it.

    >>> segment_name(ChainKey("node_1/gateway-0", "calls"), 7)
    'node_1/gateway-0/calls/00000007.jsonl'
    """
    return f"{key.writer}/{key.chain}/{segment:08d}.jsonl"


class Reader(Protocol):
    """Whoever holds segments. Reads what is written now; never blocks a writer."""

    def chains(self) -> tuple[ChainKey, ...]:
        """Every chain that has a segment, sorted."""
        ...

    def segments(self, key: ChainKey) -> tuple[int, ...]:
        """The numbers of a chain's segments, rising. Empty for a chain that is not there."""
        ...

    def lines(self, key: ChainKey, after: Cursor = START) -> Iterator[Line]:
        """The lines from a cursor on, oldest first. Only the last may be torn; a retired cursor means START."""
        ...

    def line_at(self, key: ChainKey, at: Cursor, size: int) -> bytes | None:
        """The line of `size` bytes that begins at a cursor; None where no line of that size ends there."""
        ...

    def last(self, key: ChainKey) -> Record | None:
        """The chain's last whole record."""
        ...


class Blobs(Protocol):
    """Bytes by the digest of their content."""

    def put(self, content: bytes) -> str:
        """Keep the bytes; answers `sha256:` and the hex digest. Keeping the same bytes again costs a look."""
        ...

    def get(self, digest: str) -> bytes | None:
        """The bytes, proven against their digest. Raises `journal_broken` when they are not what they were."""
        ...


class Where(msgspec.Struct, frozen=True):
    """One condition on a column of the index."""

    column: str
    op: Literal["eq", "min", "max", "unset"]
    """`min` and `max` include the bound; `unset` holds where the column has no value."""
    value: str | int = ""
    """Means nothing to `unset`."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows, newest first."""

    rows: tuple[Row, ...]
    next: str | None
    """The opaque cursor of the next page; None on the last."""
    behind: bool = False
    """Whether the journal holds records that these rows do not reflect yet."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of rows taken together."""

    by: str
    """The column whose values make the groups; rows without one are a group of their own."""
    counted: Where
    """An `eq` condition: how many rows of each group meet it."""
    percents: tuple[int, ...] = ()
    """From 1 to 100."""
    ranked: str
    """The column of which the percentiles are."""
    sums: tuple[str, ...] = ()
    """Columns added up."""


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one group."""

    counted: int
    ranks: tuple[int, ...]
    """One a percent, in the order asked: the smallest value that so many of the rows do not exceed."""
    rows: int
    sums: tuple[int, ...]
    """In the order asked."""
    value: str | int | None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, the largest first."""

    behind: bool = False
    """Whether the journal holds records that these groups do not reflect yet."""
    groups: tuple[Total, ...]
    more: bool = False
    """Whether there are smaller groups that were left out."""
    older: bool = False
    """Whether as many rows were taken as may be: older ones, if there are any, were left out."""


class Index(Protocol):
    """The projection that answers questions about calls. Deleted and rebuilt at will."""

    def query(self, where: tuple[Where, ...] = (), *, limit: int = 50, cursor: str | None = None) -> Page:
        """Rows that meet every condition, by `started_at` falling, then `receipt` falling."""
        ...

    def totals(self, asking: Asking, where: tuple[Where, ...] = (), *, limit: int = 50) -> Totals:
        """The newest rows that meet every condition, taken together; at most `limit` groups."""
        ...

    def get(self, receipt: str) -> tuple[Record, ...]:
        """Every record of a call that the journal still holds, oldest first."""
        ...

    def catch_up(self) -> int:
        """Take in what the journal holds beyond the cursor; how many records that were."""
        ...

    def rebuild(self) -> int:
        """Drop every row and read the journal again; how many records that were."""
        ...
