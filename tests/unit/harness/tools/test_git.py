"""The tools of git over real repositories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from parts.real_git import git, repository, world
from wardwright.contracts.tool import ToolScope
from wardwright.harness.tools.git.porcelain import Branch, FileChange, FileState
from wardwright.harness.tools.git.reading import DIFF, LOG, STATUS
from wardwright.harness.tools.git.writing import BRANCH, COMMIT, SYNC
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.tool_calls import call


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return repository(tmp_path / "here")


def failing(calling: Callable[[], object]) -> WardwrightError:
    with pytest.raises(WardwrightError) as caught:
        calling()
    return caught.value


def test_a_fresh_checkout_is_clean(here: Path) -> None:
    status = call(STATUS, world(here), repo_path=str(here))
    assert (status.branch, status.clean, status.upstream) == ("main", True, None)
    assert status.commit == git(here, "rev-parse", "HEAD")


def test_status_tells_what_is_staged_changed_renamed_and_new(here: Path) -> None:
    (here / "b c\n.txt").write_text("b")
    git(here, "add", ".")
    git(here, "commit", "--quiet", "--message=two")
    git(here, "mv", "b c\n.txt", "renamed")
    (here / "a.txt").write_text("changed")
    (here / "new folder").mkdir()
    (here / "new folder" / "-x").write_text("")
    status = call(STATUS, world(here), repo_path=str(here))
    assert not status.clean
    assert status.changed == (
        FileState(path="a.txt", staged="none", unstaged="modified"),
        FileState(path="renamed", staged="renamed", unstaged="none", original="b c\n.txt"),
    )
    assert status.untracked == ("new folder/",)
    everything = call(STATUS, world(here), repo_path=str(here), untracked="all")
    assert everything.untracked == ("new folder/-x",)


def test_status_tells_a_conflict(here: Path) -> None:
    git(here, "switch", "--quiet", "--create=other")
    (here / "a.txt").write_text("other")
    git(here, "commit", "--quiet", "--all", "--message=other")
    git(here, "switch", "--quiet", "main")
    (here / "a.txt").write_text("main")
    git(here, "commit", "--quiet", "--all", "--message=main")
    with pytest.raises(Exception, match="returned non-zero"):
        git(here, "merge", "--quiet", "other")
    status = call(STATUS, world(here), repo_path=str(here))
    assert status.changed == (FileState(path="a.txt", staged="unmerged", unstaged="unmerged", conflict=True),)


def test_a_repository_without_commits_has_none(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    assert call(STATUS, world(folder), repo_path=str(folder)).commit is None
    assert failing(lambda: call(LOG, world(folder), repo_path=str(folder))).code == "tool_failed"


def test_a_folder_within_a_repository_is_no_repository(here: Path) -> None:
    below = here / "below"
    below.mkdir()
    error = failing(lambda: call(STATUS, world(below), repo_path=str(below)))
    assert (error.code, "not a git repository" in error.message) == ("tool_failed", True)


def test_a_log_tells_commits_with_their_messages(here: Path) -> None:
    (here / "b").write_text("")
    git(here, "add", ".")
    git(here, "commit", "--quiet", "--message=Zwei: Grüße")
    log = call(LOG, world(here), repo_path=str(here))
    assert [(one.subject, one.body) for one in log.commits] == [("Zwei: Grüße", ""), ("First", "With a body.")]
    assert (log.commits[0].author, log.commits[0].email, log.commits[0].at_s) == ("Ada", "ada@example.com", 1767323045)
    assert log.commits[0].parents == (log.commits[1].commit,)
    assert not log.truncated


def test_a_log_is_cut_at_its_count_and_says_so(here: Path) -> None:
    git(here, "commit", "--quiet", "--allow-empty", "--message=two")
    log = call(LOG, world(here), repo_path=str(here), count_max=1)
    assert ([one.subject for one in log.commits], log.truncated) == (["two"], True)
    rest = call(LOG, world(here), repo_path=str(here), count_max=1, skip=1)
    assert ([one.subject for one in rest.commits], rest.truncated) == (["First"], False)


def test_a_log_of_a_path_takes_the_path_for_no_pattern(here: Path) -> None:
    (here / "*").write_text("")
    git(here, "add", ".")
    git(here, "commit", "--quiet", "--message=star")
    log = call(LOG, world(here), repo_path=str(here), paths=["*"])
    assert [one.subject for one in log.commits] == ["star"]


@pytest.mark.parametrize("revision", ["--output=/tmp/x", "-p", "a b", "main\n", ""])
def test_what_is_no_revision_is_refused_before_git_sees_it(here: Path, revision: str) -> None:
    error = failing(lambda: call(LOG, world(here), repo_path=str(here), revision=revision))
    assert error.code == "tool_arguments"
    assert error.place is not None
    assert error.place.path == "revision"


def test_a_diff_counts_lines_and_tells_them(here: Path) -> None:
    (here / "a.txt").write_text("one\n2\nthree\n")
    (here / "bin").write_bytes(b"\0\1")
    git(here, "add", "bin")
    diff = call(DIFF, world(here), repo_path=str(here))
    assert diff.files == (FileChange(path="a.txt", kind="modified", added=2, removed=1),)
    assert diff.patch is not None
    assert "-two\n+2\n+three\n" in diff.patch.text
    staged = call(DIFF, world(here), repo_path=str(here), staged=True, patch=False)
    assert staged.files == (FileChange(path="bin", kind="added", added=None, removed=None),)
    assert staged.patch is None


def test_a_diff_between_commits_follows_renames(here: Path) -> None:
    git(here, "mv", "a.txt", "b.txt")
    git(here, "commit", "--quiet", "--message=move")
    diff = call(DIFF, world(here), repo_path=str(here), base="HEAD~1", head="HEAD")
    assert diff.files == (FileChange(path="b.txt", kind="renamed", original="a.txt", added=0, removed=0),)


def test_a_diff_runs_no_program_that_the_repository_names(here: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {trap}\n")
    script.chmod(0o755)
    for name in ("diff.external", "core.pager", "core.fsmonitor", "diff.x.textconv", "core.sshCommand", "core.askPass"):
        git(here, "config", name, str(script))
    (here / ".gitattributes").write_text("* diff=x\n")
    (here / "a.txt").write_text("changed")
    call(DIFF, world(here), repo_path=str(here))
    call(STATUS, world(here), repo_path=str(here))
    call(LOG, world(here), repo_path=str(here))
    assert not trap.exists()


def test_a_repository_that_claims_files_elsewhere_is_not_believed(here: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("secret")
    git(here, "config", "core.worktree", str(elsewhere))
    assert call(STATUS, world(here), repo_path=str(here)).clean


def hook(here: Path, name: str, trap: Path) -> None:
    file = here / ".git" / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\ntouch {trap}\n")
    file.chmod(0o755)


def test_a_commit_takes_some_paths_and_leaves_what_else_is_staged(here: Path) -> None:
    (here / "mine").write_text("mine")
    (here / "theirs").write_text("theirs")
    git(here, "add", "theirs")
    made = call(COMMIT, world(here), repo_path=str(here), message="Add mine\n\nSo.\n", paths=["mine"])
    assert (made.commit.subject, made.commit.body) == ("Add mine", "So.")
    assert made.commit.commit == git(here, "rev-parse", "HEAD")
    assert git(here, "show", "--name-only", "--format=") == "mine"
    assert git(here, "diff", "--cached", "--name-only") == "theirs"


def test_a_commit_of_everything_takes_what_is_new_and_what_is_gone(here: Path) -> None:
    (here / "a.txt").unlink()
    (here / "-n").write_text("")
    call(COMMIT, world(here), repo_path=str(here), message="-m", everything=True)
    assert git(here, "ls-files") == "-n"
    assert git(here, "log", "-1", "--format=%s") == "-m"


def test_a_commit_names_its_author(here: Path) -> None:
    (here / "b").write_text("")
    made = call(
        COMMIT, world(here), repo_path=str(here), message="b", everything=True, author="Grace H <g@example.com>"
    )
    assert (made.commit.author, made.commit.email) == ("Grace H", "g@example.com")
    assert git(here, "log", "-1", "--format=%cn") == "Grace H"


def test_a_commit_runs_hooks_only_if_it_was_asked_to(here: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    hook(here, "pre-commit", trap)
    (here / "b").write_text("b")
    call(COMMIT, world(here), repo_path=str(here), message="b", everything=True)
    assert not trap.exists()
    (here / "b").write_text("c")
    call(COMMIT, world(here), repo_path=str(here), message="c", everything=True, hooks=True)
    assert trap.exists()


def test_nothing_to_commit_is_a_failure(here: Path) -> None:
    error = failing(lambda: call(COMMIT, world(here), repo_path=str(here), message="none"))
    assert (error.code, "nothing to commit" in error.message) == ("tool_failed", True)


def test_a_branch_is_made_taken_and_deleted(here: Path) -> None:
    commit = git(here, "rev-parse", "HEAD")
    made = call(BRANCH, world(here), repo_path=str(here), how="create", name="topic/x")
    assert made.branches == (
        Branch(name="main", commit=commit, upstream=None, current=True),
        Branch(name="topic/x", commit=commit, upstream=None, current=False),
    )
    assert call(BRANCH, world(here), repo_path=str(here), how="switch", name="topic/x").current == "topic/x"
    assert (
        failing(lambda: call(BRANCH, world(here), repo_path=str(here), how="delete", name="topic/x")).code
        == "tool_failed"
    )
    call(BRANCH, world(here), repo_path=str(here), how="switch", name="main")
    left = call(BRANCH, world(here), repo_path=str(here), how="delete", name="topic/x")
    assert [one.name for one in left.branches] == ["main"]


def test_a_branch_with_work_of_its_own_is_not_deleted(here: Path) -> None:
    git(here, "switch", "--quiet", "--create=topic")
    git(here, "commit", "--quiet", "--allow-empty", "--message=work")
    git(here, "switch", "--quiet", "main")
    error = failing(lambda: call(BRANCH, world(here), repo_path=str(here), how="delete", name="topic"))
    assert "not fully merged" in error.message


@pytest.mark.parametrize("name", ["-D", "--force", "a b", "x\n", "a~1"])
def test_what_is_no_name_of_a_branch_is_refused_before_git_sees_it(here: Path, name: str) -> None:
    error = failing(lambda: call(BRANCH, world(here), repo_path=str(here), how="delete", name=name))
    assert error.code == "tool_arguments"


def test_a_branch_must_be_named_to_be_changed(here: Path) -> None:
    error = failing(lambda: call(BRANCH, world(here), repo_path=str(here), how="delete"))
    assert error.code == "tool_arguments"


@pytest.fixture
def pair(here: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A bare repository and a clone of it."""
    bare, clone = tmp_path / "bare", tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--bare", str(here), str(bare))
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    return bare, clone


def test_a_pull_goes_forward(here: Path, pair: tuple[Path, Path]) -> None:
    bare, clone = pair
    before = git(clone, "rev-parse", "HEAD")
    git(here, "commit", "--quiet", "--allow-empty", "--message=new")
    git(here, "push", "--quiet", str(bare), "main")
    after = git(here, "rev-parse", "HEAD")
    fetched = call(SYNC, world(clone), repo_path=str(clone), how="fetch")
    assert (fetched.before, fetched.after, fetched.changed) == (before, after, True)
    assert git(clone, "rev-parse", "HEAD") == before
    assert call(STATUS, world(clone), repo_path=str(clone)).behind == 1
    pulled = call(SYNC, world(clone), repo_path=str(clone), how="pull")
    assert (pulled.branch, pulled.before, pulled.after, pulled.changed) == ("main", before, after, True)
    assert not call(SYNC, world(clone), repo_path=str(clone), how="pull").changed


def test_a_pull_never_merges(here: Path, pair: tuple[Path, Path]) -> None:
    bare, clone = pair
    git(here, "commit", "--quiet", "--allow-empty", "--message=theirs")
    git(here, "push", "--quiet", str(bare), "main")
    git(clone, "commit", "--quiet", "--allow-empty", "--message=ours")
    ours = git(clone, "rev-parse", "HEAD")
    error = failing(lambda: call(SYNC, world(clone), repo_path=str(clone), how="pull"))
    assert error.code == "tool_failed"
    assert git(clone, "rev-parse", "HEAD") == ours


def test_a_push_never_forces_and_runs_no_hooks(here: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    bare, clone = pair
    trap = tmp_path / "trap"
    hook(clone, "pre-push", trap)
    git(clone, "commit", "--quiet", "--allow-empty", "--message=ours")
    pushed = call(SYNC, world(clone), repo_path=str(clone), how="push")
    assert pushed.after == git(bare, "rev-parse", "main")
    assert pushed.changed
    assert not trap.exists()
    git(here, "commit", "--quiet", "--allow-empty", "--message=theirs")
    git(here, "push", "--quiet", "--force", str(bare), "main")
    git(clone, "commit", "--quiet", "--allow-empty", "--message=more")
    theirs = git(bare, "rev-parse", "main")
    assert failing(lambda: call(SYNC, world(clone), repo_path=str(clone), how="push")).code == "tool_failed"
    assert git(bare, "rev-parse", "main") == theirs


def test_a_remote_that_would_run_a_program_is_not_asked(here: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    git(here, "remote", "add", "evil", f"ext::sh -c 'touch {trap}'")
    git(here, "config", "protocol.ext.allow", "always")
    assert (
        failing(lambda: call(SYNC, world(here), repo_path=str(here), how="fetch", remote="evil")).code == "tool_failed"
    )
    assert not trap.exists()


def test_a_repository_outside_the_scope_is_denied(here: Path) -> None:
    scope = ToolScope(read=("/srv",), programs=("git",))
    error = failing(lambda: call(STATUS, world(here), scope=scope, repo_path=str(here)))
    assert error.code == "scope_denied"


def test_git_is_run_without_the_variables_of_its_caller(here: Path) -> None:
    made = world(here)
    made.environment["GIT_DIR"] = os.devnull
    assert call(STATUS, made, repo_path=str(here)).clean
