"""How an installation stands, as its files tell: facts, and what is found in them.

Rule 1: looking changes nothing and takes no lock for longer than it takes to see whether it is free.
Rule 2: findings are made from facts alone (`findings`), whoever gathered them.
Rule 3: what cannot be looked at is a finding, and keeps nothing else from being looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.journal.life import OpenCalls
from wardwright.journal.record import read
from wardwright.journal.store import ChainKey, Cursor
from wardwright.journal.work_queue import Dead, Done, Job, Leased, Waiting
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.journal import chain_status
from wardwright.runtime.task_store import TaskStore, houses_with_tasks
from wardwright.storage import layout
from wardwright.storage.lock import held, holder_of
from wardwright.storage.reader import SegmentReader, last_line
from wardwright.storage.work_queue import stored_jobs

FILES_MAX: Final = 200_000
"""Files whose sizes are added up in one folder; a folder with more is told as that large at least."""
DISK_LOW_BYTES: Final = 1024**3
DISK_FULL_BYTES: Final = 100 * 1024**2
INODES_LOW_PPM: Final = 50_000
INODES_FULL_PPM: Final = 10_000
OVERDUE_S: Final = 900
"""How long work may be due before somebody is told that nobody does it."""
APPROVAL_LONG_S: Final = 3_600
"""How long a request may wait for a person before somebody is told."""

Grade: TypeAlias = Literal["ok", "warn", "bad"]
GRADES: Final[tuple[Grade, ...]] = ("ok", "warn", "bad")
"""From well to ill."""

STORED: Final = {
    "journal": ("journal",),
    "kept": ("kept",),
    "captures": ("captures",),
    "index": ("index.sqlite*", "tools.sqlite*"),
}
"""What sizes are told of, and where it lies in the state directory."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    about: str
    grade: Grade
    says: str
    hint: str | None = None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """The file system on which the state directory lies."""

    bytes_free: int
    bytes_total: int
    inodes_free: int
    inodes_total: int
    """0 where the file system does not count them."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """One lane of one queue's file."""

    file: str
    lane: str
    dead: int
    done: int
    leased: int
    waiting: int
    oldest_due_at: int | None
    """µs since the epoch: since when the longest waiting job is due."""
    runs: bool = True
    """Somebody holds the queue, as far as can be told."""


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """One writer of the journal, or another holder of a lock."""

    name: str
    pid: int | None
    """As the lock's file says."""
    held: bool
    lives: bool
    """There is a process with that number."""
    journal: bool = False
    """It writes chains."""
    checkpoint_at: int | None = None
    """µs since the epoch: of the last checkpoint of calls."""
    closed: bool = True
    """Its chains ended in good order."""
    open_calls: int = 0
    """Of a writer that ended without closing: calls that the next start records as lost."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One model at a provider, as the running gateway sees it."""

    provider: str
    model: str
    state: str
    rest: str | None
    free_in_s: float


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a running gateway says of itself."""

    url: str
    failure: str | None = None
    """Why it could not be asked, if so."""
    build: str = ""
    calls_live: int = 0
    draining: bool = False
    endpoints: tuple[Endpoint, ...] = ()
    journal_failure: str | None = None
    journal_waiting: int = 0
    reload_at: int = 0
    reload_errors: int = 0
    workers: int = 1


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was looked at."""

    at: int
    """µs since the epoch."""
    state: str
    disk: Disk | None = None
    stored: tuple[tuple[str, int], ...] = ()
    """Bytes by what they are."""
    queues: tuple[Queue, ...] = ()
    writers: tuple[Writing, ...] = ()
    serving: Serving | None = None
    """None: no gateway runs."""
    index_behind: bool | None = None
    index_failure: str | None = None
    approvals_waiting: int | None = None
    approvals_since: int | None = None
    """µs since the epoch: since when the oldest waits."""
    tasks_added: tuple[tuple[str, int], ...] = ()
    """Houses whose tasks nobody takes in, and how many those are."""
    walls: str | None = None
    """What stands around programs; None where that was not looked at."""
    walls_problem: str | None = None
    failures: tuple[tuple[str, str], ...] = ()
    """What could not be looked at, and why."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at an installation."""

    at: int
    """µs since the epoch."""
    grade: Grade
    """The worst of them."""
    findings: tuple[Finding, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that is not what it was."""

    at: int
    about: str
    before: Grade | None
    """None: it is new."""
    grade: Grade | None
    """None: there is nothing of that name any more."""
    says: str
    hint: str | None = None


def look_of(facts: Facts) -> Look:
    found = tuple(findings(facts))
    return Look(at=facts.at, grade=worst(one.grade for one in found), findings=found)


def worst(grades: Iterable[Grade]) -> Grade:
    """
    >>> worst(["ok", "bad", "warn"]), worst([])
    ('bad', 'ok')
    """
    return max(grades, key=GRADES.index, default="ok")


def changes(before: Look | None, now: Look) -> tuple[Change, ...]:
    """What has another grade than before: numbers that move within a grade are no news."""
    were = {} if before is None else {one.about: one for one in before.findings}
    found = [
        Change(
            at=now.at,
            about=one.about,
            before=were[one.about].grade if one.about in were else None,
            grade=one.grade,
            says=one.says,
            hint=one.hint,
        )
        for one in now.findings
        if one.about not in were or were[one.about].grade != one.grade
    ]
    are = {one.about for one in now.findings}
    found += [
        Change(at=now.at, about=one.about, before=one.grade, grade=None, says="is gone")
        for one in were.values()
        if one.about not in are
    ]
    return tuple(found)


# -- what is found in facts --------------------------------------------------------------------------------------------


def findings(facts: Facts) -> Iterator[Finding]:
    yield from _gateway(facts.serving)
    yield from _disk(facts)
    for writer in facts.writers:
        yield _writer(writer, facts.at)
    yield from _index(facts)
    for queue in facts.queues:
        yield _queue(queue, facts.at)
    for house, count in facts.tasks_added:
        hint = f"`wardwright task run --house {house}` runs them"
        yield Finding(about=f"tasks {house}", grade="warn", says=f"{count} added, and no runner is there", hint=hint)
    yield from _approvals(facts)
    if facts.walls is not None:
        grade: Grade = "ok" if facts.walls == "both" else "warn"
        says = f"walls: {facts.walls}" + (f" ({facts.walls_problem})" if facts.walls_problem else "")
        needed = "install bubblewrap, and allow user namespaces to this process"
        yield Finding(about="sandbox", grade=grade, says=says, hint=None if grade == "ok" else needed)
    for about, why in facts.failures:
        yield Finding(
            about=about, grade="bad", says=f"cannot be looked at: {why}", hint="`wardwright doctor` says more"
        )


def _gateway(serving: Serving | None) -> Iterator[Finding]:
    if serving is None:
        yield Finding(about="gateway", grade="ok", says="none runs over this state directory")
        return
    if serving.failure is not None:
        hint = "is it stuck? its log says more; `kill -TERM` ends it in good order"
        yield Finding(about="gateway", grade="bad", says=f"{serving.url}: {serving.failure}", hint=hint)
        return
    grade: Grade = "warn" if serving.draining else "ok"
    says = f"{serving.url}, {serving.workers} process(es), {serving.calls_live} calls under way"
    yield Finding(about="gateway", grade=grade, says=says + (", draining" if serving.draining else ""))
    if serving.journal_failure is not None:
        hint = "make room, or see to the disk; calls are refused or unrecorded meanwhile"
        yield Finding(about="journal", grade="bad", says=f"cannot be written: {serving.journal_failure}", hint=hint)
    else:
        yield Finding(about="journal", grade="ok", says=f"{serving.journal_waiting} entries wait to be written")
    if serving.reload_errors:
        hint = "`wardwright check` shows what; the last good versions serve"
        yield Finding(about="reload", grade="warn", says=f"{serving.reload_errors} refused at the last", hint=hint)
    else:
        yield Finding(about="reload", grade="ok", says="nothing refused at the last")
    for one in serving.endpoints:
        about = f"breaker {one.provider}/{one.model}"
        if one.rest is None and one.state == "closed":
            yield Finding(about=about, grade="ok", says="closed")
        else:
            says = f"{one.state}, {one.rest or 'probing'}, free in {one.free_in_s:.0f} s"
            hint = "`wardwright receipt list --status failed` shows what failed"
            yield Finding(about=about, grade="warn", says=says, hint=hint)
    if serving.endpoints and all(one.rest is not None for one in serving.endpoints):
        hint = "no call can be served: see to the providers"
        yield Finding(about="breakers", grade="bad", says="every endpoint rests", hint=hint)


def _disk(facts: Facts) -> Iterator[Finding]:
    disk = facts.disk
    if disk is not None:
        hint = "make room, or set `retention` in the settings"
        free = disk.bytes_free
        grade: Grade = "bad" if free < DISK_FULL_BYTES else "warn" if free < DISK_LOW_BYTES else "ok"
        says = f"{free / 1024**3:.1f} GiB free of {disk.bytes_total / 1024**3:.1f}"
        yield Finding(about="disk", grade=grade, says=says, hint=None if grade == "ok" else hint)
        if disk.inodes_total:
            ppm = disk.inodes_free * 1_000_000 // disk.inodes_total
            grade = "bad" if ppm < INODES_FULL_PPM else "warn" if ppm < INODES_LOW_PPM else "ok"
            says = f"{disk.inodes_free} of {disk.inodes_total} inodes free"
            yield Finding(about="inodes", grade=grade, says=says, hint=None if grade == "ok" else hint)
    if facts.stored:
        says = ", ".join(f"{name} {size / 1024**2:.1f} MiB" for name, size in facts.stored)
        yield Finding(about="stored", grade="ok", says=says)


def _writer(writer: Writing, now: int) -> Finding:
    about = f"writer {writer.name}" if writer.journal else f"lock {writer.name}"
    if writer.held:
        if not writer.lives:
            says = "held, and the process that its lock names is gone"
            return Finding(about=about, grade="bad", says=says, hint="`fuser` on the lock tells who holds it")
        since = (
            "" if writer.checkpoint_at is None else f", last checkpoint {(now - writer.checkpoint_at) // 10**6} s ago"
        )
        return Finding(about=about, grade="ok", says=f"held by process {writer.pid}{since}")
    if writer.closed:
        says = "free, closed in good order" if writer.journal else "free"
        return Finding(about=about, grade="ok", says=says)
    says = f"free, and not closed: its process was killed; {writer.open_calls} calls were under way"
    return Finding(about=about, grade="warn", says=says, hint="the next start records them as lost")


def _index(facts: Facts) -> Iterator[Finding]:
    if facts.index_failure is not None:
        hint = "`wardwright journal rebuild` makes it anew"
        yield Finding(about="index", grade="warn", says=f"cannot be kept up: {facts.index_failure}", hint=hint)
    elif facts.index_behind is not None:
        yield Finding(about="index", grade="ok", says="behind the journal" if facts.index_behind else "up to date")


def _queue(queue: Queue, now: int) -> Finding:
    about = f"queue {queue.lane}" + ("" if queue.file in ("work.sqlite",) else f" in {queue.file}")
    says = f"{queue.waiting} waiting, {queue.leased} leased, {queue.dead} dead"
    noun, _, name = queue.lane.partition("/")
    late_s = 0 if queue.oldest_due_at is None else (now - queue.oldest_due_at) // 1_000_000
    if late_s > OVERDUE_S:
        hint = (
            f"`wardwright task run --house {name}`" if noun == "tasks" else "is a gateway running, and the sink well?"
        )
        return Finding(about=about, grade="warn", says=f"{says}; due since {late_s} s", hint=hint)
    if queue.dead:
        hint = "`wardwright task list --is dead`" if noun == "tasks" else "`wardwright alert list --delivery dead`"
        return Finding(about=about, grade="warn", says=says, hint=hint)
    return Finding(about=about, grade="ok", says=says)


def _approvals(facts: Facts) -> Iterator[Finding]:
    if facts.approvals_waiting is None:
        return
    since_s = 0 if facts.approvals_since is None else (facts.at - facts.approvals_since) // 1_000_000
    if since_s > APPROVAL_LONG_S:
        says = f"{facts.approvals_waiting} waiting, the oldest for {since_s // 60} minutes"
        yield Finding(about="approvals", grade="warn", says=says, hint="`wardwright approval list --status pending`")
    else:
        yield Finding(about="approvals", grade="ok", says=f"{facts.approvals_waiting} waiting")


# -- what files tell ---------------------------------------------------------------------------------------------------


def on_disk(state: Path, now: int) -> Facts:
    """What the files of a state directory tell. Blocks."""
    failures: list[tuple[str, str]] = []
    facts = Facts(at=now, state=str(state))
    for about, gather in _GATHERED:
        try:
            facts = gather(facts, state, now)
        except (OSError, WardwrightError) as error:
            failures.append((about, str(error)))
    return msgspec.structs.replace(facts, failures=tuple(failures))


def _with_disk(facts: Facts, state: Path, _: int) -> Facts:
    there = state if state.exists() else next(parent for parent in state.absolute().parents if parent.exists())
    told = os.statvfs(there)
    disk = Disk(
        bytes_free=told.f_bavail * told.f_frsize,
        bytes_total=told.f_blocks * told.f_frsize,
        inodes_free=told.f_favail,
        inodes_total=told.f_files,
    )
    return msgspec.structs.replace(facts, disk=disk)


def _with_sizes(facts: Facts, state: Path, _: int) -> Facts:
    if not state.exists():
        return facts
    stored = tuple(
        (name, sum(_size(path) for pattern in patterns for path in state.glob(pattern)))
        for name, patterns in STORED.items()
    )
    return msgspec.structs.replace(facts, stored=stored)


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    total = count = 0
    for folder, _, names in os.walk(path):
        for name in names:
            count += 1
            if count > FILES_MAX:
                return total
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _with_queues(facts: Facts, state: Path, now: int) -> Facts:
    found: list[Queue] = []
    for path in sorted((*state.glob("work*.sqlite"), *state.glob("tasks-*.sqlite"))):
        lanes: dict[str, list[Job]] = {}
        for job in stored_jobs(path):
            lanes.setdefault(job.lane, []).append(job)
        found += [_lane(path.name, lane, jobs, now) for lane, jobs in sorted(lanes.items())]
    added: list[tuple[str, int]] = []
    for house in houses_with_tasks(state):
        store = TaskStore(state, house)
        count = sum(1 for _ in store.added())
        if count and not held(store.lock.path):
            added.append((house, count))
    return msgspec.structs.replace(facts, queues=tuple(found), tasks_added=tuple(added))


def _lane(file: str, lane: str, jobs: list[Job], now: int) -> Queue:
    due = [job.state.due_at for job in jobs if isinstance(job.state, Waiting) and job.state.due_at <= now]

    def count(kind: type[Waiting] | type[Leased] | type[Done] | type[Dead]) -> int:
        return sum(isinstance(job.state, kind) for job in jobs)

    # A task's place in line may lie before it was put: it is late since it was put.
    late = [max(at, job.put_at) for job in jobs for at in [_due_of(job)] if at is not None and at <= now]
    return Queue(
        file=file,
        lane=lane,
        dead=count(Dead),
        done=count(Done),
        leased=count(Leased),
        waiting=count(Waiting),
        oldest_due_at=min(late, default=None) if due else None,
    )


def _due_of(job: Job) -> int | None:
    return job.state.due_at if isinstance(job.state, Waiting) else None


def _with_writers(facts: Facts, state: Path, _: int) -> Facts:
    reader = SegmentReader(state)
    found: list[Writing] = []
    for path in sorted(layout.journal_dir(state).glob("*/*/lock")):
        name = f"{path.parent.parent.name}/{path.parent.name}"
        found.append(_writing(state, reader, name, path))
    found += [_holding(path.stem, path) for path in sorted(state.glob("tasks-*.lock"))]
    return msgspec.structs.replace(facts, writers=tuple(found))


def _holding(name: str, lock: Path) -> Writing:
    holder = holder_of(lock)
    return Writing(
        name=name,
        pid=None if holder is None else holder.pid,
        held=held(lock),
        lives=holder is not None and _lives(holder.pid),
    )


def _writing(state: Path, reader: SegmentReader, name: str, lock: Path) -> Writing:
    found = _holding(name, lock)
    closed, at, calls = True, None, 0
    for chain in ("control", "calls"):
        key = ChainKey(name, "control" if chain == "control" else "calls")
        if not reader.segments(key):
            continue
        status = chain_status(state, reader, key)
        mark = status.checkpoint
        good = mark is not None and mark.seq == status.seq and mark.reason == "closed"
        closed = closed and good
        if key.chain == "calls":
            at = None if mark is None else mark.at
            calls = 0 if good or found.held else len(_open_calls(state, reader, key))
    return msgspec.structs.replace(found, checkpoint_at=at, closed=closed, journal=True, open_calls=calls)


def _open_calls(state: Path, reader: SegmentReader, key: ChainKey) -> OpenCalls:
    """What is open at the end of a chain: the checkpoint before its last segment says what was, and this the rest."""
    *before, last = reader.segments(key)
    calls = OpenCalls()
    if before and (line := last_line(layout.segment_path(state, key, before[-1]))) is not None:
        calls.step(read(line))
    for one in reader.lines(key, Cursor(last, 0)):
        if one.whole and (b'"kind":"call.' in one.text or b'"kind":"tool.' in one.text):
            calls.step(read(one.text))
    return calls


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


_GATHERED: Final[tuple[tuple[str, Callable[[Facts, Path, int], Facts]], ...]] = (
    ("disk", _with_disk),
    ("stored", _with_sizes),
    ("queues", _with_queues),
    ("writers", _with_writers),
)
