"""Whatever is called under whatever rules: receipts are canonical, hold no argument and no result, and their decisions
are made again."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from parts.workshop_stage import Given, Made, Stage, on_stage, tool
from wardwright.contracts.tool import Retry
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.tool import Context
from wardwright.kernel.errors import WardwrightError

MARK = "s3cr3t-"
"""How what must not be told begins: it occurs nowhere else."""

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
SECRETS = st.builds(lambda text: f"{MARK}{text}", TEXTS)

BEFORE = (
    "exists: arguments.text",
    "contains: [arguments.text, a]",
    "regex: [arguments.text, '^s3c.*[0-9]+']",
    "gte: [tool.evidence, 1]",
    "eq: [tool.walls, none]",
    "detector: [arguments.text, secrets]",
    "eq: [arguments.number, '7']",
    "glob: [arguments.absent, '*']",
    "prefix: [tool.shape, more]",
    "gt: [prediction.success_ppm, 500000]",
    "exists: caller.run",
)
AFTER = (
    "contains: [result.text, a]",
    "eq: [result.status, failed]",
    "detector: [result.text, any]",
    "gt: [result.bytes, 40]",
    "prefix: [arguments.text, s3]",
    "eq: [result.cached, false]",
    "exists: result.error",
)
THEN = ("block", "annotate: seen", "allow")


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A policy of up to six rules over both phases."""
    lines = ["rules:"]
    for number in range(draw(st.integers(1, 6))):
        phase, conditions = draw(st.sampled_from((("tool.before", BEFORE), ("tool.after", AFTER))))
        members = [f"{{{one}}}" for one in draw(st.lists(st.sampled_from(conditions), min_size=1, max_size=3))]
        whole = f"{{{draw(st.sampled_from(('all', 'any')))}: [{', '.join(members)}]}}"
        when = f"{{not: {whole}}}" if draw(st.booleans()) else whole
        then = draw(st.sampled_from((*THEN, "oblige: plan", "ask") if phase == "tool.before" else THEN))
        action = f"{{{then}}}" if ":" in then else then
        shadow = draw(st.sampled_from(("enforce", "shadow", "enforce")))
        lines.append(
            f"- {{id: r{number}, phase: {phase}, when: {when}, then: [{action}], enforce: {shadow}, why: So it is.}}"
        )
    return "\n".join(lines) + "\n"


calls = st.fixed_dictionaries(
    {
        "text": SECRETS | TEXTS,
        "number": st.integers(-9, 9),
        "more": st.dictionaries(st.just("key"), SECRETS, max_size=1),
    }
)


async def reflects(given: Given, context: Context) -> Made:
    if given.number < 0:
        raise WardwrightError("tool_failed", f"{MARK} in a failure: {given.text}")
    return Made(text=f"{MARK}result {given.text}")


@settings(max_examples=60, deadline=None)
@given(rules(), st.lists(calls, min_size=1, max_size=4), st.sampled_from((Mode.SIMPLE, Mode.INTELLIGENT)))
def test_receipts_are_canonical_tell_no_secret_and_are_decided_again(
    policy: str, asked: list[dict[str, object]], mode: Mode
) -> None:
    async def scenario(stage: Stage) -> None:
        for arguments in asked:
            await stage.call("reflects", mode=mode, **arguments)  # type: ignore[arg-type]  # whatever was drawn
        await stage.written()
        for record in stage.records():
            told = bytes(record.data)
            assert MARK.encode() not in told
            assert base64.b64encode(MARK.encode())[:6] not in told
            for arguments in asked:
                text = str(arguments["text"])
                assert len(text) < 8 or msgspec.json.encode(text)[1:-1] not in told
        assert len(stage.receipts()) == len(asked)

    with tempfile.TemporaryDirectory() as folder:
        once = tool("reflects", reflects, retry=Retry(attempts_max=1))
        on_stage(Path(folder), scenario, tools=[once], policies={"p": policy})


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode(errors="surrogatepass")))
def test_whatever_bytes_come_as_arguments_there_is_one_receipt(raw: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        ended = await stage.call("reflects", raw=raw)
        await stage.written()
        assert stage.receipts() == (ended.receipt,)
        assert ended.receipt.status in ("refused", "completed")

    with tempfile.TemporaryDirectory() as folder:
        on_stage(Path(folder), scenario, tools=[tool("reflects", reflects)])
