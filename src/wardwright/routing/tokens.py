"""The tokens that a chat takes as input, estimated before any model sees it.

A chat costs 16, for each message 4 and its role, content, reasoning and tool calls, the JSON of the tools, and a flat
sum for each part that is not text. Two ways to the words in it: the heuristic of `routing.density` over the raw JSON,
which takes microseconds, and an exact count by a real tokenizer (`count_chat`), where its vocabulary is at hand.

The error band says how far off the figure may be, in parts per million of it: for the heuristic what was measured (see
`routing.density`), narrower once `routing.calibration` knows the model, wider where much of the request is not text.
The margin of the fit is the operator's and comes on top, once.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from wardwright.routing.density import UNIT, WHOLE_BYTES_MAX, weigh

CHAT_TOKENS: Final = 16
MESSAGE_TOKENS: Final = 4
IMAGE_TOKENS: Final = 512
"""An image part, whatever its size: providers cost it between some 85 and 1,600."""
AUDIO_TOKENS: Final = 1024
"""An audio part: some one and a half minutes of speech at the ten tokens a second that providers commonly count."""
FILE_TOKENS: Final = 4096
"""A file part: a few pages."""

UNCALIBRATED_PPM: Final = 1_000_000

Method: TypeAlias = Literal["heuristic", "calibrated", "tokenizer"]


class Estimate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many tokens, how that was found, and how far off it may be."""

    error_ppm: int
    """Half of the error band, in parts per million of `tokens`."""
    method: Method
    tokens: int


class TokenCounter(Protocol):
    """A real tokenizer. Implementations load their vocabulary offline; `routing.counting` uses them."""

    def count(self, text: str) -> int:
        """Tokens of the text, special tokens not added."""
        ...


_MESSAGE_FRAME: Final = weigh(b'{"role":"","content":""},').weight
"""What the JSON of a message weighs around its words: replaced by MESSAGE_TOKENS."""

_SAMPLED_ERROR_PPM: Final = 50_000
"""Measured: what the sample adds to the error of long requests, 5th to 95th percentile."""
_MEDIA_ERROR_PPM: Final = 1_000_000

_ERRORS_PPM: Final[dict[Method, tuple[int, int]]] = {"heuristic": (160_000, 570_000), "calibrated": (140_000, 250_000)}
"""The error for ASCII, and what text wholly beyond ASCII adds to it."""

_TURN: Final = MESSAGE_TOKENS * UNIT - _MESSAGE_FRAME


def estimate_chat(
    messages: bytes | memoryview,
    tools: bytes | memoryview | None,
    images: int,
    message_count: int,
    *,
    audio: int = 0,
    files: int = 0,
    calibration_ppm: int = UNCALIBRATED_PPM,
) -> Estimate:
    """The input of a chat by the heuristic.

    `messages` and `tools` are the raw JSON of those members. `images`, `audio` and `files` count the parts of these
    kinds: their Base64 is cut out of the text, so a picture costs IMAGE_TOKENS and not its bytes. Each text part of a
    message that is cut into parts counts some 8 tokens of JSON that no model sees.
    """
    media = IMAGE_TOKENS * images + AUDIO_TOKENS * audio + FILE_TOKENS * files
    if media:
        messages = without_base64(bytes(messages), images + audio + files)
    density = weigh(messages)
    weight, length = density.weight + _TURN * message_count, len(messages)
    if tools is not None:
        weight += weigh(tools).weight
        length = max(length, len(tools))
    text = CHAT_TOKENS + (-(-weight // UNIT) if weight > 0 else 0)
    method: Method = "heuristic"
    if calibration_ppm != UNCALIBRATED_PPM:
        method = "calibrated"
        text = -(-text * calibration_ppm // 1_000_000)
    ascii_ppm, beyond_ppm = _ERRORS_PPM[method]
    error = ascii_ppm + beyond_ppm * density.beyond_ascii_ppm // 1_000_000
    if length > WHOLE_BYTES_MAX:
        error += _SAMPLED_ERROR_PPM
    tokens = text + media
    if media:
        error = (error * text + _MEDIA_ERROR_PPM * media) // tokens
    return Estimate(error_ppm=error, method=method, tokens=tokens)


def without_base64(messages: bytes, parts: int) -> bytes:
    """The JSON of messages with the payload of at most `parts` data URLs and as many audio parts cut out."""
    for mark, member in ((b";base64,", b""), (b'"input_audio":', b'"data":')):
        kept, at = [], 0
        for _ in range(parts):
            found = messages.find(mark, at)
            found = messages.find(member, found) if found >= 0 else found
            if found < 0:
                break
            start = messages.find(b'"', found + len(member)) + 1 if member else found + len(mark)
            end = messages.find(b'"', start)
            if start <= 0 or end < 0:
                break
            kept.append(messages[at:start])
            at = end
        messages = b"".join((*kept, messages[at:]))
    return messages
