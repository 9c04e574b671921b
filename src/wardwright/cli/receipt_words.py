"""One receipt as text: what became of the call, the way it took, what it cost. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wardwright.api.bodies import Bodies
from wardwright.api.outcomes import Outcome
from wardwright.api.receipts import Full
from wardwright.calls.receipt import STOPPED, Caller, Receipt, Sourced, Summary, Tried
from wardwright.cli import policy_words
from wardwright.cli.figures import counted, duration, instant, share, short, usd
from wardwright.kernel.usage import Usage

BAR_CELLS: Final = 24
_BLOCKS: Final = "▏▎▍▌▋▊▉█"

_INERT: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""Control characters, told instead of sent: what a model wrote is not to move anyone's cursor."""

HEADERS: Final = ("STARTED", "STATUS", "MODEL", "SERVED BY", "TRIES", "POLICY", "TOKENS", "COST", "TOOK", "RECEIPT")


def row(summary: Summary) -> tuple[str, ...]:
    """One line of a list."""
    served = "-" if summary.provider is None else f"{summary.provider}/{summary.target_model}"
    return (
        instant(summary.started_at),
        summary.status if summary.error is None else f"{summary.status}: {summary.error}",
        summary.model or summary.asked or "-",
        served,
        str(summary.attempts),
        summary.policy_effect or "-",
        f"{summary.input_tokens}+{summary.output_tokens}",
        usd(summary.cost_nano_usd),
        duration(summary.total_us),
        summary.receipt,
    )


OUTCOME_HEADERS: Final = ("CALLS", "COMPLETED", "TOKENS", "COST", "P50", "P95")


def outcome_row(outcome: Outcome) -> tuple[str, ...]:
    """One group of calls, in the columns of OUTCOME_HEADERS behind what they have in common."""
    value = outcome.value
    return (
        "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value),
        str(outcome.calls),
        share(round(outcome.completed_ppm, -3)),
        f"{outcome.input_tokens}+{outcome.output_tokens}",
        usd(outcome.cost_nano_usd),
        duration(outcome.total_p50_us),
        duration(outcome.total_p95_us),
    )


def lines(full: Full) -> Iterable[str]:
    """Everything worth knowing about one call."""
    if full.receipt is None:
        yield from _unfinished(full)
        return
    receipt = full.receipt
    yield _outcome(receipt)
    yield ""
    yield from asked(receipt)
    yield from route(receipt)
    if receipt.attempts:
        yield ""
        yield from waterfall(receipt)
    yield ""
    yield from policy_words.ruled(receipt)
    yield from _end(receipt)
    if receipt.captured:
        yield "bodies    captured: `--bodies` shows them while they are kept"
    last = full.records[-1]
    yield f"record    {last.writer}/{last.chain} seq {last.seq}, {last.id[:12]}"


def lines_of_bodies(bodies: Bodies) -> Iterable[str]:
    """What was asked and answered, with nothing in it that a terminal would obey."""
    for name, body in (("request", bodies.request), ("answer", bodies.answer)):
        kept = ", cut" if body.cut else ""
        coded = ", not text: in base64" if body.encoding == "base64" else ""
        yield ""
        yield f"{name} ({body.bytes} bytes{kept}{coded})"
        yield from body.content.translate(_INERT).rstrip("\n").split("\n")


def _unfinished(full: Full) -> Iterable[str]:
    words = {
        "open": "is under way, or its record is not written yet",
        "lost": "was lost: the process ended before the call did",
        "closed": "is closed",
    }
    yield f"{full.id} {words[full.state]}"
    if full.opened is not None:
        opened = full.opened
        yield f"called    {instant(opened.started_at)} by {caller_of(opened.caller)}"
        yield f"model     {opened.name} ({short(opened.contract)})"
        yield f"target    {opened.target}: {opened.provider}/{opened.model}"


def _outcome(receipt: Receipt) -> str:
    contract = receipt.contract
    name = receipt.request.model if contract is None else contract.name
    said = f"{receipt.receipt}  {name} {receipt.status.replace('_', ' ')}"
    if receipt.error is not None:
        said += f" with {receipt.error}"
    if receipt.selected is not None and receipt.status == "completed":
        said += f" by {receipt.selected.target}" + (" after a fallback" if receipt.selected.fallback else "")
    if receipt.replans:
        said += " after rules asked again" + (f" {count} times" if (count := len(receipt.replans)) > 1 else "")
    return f"{said} in {duration(receipt.timings.total_us)}"


def asked(receipt: Receipt) -> Iterable[str]:
    """What was asked, of which contract."""
    request, contract = receipt.request, receipt.contract
    yield f"called    {instant(receipt.started_at)} by {caller_of(receipt.caller)}"
    what = [
        "streamed" if request.stream else "whole",
        counted(request.messages, "message"),
        counted(request.tools, "tool"),
    ]
    if receipt.facts is not None:
        band = f" ±{request.error_ppm // 10_000} %" if request.error_ppm else ""
        what.append(f"about {receipt.facts.input_tokens} tokens ({request.estimate}{band})")
    yield f"asked     {request.kind}, {', '.join(what)}"
    if contract is not None:
        more = [short(contract.digest)]
        more += [] if contract.version is None else [f"version {contract.version}"]
        more += ["canary"] if contract.canary else []
        more += [] if contract.variant is None else [f"variant {contract.variant}"]
        yield f"contract  {contract.name} ({', '.join(more)})"
    if receipt.retry_of is not None:
        yield f"retry of  {receipt.retry_of}"


def route(receipt: Receipt) -> Iterable[str]:
    """The targets in their order, and those that were skipped."""
    plan, facts = receipt.plan, receipt.facts
    if plan is None or facts is None:
        return
    order = " -> ".join(attempt.target for attempt in plan.attempts) or "nobody"
    drawn = "".join(f", {draw.strategy} draw {draw.index}" for draw in plan.draws)
    yield f"route     {receipt.node_type}{drawn}: {order}"
    for index, skip in enumerate(plan.skipped):
        detail = f" ({skip.detail})" if skip.detail else ""
        yield f"{'skipped' if not index else '':<9} {skip.target}: {skip.reason.replace('_', ' ')}{detail}"


def waterfall(receipt: Receipt) -> Iterable[str]:
    """Attempts against the time of the call."""
    total = max(receipt.timings.total_us, 1)
    width = max(len(tried.target) for tried in receipt.attempts)
    gave_up = policy_words.gave_up(receipt)
    for index, tried in enumerate(receipt.attempts):
        end = _end_of(tried, gave_up.get(index))
        yield f"{tried.target:<{width}}  {_bar(tried, total)}  {duration(tried.took_us):>7}  {end}"


def _bar(tried: Tried, total_us: int) -> str:
    """Where the attempt lies in the call, in eighths of a cell; what took place is never invisible.

    >>> _bar(Tried(contract="c", model="m", provider="p", started_us=500, target="t", took_us=500), 1000).strip()
    '████████████'
    """
    eighths = BAR_CELLS * 8
    start = min(tried.started_us * BAR_CELLS // total_us, BAR_CELLS - 1)
    length = max(min((tried.started_us + tried.took_us) * eighths // total_us, eighths) - start * 8, 1)
    bar = " " * start + _BLOCKS[-1] * (length // 8) + (_BLOCKS[length % 8 - 1] if length % 8 else "")
    return bar.ljust(BAR_CELLS)


def _end_of(tried: Tried, by: str | None) -> str:
    said = ["ok" if tried.failure is None else _failure(tried) if by is None else by]
    if tried.finish:
        said.append(" ".join(sorted(set(tried.finish))))
    if tried.answered_us is not None and tried.failure is None:
        said.append(f"first byte after {duration(tried.answered_us)}")
    if tried.retry_after_s is not None:
        said.append(f"retry after {tried.retry_after_s} s")
    if tried.changed:
        said.append("changed: " + ", ".join(tried.changed))
    if tried.double:
        said.append("scripted")
    return ", ".join(said)


def _end(receipt: Receipt) -> Iterable[str]:
    client, timings = receipt.client, receipt.timings
    if receipt.usage_source != "none":
        yield f"usage     {_usage(receipt.usage)} ({receipt.usage_source})"
    yield f"cost      {usd(receipt.cost_nano_usd)}"
    got = [f"HTTP {client.status}", f"{client.bytes} bytes"]
    got += [f"{client.events} events"] if client.events else []
    got += [f"{client.text_chars} characters of text"] if client.text_chars else []
    got += [counted(client.tool_calls, "tool call")] if client.tool_calls else []
    if client.left_us is not None:
        got.append(f"left after {duration(client.left_us)}, upstream {client.upstream or 'not called'}")
    yield f"client    {', '.join(got)}"
    first = "" if timings.first_byte_us is None else f"first byte {duration(timings.first_byte_us)}, "
    yield f"timings   decided {duration(timings.decided_us)}, {first}total {duration(timings.total_us)}"


def _usage(usage: Usage) -> str:
    classes = {
        "input": usage.input,
        "cached": usage.cached_input,
        "cache write": usage.cache_write,
        "output": usage.output,
        "reasoning": usage.reasoning,
    }
    return ", ".join(f"{count} {name}" for name, count in classes.items() if count) or "no tokens"


def caller_of(caller: Caller) -> str:
    """Who called, and who says so."""
    said = [f"tenant {caller.tenant.value}"]
    for name in ("application", "agent", "user", "house", "session", "run"):
        claim: Sourced | None = getattr(caller, name)
        if claim is not None:
            said.append(f"{name} {claim.value} ({claim.source.replace('_', ' ')})")
    if caller.tags:
        said.append(f"tags {', '.join(caller.tags)}")
    return ", ".join(said)


def way(receipt: Receipt) -> str:
    """The way of a call in one line.

    `swift failed: server error (HTTP 503) -> steady stopped by desk/old-client, asked again -> steady answered`
    """
    gave_up = policy_words.gave_up(receipt)
    steps = [_tried(tried, gave_up.get(index)) for index, tried in enumerate(receipt.attempts)]
    return " -> ".join(steps) or policy_words.refused(receipt) or "nobody was asked"


def _tried(tried: Tried, by: str | None) -> str:
    if tried.failure is None:
        return f"{tried.target} answered"
    return f"{tried.target} {by}" if by is not None else f"{tried.target} failed: {_failure(tried)}"


def bill(receipt: Receipt) -> str:
    """What a call came to in one line."""
    usage = receipt.usage
    tokens = f"{usage.input_total} tokens in, {usage.output_total} out"
    return f"{tokens}, {usd(receipt.cost_nano_usd)}, {duration(receipt.timings.total_us)}"


def _failure(tried: Tried) -> str:
    if tried.failure == STOPPED:
        return "stopped by a rule"
    status = "" if tried.http_status is None else f" (HTTP {tried.http_status})"
    return f"{(tried.failure or '').replace('_', ' ')}{status}"
