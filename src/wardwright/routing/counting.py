"""The exact input of a chat, by a real tokenizer.

Exact for the words; what the model's chat template puts around them is the same 4 tokens a message as in the
heuristic, and pictures and sound cost the same flat sums: the rest of the error band.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.routing.tokens import (
    AUDIO_TOKENS,
    CHAT_TOKENS,
    FILE_TOKENS,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    Estimate,
    TokenCounter,
)

_TEMPLATE_ERROR_PPM: Final = 20_000
_MEDIA_ERROR_PPM: Final = 1_000_000

_MEDIA_TOKENS: Final = {"image_url": IMAGE_TOKENS, "input_audio": AUDIO_TOKENS, "file": FILE_TOKENS}


class _Part(msgspec.Struct):
    type: str = "text"
    text: str = ""
    refusal: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")
    tool_call_id: str | None = None


_messages: Final = msgspec.json.Decoder(list[_Message])


def count_chat(messages: bytes, tools: bytes | None, counter: TokenCounter) -> Estimate:
    """The input of a chat whose `messages` and `tools` are the raw JSON of those members, already validated."""
    text, media = CHAT_TOKENS, 0
    for message in _messages.decode(messages):
        text += MESSAGE_TOKENS
        for words in _words(message):
            text += counter.count(words)
        if isinstance(message.content, list):
            media += sum(_MEDIA_TOKENS.get(part.type, 0) for part in message.content)
    if tools is not None:
        text += counter.count(tools.decode())
    error = (_TEMPLATE_ERROR_PPM * text + _MEDIA_ERROR_PPM * media) // (text + media)
    return Estimate(error_ppm=error, method="tokenizer", tokens=text + media)


def _words(message: _Message) -> list[str]:
    words = [message.role, message.name, message.reasoning or message.reasoning_content, message.refusal]
    words.append(message.tool_call_id)
    tool_calls = bytes(message.tool_calls)
    if tool_calls != b"null":
        words.append(tool_calls.decode())
    if isinstance(message.content, list):
        words.extend(part.text or part.refusal for part in message.content)
    else:
        words.append(message.content)
    return [word for word in words if word]
