"""Where things lie in a state directory.

```
node.json                                  the node's name
keys/signing.pem                           its Ed25519 key, for the owner alone
keys/public/<key>.pem                      every public key it ever signed with
keys/tenants/<digest of tenant>.key        HMAC keys of tenants
journal/<node>/<role>-<slot>/lock          held while a writer runs
journal/<node>/<role>-<slot>/<chain>/<nnnnnnnn>.jsonl
journal/<node>/<role>-<slot>/<chain>/<nnnnnnnn>.torn
blobs/contracts/…                          kept
captures/<digest of tenant>/<minutes>/<receipt>   bodies, where capture is on, and of sovereign calls of tools
kept/<digest of tenant>/…                  contents of files as they were before a call of a tool wrote them
index.sqlite                               deleted and rebuilt at will
remembered.sqlite, remembered-<n>.sqlite   what rules remember, one a worker: the same
work.sqlite, work-<n>.sqlite               the work queue, one a worker
shares.sqlite                              what workers hold of shared limits: made anew as they start
claims/<approval>                          which worker uses an approval
workers/<n>.sock                           where a worker answers the others
```
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final, cast, get_args

from wardwright.journal.entry import Chain
from wardwright.journal.store import ChainKey, segment_name
from wardwright.kernel.errors import WardwrightError

CHAINS: Final = get_args(Chain)
_SEGMENT: Final = re.compile(r"(\d{8})\.jsonl")
_RECEIPT: Final = re.compile(r"rc[pt]_([0-9a-f]{7})[0-9a-f]{21}")
CAPTURE_BUCKETS: Final = "[0-9a-f]" * 7
"""The names of directories of captures, as a pattern."""
_BUCKET_BITS: Final = 20
"""Of the milliseconds that a receipt's id begins with, those that its directory does not name: about 17 minutes."""


def journal_dir(state: Path) -> Path:
    return state / "journal"


def writer_dir(state: Path, writer: str) -> Path:
    return journal_dir(state) / writer


def chain_dir(state: Path, key: ChainKey) -> Path:
    return writer_dir(state, key.writer) / key.chain


def segment_path(state: Path, key: ChainKey, segment: int) -> Path:
    return journal_dir(state) / segment_name(key, segment)


def torn_path(state: Path, key: ChainKey, segment: int) -> Path:
    """Where the bytes of a torn tail are kept aside."""
    return segment_path(state, key, segment).with_suffix(".torn")


def segments(state: Path, key: ChainKey) -> tuple[int, ...]:
    """The numbers of the segments that are there, rising."""
    try:
        names = os.listdir(chain_dir(state, key))
    except FileNotFoundError:
        return ()
    return tuple(sorted(int(found[1]) for name in names if (found := _SEGMENT.fullmatch(name))))


def chains(state: Path) -> tuple[ChainKey, ...]:
    """Every chain that has a segment, sorted."""
    keys = []
    for chain in CHAINS:
        for directory in journal_dir(state).glob(f"*/*/{chain}"):
            key = ChainKey(f"{directory.parent.parent.name}/{directory.parent.name}", cast(Chain, chain))
            if segments(state, key):
                keys.append(key)
    return tuple(sorted(keys))


def tenant_name(tenant: str) -> str:
    """A tenant's name as a file's: a digest, since tenants may be called anything."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:40]


def kept_dir(state: Path, tenant: str) -> Path:
    """Where contents of files lie that calls of a tenant's changed."""
    return state / "kept" / tenant_name(tenant)


def captures_dir(state: Path) -> Path:
    return state / "captures"


def capture_path(state: Path, tenant: str, receipt: str) -> Path:
    """Where the bodies of one call lie. Raises `invalid_request` for what is no receipt id."""
    found = _RECEIPT.fullmatch(receipt)
    if found is None:
        raise WardwrightError("invalid_request", f"`{receipt}` is no receipt id: `rcp_` or `rct_`, and 28 hex digits")
    return captures_dir(state) / tenant_name(tenant) / found[1] / receipt


def capture_bucket_end_us(name: str) -> int:
    """The instant before which the calls of such a directory were accepted, µs since the epoch.

    >>> capture_bucket_end_us("018bcfe") == (0x18bcfe + 1) * 2**20 * 1000
    True
    """
    return ((int(name, 16) + 1) << _BUCKET_BITS) * 1000
