"""The tools of the machine and its services."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wardwright.harness.core.hands import Ended
from wardwright.harness.tools.system import kernel_files
from wardwright.harness.tools.system.kernel_files import Unreadable
from wardwright.harness.tools.system.machine import DISK, INFO, PROCESSES, DiskUsage, Info
from wardwright.harness.tools.system.service import CONTROL, STATUS, TAIL, LogLine, ServiceStatus, journal
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.hands import World, ended, told
from wardwright.testing.tool_calls import call


def failing(calling: Callable[[], object]) -> WardwrightError:
    with pytest.raises(WardwrightError) as caught:
        calling()
    return caught.value


# system.info


def test_a_machine_tells_of_itself() -> None:
    world = World()
    for path, text in {
        "/proc/meminfo": "MemTotal:  16 kB\nMemAvailable:  8 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nHugePages_Total: 3\n",
        "/proc/sys/kernel/hostname": "gate\n",
        "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
        "/proc/uptime": "350735.47 234388.90\n",
        "/proc/loadavg": "0.20 0.18 0.12 1/80 11206\n",
        "/proc/stat": "cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 5\n",
        "/usr/lib/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    }.items():
        world.write(path, text.encode())
    world.link("/etc/os-release", "../usr/lib/os-release")
    assert call(INFO, world) == Info(
        host="gate",
        system="Debian GNU/Linux 12 (bookworm)",
        kernel="6.1.0-18-amd64",
        uptime_s=350735,
        processors=2,
        load=("0.20", "0.18", "0.12"),
        memory_bytes=16384,
        memory_available_bytes=8192,
        swap_bytes=0,
        swap_free_bytes=0,
    )


def test_a_machine_that_tells_nothing_is_none_throughout() -> None:
    world = World()
    world.folder("/proc")
    info = call(INFO, world)
    assert all(getattr(info, name) is None for name in info.__struct_fields__)


@pytest.mark.parametrize("text", ['PRETTY_NAME="', "PRETTY_NAME=", "PRETTY", "\xff"])
def test_a_release_that_is_not_quoted_right_has_no_name(text: str) -> None:
    assert kernel_files.system_name(text.encode("latin-1")) is None


# process.list

STAT = "{pid} ({name}) S 1 {pid} {pid} 0 -1 4194304 1 0 0 0 {ticks} 5 0 0 20 0 3 0 100 1000 25 18446744073709551615\n"


def machine(*processes: tuple[int, str, int, int]) -> World:
    world = World()
    world.folder("/proc/sys")
    world.write("/proc/uptime", b"1")
    for pid, name, ticks, memory in processes:
        world.write(f"/proc/{pid}/stat", STAT.format(pid=pid, name=name, ticks=ticks).encode())
        status = f"Name:\t{name}\nUid:\t0\t1000\t0\t0\nVmRSS:\t  {memory} kB\n"
        world.write(f"/proc/{pid}/status", status.encode())
    return world


def test_processes_are_listed_by_memory() -> None:
    listed = call(PROCESSES, machine((1, "init", 10, 5), (42, "a) R (b", 95, 7)))
    assert [(one.pid, one.name) for one in listed.processes] == [(42, "a) R (b"), (1, "init")]
    first = listed.processes[0]
    assert (first.parent, first.user, first.state, first.threads) == (1, 1000, "sleeping", 3)
    assert (first.memory_bytes, first.cpu_ms) == (7168, 1000)
    assert (listed.count, listed.truncated) == (2, False)


def test_processes_are_listed_by_time_number_and_name() -> None:
    world = machine((1, "init", 10, 5), (2, "web", 90, 1), (3, "webd", 50, 1))
    assert [one.pid for one in call(PROCESSES, world, order="cpu").processes] == [2, 3, 1]
    assert [one.pid for one in call(PROCESSES, world, order="pid").processes] == [1, 2, 3]
    few = call(PROCESSES, world, name="web", count_max=1, order="pid")
    assert ([one.pid for one in few.processes], few.count, few.truncated) == ([2], 2, True)


def test_a_process_that_ended_meanwhile_is_left_out() -> None:
    world = machine((1, "init", 10, 5))
    world.folder("/proc/77")
    assert [one.pid for one in call(PROCESSES, world).processes] == [1]


@pytest.mark.parametrize(
    "data", [b"", b"1 init S", b"1 (init) S 1 2", b"x (init) " + b"S " * 30, b"1 (init) S " + b"x " * 30]
)
def test_a_process_that_makes_no_sense_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        kernel_files.process(data)


# disk.usage

DF = b"""Type  1B-blocks   Used  Avail Inodes IUsed
ext4       1000    300    500    100    10
"""


def with_df(data: bytes | Ended) -> World:
    world = World()
    world.programs["df"] = told({("--", "/srv/my data"): data})
    return world


def test_a_file_system_tells_how_full_it_is() -> None:
    world = with_df(DF)
    assert call(DISK, world, path="/srv/my data") == DiskUsage(
        path="/srv/my data",
        kind="ext4",
        size_bytes=1000,
        used_bytes=300,
        available_bytes=500,
        used_ppm=375_000,
        files_max=100,
        files_used=10,
    )
    assert world.ran[0].argv[:2] == ("df", "--block-size=1")


def test_a_file_system_without_inodes_has_no_bound_on_files() -> None:
    usage = call(DISK, with_df(DF.replace(b"   100    10", b"     -     -")), path="/srv/my data")
    assert (usage.files_max, usage.files_used) == (None, None)


@pytest.mark.parametrize("data", [b"", b"one line\n", b"a\nb c\n"])
def test_an_answer_of_df_that_makes_no_sense_is_a_failure(data: bytes) -> None:
    assert failing(lambda: call(DISK, with_df(data), path="/srv/my data")).code == "tool_failed"


def test_what_a_program_said_before_it_failed_is_told() -> None:
    error = failing(lambda: call(DISK, with_df(ended(1, stderr=b"df: no\n such\x1b[0m file\n")), path="/srv/my data"))
    assert error.message == "`df` failed: df: no such [0m file"


# service.status, service.control

SHOW = b"""Id=nginx.service
ActiveState=active
SubState=running
Description=A web server = and a proxy
LoadState=loaded
UnitFileState=enabled
Result=success
MainPID=812
NRestarts=0
ExecMainStatus=0
MemoryCurrent=18446744073709551615
"""


def with_units(**answers: bytes | Ended) -> World:
    world = World()
    world.programs["systemctl"] = told({(word,): answer for word, answer in answers.items()})
    return world


def test_a_service_tells_how_it_is() -> None:
    assert call(STATUS, with_units(show=SHOW), unit="nginx") == ServiceStatus(
        unit="nginx.service",
        active="active",
        sub="running",
        description="A web server = and a proxy",
        enabled="enabled",
        result="success",
        pid=812,
        restarts=0,
        exit_code=0,
        memory_bytes=None,
    )


def test_a_service_that_does_not_exist_is_a_failure() -> None:
    world = with_units(show=SHOW.replace(b"loaded", b"not-found"))
    assert failing(lambda: call(STATUS, world, unit="nginx")).message == "there is no unit `nginx`"


def test_a_service_is_restarted_without_asking_anybody() -> None:
    world = with_units(show=SHOW, restart=b"")
    done = call(CONTROL, world, unit="nginx", action="restart")
    assert (done.unit, done.before, done.after) == ("nginx.service", "active", "active")
    assert world.ran[1].argv == ("systemctl", "restart", "--no-pager", "--no-ask-password", "--quiet", "--", "nginx")


def test_a_service_that_cannot_be_restarted_says_why() -> None:
    world = with_units(show=SHOW, restart=ended(4, stderr=b"Access denied\n"))
    error = failing(lambda: call(CONTROL, world, unit="nginx", action="restart"))
    assert (error.code, error.message) == ("tool_failed", "`systemctl restart` failed: Access denied")


def test_what_does_not_exist_is_not_started() -> None:
    world = with_units(show=SHOW.replace(b"loaded", b"not-found"), start=b"")
    failing(lambda: call(CONTROL, world, unit="nginx", action="start"))
    assert len(world.ran) == 1


@pytest.mark.parametrize("unit", ["--all", "*", "a b", "a;b", "nginx\n", "", "../x"])
def test_what_is_no_unit_is_refused(unit: str) -> None:
    assert failing(lambda: call(STATUS, World(), unit=unit)).code == "tool_arguments"


# log.tail

JOURNAL = (
    b'{"__REALTIME_TIMESTAMP":"1700000000000001","PRIORITY":"3","SYSLOG_IDENTIFIER":"nginx","_PID":"7","MESSAGE":"no"}\n'
    b'{"__REALTIME_TIMESTAMP":"1700000000000002","MESSAGE":[104,195,169,255],"SYSLOG_IDENTIFIER":["a","b"]}\n'
)


def test_the_latest_lines_of_a_service_are_read() -> None:
    world = World()
    world.programs["journalctl"] = told({("--unit=nginx",): JOURNAL})
    tail = call(TAIL, world, unit="nginx", lines=5, since_s=60, level="warning")
    assert tail.lines == (
        LogLine(at_us=1700000000000001, level="error", name="nginx", pid=7, text="no"),
        LogLine(at_us=1700000000000002, level=None, name="a", pid=None, text="h\xe9\ufffd"),
    )
    assert not tail.truncated
    assert {"--output=json", "--lines=5", "--since=-60s", "--priority=4"} < set(world.ran[0].argv)


def test_a_machine_without_a_journal_does_not_look_like_a_silent_service() -> None:
    world = World()
    world.programs["journalctl"] = told({("--unit=nginx",): ended(0, stderr=b"No journal files were found.\n")})
    assert failing(lambda: call(TAIL, world, unit="nginx")).message == "no journal can be read here"
    world.programs["journalctl"] = told({("--unit=nginx",): b""})
    assert call(TAIL, world, unit="nginx").lines == ()


@pytest.mark.parametrize(
    "line", [b'{"MESSAGE":null}', b'{"MESSAGE":"a', b"[]", b"nonsense", b'{"MESSAGE":"%s"}' % (b"x" * 3000)]
)
def test_a_line_that_is_not_whole_is_said(line: bytes) -> None:
    lines, cut = journal(line + b"\n" + JOURNAL)
    assert cut
    assert [one.text for one in lines[-2:]] == ["no", "h\xe9\ufffd"]
