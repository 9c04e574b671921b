"""One look at an installation: what its files tell, and what a gateway that runs says of itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from wardwright.api.approvals import ApprovalViews
from wardwright.api.journal import Storage
from wardwright.api.providers import Providers
from wardwright.api.runtime_status import RuntimeStatus
from wardwright.cli.door import Door, inside, wire
from wardwright.cli.state import running_in
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime import offline
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.health import Endpoint, Facts, Serving, on_disk

APPROVALS_MAX = "500"


def facts_of(state: Path, *, walls: bool = True) -> Facts:
    """Everything that can be looked at now. Blocks. `walls`: those of this machine, too, as this process meets them."""
    facts = on_disk(state, SystemClock().now_us())
    if walls:
        facts = _with_walls(facts)
    url = running_in(state)
    if url is not None:
        with wire(url, state, near=True) as client:
            try:
                return _asked(facts, Door(client, client.send, url=url))
            except WardwrightError as error:
                return msgspec.structs.replace(facts, serving=Serving(url=url, failure=error.message))
    if not offline.has_state(state):
        return facts
    try:
        with inside(state) as door:
            return _stored(facts, door)
    except (OSError, WardwrightError) as error:
        return msgspec.structs.replace(facts, failures=(*facts.failures, ("journal", str(error))))


def _asked(facts: Facts, door: Door) -> Facts:
    """What the gateway says. Raises what it answers with."""
    status = door.ask("GET", "/admin/runtime", RuntimeStatus)
    providers = door.ask("GET", "/admin/providers", Providers)
    serving = Serving(
        url=door.url or "",
        build=status.build,
        calls_live=status.calls_live,
        draining=status.draining,
        endpoints=tuple(
            Endpoint(provider=one.id, model=each.model, state=each.state, rest=each.rest, free_in_s=each.free_in_s)
            for one in providers.data
            for each in one.endpoints
        ),
        journal_failure=status.journal.failure,
        journal_waiting=status.journal.waiting,
        reload_at=status.reload.at,
        reload_errors=len(status.reload.errors),
        workers=status.workers,
    )
    return _stored(msgspec.structs.replace(facts, serving=serving), door)


def _stored(facts: Facts, door: Door) -> Facts:
    index = door.ask("GET", "/admin/storage", Storage).journal.index
    waiting = door.ask("GET", "/api/approvals", ApprovalViews, query={"status": "pending", "limit": APPROVALS_MAX}).data
    return msgspec.structs.replace(
        facts,
        approvals_since=min((one.asked_at for one in waiting), default=None),
        approvals_waiting=len(waiting),
        index_behind=index.behind,
        index_failure=index.failure,
    )


def _with_walls(facts: Facts) -> Facts:
    from wardwright.harness.sandbox.posture import posture  # only here: it is slow to import, and may be left out

    found = asyncio.run(posture())
    return msgspec.structs.replace(facts, walls=found.walls, walls_problem=found.problem)
