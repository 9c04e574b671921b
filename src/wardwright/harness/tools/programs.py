"""Running a program for a tool: what it says where it fails, in the words of the tool's caller."""

from __future__ import annotations

from typing import Final

from wardwright.harness.core.hands import Command, Ended
from wardwright.harness.core.tool import Context
from wardwright.kernel.errors import WardwrightError

SAID_CHARS_MAX: Final = 400
"""Of what a program said before it failed."""

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs find the programs that they start themselves."""

PLAIN: Final = (("LC_ALL", "C.UTF-8"), ("PATH", PATH), ("TZ", "UTC"))
"""The variables of every program: one language, one time zone."""


async def run(
    context: Context,
    *argv: str,
    cwd: str = "/",
    stdin: bytes = b"",
    environment: tuple[tuple[str, str], ...] = (),
    output_bytes_max: int,
) -> Ended:
    """Run a program to its end, however it ends."""
    command = Command(
        argv=argv,
        cwd=cwd,
        stdin=stdin,
        environment=(*PLAIN, *environment),
        output_bytes_max=output_bytes_max,
        timeout_s=context.timeout_s,
    )
    return await context.hands.run(command)


def require_success(ended: Ended, what: str) -> Ended:
    """Raises `tool_failed` with what the program said."""
    if ended.code == 0:
        return ended
    raise WardwrightError("tool_failed", f"{what} failed: {said(ended)}")


def said(ended: Ended) -> str:
    """What a program that failed said of it, as one line."""
    text = (ended.stderr.strip() or ended.stdout.strip()).decode(errors="replace")
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if not line:
        return f"it was ended by signal {-ended.code}" if ended.code < 0 else f"it ended with code {ended.code}"
    return line if len(line) <= SAID_CHARS_MAX else f"{line[: SAID_CHARS_MAX - 1]}…"
