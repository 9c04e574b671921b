"""How a writer trades delay for work, and where its bounds lie."""

from __future__ import annotations

from typing import Literal

import msgspec


class JournalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    durability: Literal["batch", "before_response"] = "batch"
    """`batch`: a record is durable within `commit_delay_ms` and a sync. `before_response`: written at once; whoever
    waits for it shares the sync with all that came meanwhile."""
    commit_delay_ms: int = 10
    """How long a batch gathers after its first record. Means nothing to `before_response`."""
    batch_max: int = 512
    """Records in one write."""
    pending_max: int = 65_536
    """Records that may wait; those beyond are refused."""
    segment_bytes_max: int = 64 * 1024 * 1024
    """A segment ends once it has grown past this."""
    segment_age_s: int = 24 * 3600
    """A segment ends with the first record that comes later than this."""
    retry_ms: int = 250
    """The pause after a failed write; it doubles up to `retry_max_ms`."""
    retry_max_ms: int = 5_000
    close_timeout_s: int = 30
    """How long closing waits for the writer's thread."""
