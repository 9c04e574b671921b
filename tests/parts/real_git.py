"""The real git behind scripted hands: tools run as they do anywhere, and git writes what it really writes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from wardwright.harness.core.hands import Ended
from wardwright.testing.hands import Run, World

ENVIRONMENT = {
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": os.environ["PATH"],
}


def git(folder: Path, *arguments: str) -> str:
    """Run git as a person would."""
    ran = subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def repository(folder: Path) -> Path:
    """A repository with one commit on `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "a.txt").write_text("one\ntwo\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=First\n\nWith a body.")
    return folder


def world(*folders: Path) -> World:
    """A world in which these folders exist and `git` is the real one. Only git itself sees what they hold."""
    made = World()
    for folder in folders:
        made.folder(str(folder))
    made.programs["git"] = _real
    made.environment.update(ENVIRONMENT)
    return made


async def _real(run: Run) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *run.command.argv,
        cwd=run.folder,
        env=run.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate(run.command.stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(code=process.returncode, stdout=out, stderr=err, truncated=False)
