"""An OpenAI upstream's stream becoming an OpenAI client's stream, at the speed of the hot path.

Most of a stream is plain: chunks of choice 0 that carry a piece of text, reasoning, refusal or tool arguments, and
nothing else that anyone must decide about. This file handles runs of them; everything else goes chunk by chunk through
`openai_chunk`.

Rule 1: a run is plain when every chunk of it begins and ends with the learnt frame and what lies between decodes as
`_Plain`, a type that admits only what is plain. The type is the guard: no byte pattern is trusted.
Rule 2: whether a chunk is plain depends on the chunks before it alone, never on how the bytes were cut or batched.
Rule 3: both ways write the same bytes and count the same.
Rule 4: the terminator is written by `close` alone, after every choice that started has finished.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.dialects.answer import DONE, Identity
from wardwright.dialects.openai_chunk import ChunkRepair
from wardwright.dialects.openai_frame import Frame, Shape, learn, with_role
from wardwright.dialects.sse import EVENT_BYTES_MAX, LineEnds, read_block
from wardwright.kernel.events import Broken

_LEARN_IN_VAIN_MAX: Final = 4
"""Frames learnt without a single plain chunk before the relay stops looking for one."""
_BATCH_FAILURES_MAX: Final = 4
"""Batches of one read that turned out not to be plain, before the rest of it goes event by event."""
_BATCH_BYTES_MAX: Final = 32 * 1024
"""Larger batches are cut: what stays in the processor's cache is faster."""
_FINISH: Final = b'"finish_reason":"'
_FINISH_WITHIN: Final = 2048
"""Bytes at the end of a read in which a finish is looked for, to run up to it: a hint, no more."""

_Absent: TypeAlias = Literal["\x00absent"]
"""A member that must not be there: no JSON value that a server sends has this type."""
_ABSENT: Final = "\x00absent"


class _PlainFunction(msgspec.Struct, gc=False):
    arguments: str
    name: None = None


class _PlainFragment(msgspec.Struct, gc=False):
    """A further piece of a call that is already open."""

    index: int
    function: _PlainFunction
    id: None = None
    type: Literal["function"] = "function"


class _PlainDelta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[_PlainFragment] | None = None
    role: None = None
    function_call: None = None
    reasoning_details: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    index: Literal[0]
    delta: _PlainDelta
    finish_reason: None = None


class _Plain(msgspec.Struct, gc=False):
    """A plain chunk without its frame."""

    choices: tuple[_PlainChoice]
    usage: None = None
    error: None = None
    id: _Absent = _ABSENT
    object: _Absent = _ABSENT
    created: _Absent = _ABSENT
    model: _Absent = _ABSENT


class _PlainUsageNull(_Plain, gc=False, kw_only=True):
    usage: None  # required


class _PlainUsageAbsent(_Plain, gc=False):
    usage: _Absent = _ABSENT  # type: ignore[assignment]


_plain: Final[dict[Shape, msgspec.json.Decoder[_Plain]]] = {
    "usage either": msgspec.json.Decoder(_Plain),
    "usage null": msgspec.json.Decoder(_PlainUsageNull),
    "usage absent": msgspec.json.Decoder(_PlainUsageAbsent),
}


class OpenAIRelay:
    """A `voice.Reader` for upstreams that speak OpenAI's chat completions."""

    __slots__ = (
        "_decode", "_ends", "_frame", "_learnt_in_vain", "_pending", "_repair", "done", "event_bytes_max", "tally",
    )  # fmt: skip

    def __init__(
        self,
        identity: Identity,
        *,
        include_usage: bool = False,
        mark: str | None = None,
        event_bytes_max: int = EVENT_BYTES_MAX,
    ) -> None:
        """`include_usage`: the client asked for it; `mark`: see `handover.mark_of`."""
        self._repair = ChunkRepair(identity, include_usage=include_usage, mark=mark)
        self.tally = self._repair.tally
        self.done = False
        self.event_bytes_max = event_bytes_max
        self._ends = LineEnds()
        self._pending = b""
        self._frame: Frame | None = None
        self._learnt_in_vain = 0

    @property
    def broken(self) -> Broken | None:
        return self._repair.broken

    @property
    def finished(self) -> bool:
        return self._repair.finished

    def feed(self, data: bytes) -> bytes:
        if self._repair.broken is not None or self.done:
            return b""
        if not self._ends.settled or b"\r" in data:
            data = self._ends.normalise(data)
        if self._pending:
            data = self._pending + data
        if data.endswith(b"\n\n"):
            self._pending = b""
        else:
            end = data.rfind(b"\n\n") + 2
            if end == 1:
                end = 0
            self._pending = data[end:]
            data = data[:end]
        out = self._relay(data) if data else b""
        if len(self._pending) > self.event_bytes_max + 2:
            self._too_large()
        return out

    def close(self) -> bytes:
        rest = self.feed(b"\n\n")
        if not self._repair.finished:
            self._repair.fail("the upstream's stream ended before its answer did")
        if self._repair.broken is not None:
            return b""
        usage = self._repair.usage_chunk
        return b"".join((rest, b"data: ", usage, b"\n\n", DONE)) if usage else rest + DONE

    def _relay(self, block: bytes) -> bytes:
        """Client bytes of whole events."""
        out: list[bytes] = []
        start = 0
        size = len(block)
        failures = 0
        batching = self._frame is not None
        while start < size:
            until = self._plain_until(block, start) if batching else start
            if until > start:
                if run := self._run(block[start:until]):
                    out.append(run)
                    start = until
                    continue
                failures += 1
            end = block.find(b"\n\n", start) + 2
            if end == 1:
                break  # a lone line end: blank lines come in any number
            event = block[start:end]
            start = end
            if until > end:
                batching = False  # something in there is not plain: one by one
            if (until > end or not batching) and (run := self._run(event)):
                out.append(run)
            elif self._event(event, out):
                batching = failures < _BATCH_FAILURES_MAX
            if self._repair.broken is not None or self.done:
                break
        return out[0] if len(out) == 1 else b"".join(out)

    def _plain_until(self, block: bytes, start: int) -> int:
        """Where chunks may be plain up to: the event that finishes, else the end. A guess that `_run` makes good."""
        end = len(block)
        if end - start > _BATCH_BYTES_MAX:
            end = block.rfind(b"\n\n", start, start + _BATCH_BYTES_MAX) + 2
            if end == 1:
                return start
        finish = block.find(_FINISH, max(start, end - _FINISH_WITHIN), end)
        return end if finish < 0 else max(block.rfind(b"\n\n", start, finish) + 2, start)

    def _event(self, event: bytes, out: list[bytes]) -> bool:
        """Relay one event with its blank line, with care. True when it taught a new frame."""
        if event.startswith(b"\n"):
            event = event.lstrip(b"\n")
        if len(event) - 2 > self.event_bytes_max:
            self._too_large()
            return False
        if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2:
            payload = event[6:-2]
        else:
            read = read_block(event[:-2])
            if read is None:
                return False
            payload = read.data
            if read.name == "error":
                self._repair.take_error(payload)
                return False
        if payload.startswith(b"[DONE]"):
            self.done = True
            return False
        role_is_said = 0 in self._repair.choices
        if released := self._repair.take(payload):
            out.append(b"data: %b\n\n" % released)
            return self._learn(payload, role_is_said)
        return False

    def _learn(self, payload: bytes, role_is_said: bool) -> bool:
        if self._learnt_in_vain >= _LEARN_IN_VAIN_MAX or self._repair.finished or b"\n" in payload:
            return False
        frame = self._frame
        if frame is None or not frame.fits(payload):
            self._learnt_in_vain += 1
            frame = learn(payload, self._repair.identity, include_usage=self._repair.include_usage)
        else:
            frame = with_role(frame, payload) if role_is_said else None
        if frame is None:
            return False
        self._frame = frame
        self._decode = _plain[frame.shape].decode_lines
        return True

    def _run(self, run: bytes) -> bytes:
        """Client bytes of whole events that are all plain; empty where one is not, and then nothing is counted."""
        frame = self._frame
        state = self._repair.choices.get(0)
        if frame is None or state is None or state.finished or len(run) > self.event_bytes_max:
            return b""
        lines = run.split(b"\n")
        pieces = list(map(frame.between, lines[:-1:2]))
        # Put together again with the frame they must be the run: this one comparison proves every frame and blank line.
        if b"".join((frame.opening, frame.seam.join(pieces), frame.closing)) != run:
            return b""
        if not (run.isascii() or _is_utf8(run)):
            return b""
        try:
            chunks = self._decode(b"%b%b}" % (frame.inner, (b"}\n" + frame.inner).join(pieces)))
        except _UNREADABLE:
            return b""
        # `}\n{` cannot stand inside a value, so a line holds at least one; as many values as lines: each holds one.
        if len(chunks) != len(pieces):
            return b""
        text = reasoning = refusal = arguments = 0
        last = state.tool_calls.last
        for chunk in chunks:
            delta = chunk.choices[0].delta
            if delta.content:
                text += len(delta.content)
            if delta.reasoning_content is not None:
                reasoning += len(delta.reasoning_content)
            elif delta.reasoning:
                reasoning += len(delta.reasoning)
            if delta.refusal:
                refusal += len(delta.refusal)
            if delta.tool_calls is not None:
                fragment = delta.tool_calls[0]
                if not 0 <= fragment.index < state.tool_calls.faithful:
                    return b""
                arguments += len(fragment.function.arguments)
                last = fragment.index
        state.tool_calls.last = last
        tally = self.tally
        tally.events += len(chunks)
        tally.text_chars += text
        if reasoning or refusal or arguments:
            tally.reasoning_chars += reasoning
            tally.refusal_chars += refusal
            tally.argument_chars += arguments
        self._learnt_in_vain = 0
        return b"".join((frame.our_opening, frame.our_seam.join(pieces), frame.our_closing))

    def _too_large(self) -> None:
        self._repair.fail(f"an event of the upstream's stream is larger than {self.event_bytes_max} bytes")
        self._pending = b""


_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
