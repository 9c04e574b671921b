"""Records as newline-delimited JSON: the canonical lines as they lie, in an order that never changes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from wardwright.journal.entry import Chain, Record
from wardwright.journal.record import read
from wardwright.journal.store import ChainKey, Reader


def export(
    reader: Reader,
    *,
    chain: Chain | None = None,
    writer: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
) -> Iterator[bytes]:
    """Lines with their newline, in the order of (lam, writer, seq); of one chain or writer, and one time, where asked.

    Times are µs since the epoch; `until_us` is not included. The same journal gives the same bytes, and a longer one
    gives them with more lines between only where another writer's records fall.
    """
    keys = [
        key
        for key in reader.chains()
        if (chain is None or key.chain == chain) and (writer is None or key.writer == writer)
    ]
    ordered = heapq.merge(*(_records(reader, key, since_us, until_us) for key in keys), key=lambda pair: pair[0])
    for _, text in ordered:
        yield text + b"\n"


def _records(
    reader: Reader, key: ChainKey, since_us: int | None, until_us: int | None
) -> Iterator[tuple[tuple[int, str, int], bytes]]:
    for line in reader.lines(key):
        if not line.whole:
            return
        record: Record = read(line.text)
        if until_us is not None and record.at >= until_us:
            return  # `at` never runs backwards in a chain
        if since_us is None or record.at >= since_us:
            yield (record.lam, record.writer, record.seq), line.text
