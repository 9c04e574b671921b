"""The command line: `wardwright`, in short `ww`: nouns, then verbs.

Rule 1: data goes to stdout and talk to stderr; with `--json` stdout holds one document, also when the command fails.
Rule 2: a command ends with a code of `Exit`, whatever happens in it.
Rule 3: what was typed is the root context's `obj`, for commands that say what to type next.
Rule 4: a command that changes state goes through the gateway that runs, else it takes the writer's lock itself.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final, NoReturn

import click

import wardwright
from wardwright.cli.exits import Exit, exit_of
from wardwright.cli.lazy import Command, LazyGroup
from wardwright.cli.output import Output
from wardwright.kernel.errors import WardwrightError

_MODEL: Final = LazyGroup(
    name="model",
    help="What model names mean: versions, routes, changes.",
    table={
        "list": Command("models:list_", "List every model and the version that serves."),
        "show": Command("models:show", "Show one version of a model: its route, targets and prices."),
        "plan": Command("planning:plan", "Explain the route of a request without calling anyone."),
        "versions": Command("models:versions", "List the stored versions of a model."),
        "diff": Command("models:diff_", "Show what differs between two versions of a model."),
        "activate": Command("model_changes:activate", "Serve a stored version to all calls."),
        "rollback": Command("model_changes:rollback", "Serve an earlier version again."),
        "canary": Command("model_changes:canary", "Serve a stored version to some of the calls."),
        "export": Command("transfers:export", "Write a model as a bundle that another installation can import."),
        "import": Command("transfers:import_", "Take the models of a bundle in as drafts."),
    },
)
_POLICY: Final = LazyGroup(
    name="policy",
    help="Rules in contract files: what they say, do, and were written to do.",
    table={
        "check": Command(
            "policies:check", "Check policies without serving them: mistakes, and what is probably not meant."
        ),
        "explain": Command("policies:explain", "Say what policies do, in sentences made from the compiled rules."),
        "test": Command(
            "policies:test", "Run the examples of policies: what must fire fires, what must stay silent does."
        ),
        "simulate": Command(
            "simulating:simulate",
            "Decide recorded calls again under changed policies: which decisions flip, grouped by rule.",
        ),
        "trace": Command(
            "tracing:trace", "Say why a call went as it did: every rule that was asked, what it compared, what it did."
        ),
    },
)
_TOOL: Final = LazyGroup(
    name="tool",
    help="What can be called besides models, each call governed and recorded.",
    table={
        "list": Command(
            "tools:list_",
            "List the tools that can be called: what they do to the world and how that is taken back.",
        ),
        "show": Command(
            "tools:show",
            "Show one tool: what it takes and gives, what it touches, its bounds, what houses owe for it.",
        ),
        "call": Command(
            "tools:call",
            "Call a tool, as governed as any agent's call: the value on stdout, its receipt and prediction on stderr.",
        ),
        "undo": Command("tools:undo", "Put back the files that a call has changed."),
    },
)
_HOUSE: Final = LazyGroup(
    name="house",
    help="Names in which tools are called, and what they owe.",
    table={
        "list": Command("houses:list_", "List the houses in whose name tools can be called."),
        "show": Command(
            "houses:show", "Show one house: what it owes, for which effects and why, its powers and policies."
        ),
    },
)
_HARNESS: Final = LazyGroup(
    name="harness",
    help="How calls fared, and what is expected of the next.",
    table={
        "scorecard": Command(
            "harness:scorecard",
            "Tell how calls fared: success, latency, cost, and how good predictions of them were.",
        ),
        "predict": Command(
            "harness:predict", "Tell what would be foretold of a call now, level by level, without making it."
        ),
        "patterns": Command(
            "harness:patterns", "List what was learned from calls, by key, those with the most evidence first."
        ),
        "adapt": Command(
            "adapting:adapt",
            "Propose other timeouts, attempts and breaker limits for tools, as changed contracts with their evidence.",
        ),
    },
)
_KEY: Final = LazyGroup(
    name="key",
    help="Serving keys: who may call.",
    table={
        "create": Command("keys:create", "Make a serving key and show it once."),
        "list": Command("keys:list_", "List all keys, revoked ones too."),
        "revoke": Command("keys:revoke", "End a key at once and for ever."),
    },
)
_APPROVAL: Final = LazyGroup(
    name="approval",
    help="Requests that wait for a person.",
    table={
        "list": Command("approvals:list_", "List requests that need or needed an approval, newest first."),
        "show": Command("approvals:show", "Show one approval; the exit code says how it stands."),
        "approve": Command("approvals:approve", "Let a request run, once, when its client sends it again."),
        "deny": Command("approvals:deny", "Refuse a request."),
    },
)
_ALERT: Final = LazyGroup(
    name="alert",
    help="What rules told somebody: deliveries and dead letters.",
    table={
        "list": Command("alerts:list_", "List alerts, newest first."),
        "retry": Command("alerts:retry", "Try dead letters again."),
        "drop": Command("alerts:drop", "Forget dead letters."),
    },
)
_MCP: Final = LazyGroup(
    name="mcp",
    help="Tools over the Model Context Protocol: ours for others, those of others for us.",
    table={
        "serve": Command("mcp_serving:serve", "Serve governed tools to MCP clients."),
        "list": Command("mcp_listing:list_", "List the tools that would be served, with their estimated tokens."),
        "add": Command("mcp_servers:add", "Take in a server: look at all that it offers, search it, pin it."),
        "verify": Command("mcp_servers:verify", "Compare what servers offer with what was pinned."),
        "remove": Command("mcp_servers:remove", "Take a server and its pin out."),
    },
)
_RECEIPT: Final = LazyGroup(
    name="receipt",
    help="What happened: one receipt a call.",
    table={
        "list": Command("receipts:list_", "Find receipts, newest first."),
        "show": Command("receipts:show", "Show one receipt: the route taken, attempts, usage, timings."),
        "why": Command(
            "why:why", "Tell why a call went as it did, and what else its run did: calls of models and tools together."
        ),
        "tail": Command("tailing:tail", "Show receipts as calls end, until interrupted."),
        "replay": Command("replays:replay_", "Make the decisions of receipts again and compare."),
    },
)
_TASK: Final = LazyGroup(
    name="task",
    help="Tool calls that run without anybody waiting for them.",
    table={
        "add": Command("tasks:add", "Have tools called by a runner, now or later."),
        "list": Command("tasks:list_", "List tasks in the order in which they were added."),
        "show": Command("tasks:show", "Show one task; the exit code says how it stands."),
        "run": Command("task_running:run_", "Run tasks, until told to end or until nothing is due."),
        "drop": Command("tasks:drop", "Have tasks not begun any more, and forget dead ones."),
    },
)
_JOURNAL: Final = LazyGroup(
    name="journal",
    help="The append-only truth behind receipts.",
    table={
        "verify": Command("journals:verify", "Prove every chain: intact, broken or incomplete."),
        "export": Command("journals:export", "Write records as newline-delimited JSON."),
        "rebuild": Command("journals:rebuild", "Drop the receipt index and read the journal again."),
        "forget": Command("journals:forget", "Forget a tenant, or the captured bodies of one call."),
    },
)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    table={
        "serve": Command("serving:serve", "Run the gateway over contract files and folders."),
        "demo": Command("demo:demo", "See it work: a failing model, a rule that stops a stream, receipts, a replay."),
        "check": Command("checking:check", "Check contract files without serving them."),
        "model": _MODEL,
        "policy": _POLICY,
        "tool": _TOOL,
        "house": _HOUSE,
        "harness": _HARNESS,
        "mcp": _MCP,
        "chat": Command("chat:chat", "Ask a model through the running gateway."),
        "key": _KEY,
        "receipt": _RECEIPT,
        "approval": _APPROVAL,
        "alert": _ALERT,
        "task": _TASK,
        "journal": _JOURNAL,
        "schema": Command("schemas:schema", "Print the JSON Schema of a kind of document, for editors."),
        "health": Command("health:health", "Say how an installation stands: once, as it changes, or as a service."),
        "units": Command(
            "units:units",
            "Make the systemd units of an installation: gateway, health, and tasks for each house.",
        ),
        "doctor": Command("doctor:doctor", "Look for what would keep a gateway from working here."),
    },
)
@click.version_option(wardwright.__version__, message="wardwright %(version)s")
def root() -> None:
    """A governed front door for agentic systems.

    Models stand behind stable names; each call leaves a receipt that can be verified and replayed.

    Exit codes: 0 ok, 1 failed, 2 changes pending or cannot tell, 3 denied, 4 awaiting approval, 5 integrity, 64 usage.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and end the process with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(words))


def run(words: list[str], command: click.Command = root) -> int:
    """Run one command line; its exit code."""
    before_marker = words[: words.index("--")] if "--" in words else words
    out = Output("--json" in before_marker)
    stdout = sys.stdout
    try:
        ended = command.main(
            words,
            prog_name=_program(),
            standalone_mode=False,
            color=False if os.environ.get("NO_COLOR") else None,
            obj=tuple(words),
        )
        sys.stdout.flush()
        return Exit.OK if ended is None else int(ended)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.message)
        return Exit.OK
    except click.ClickException as error:
        return _failed(out, _usage(error))
    except WardwrightError as error:
        return _failed(out, error)
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return _enough()
    except SystemExit:
        if sys.stdout is stdout:
            raise
        sys.stdout = stdout  # click wraps it, and only then, before it ends on a broken pipe
        return _enough()
    except Exception as defect:
        traceback.print_exc()
        return _failed(out, WardwrightError("internal_error", f"a defect of this program: {defect}"))


def _enough() -> Exit:
    """Whoever read our output has enough: no failure, and flushing at exit must not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK


def _failed(out: Output, error: WardwrightError) -> Exit:
    out.fail(error)
    return exit_of(error)


def _usage(error: click.ClickException) -> WardwrightError:
    """What click says, in our words."""
    message, _, close = error.format_message().replace("'", "`").partition(" Did you mean ")
    message = message[:1].lower() + message[1:].rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if close:
        return WardwrightError("usage", message, hint=f"did you mean {close}")
    hint = None if context is None else f"`{context.command_path} --help` shows how"
    return WardwrightError("usage", message, hint=hint)


def _program() -> str:
    """What the user called: `ww`, or `wardwright` also for `python -m wardwright`."""
    return "ww" if os.path.basename(sys.argv[0]) == "ww" else "wardwright"
