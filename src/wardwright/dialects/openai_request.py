"""What a client asks for in `POST /v1/chat/completions` and `/v1/embeddings`.

Rule 1: the body is decoded twice and never again: once into its top-level members as raw JSON (what is sent on, the
last of duplicate members winning), once into the few members that decisions read.
Rule 2: what was read is what is sent: both decodes keep the last of duplicate members, and the body that leaves is
built from `members`.
Rule 3: what this file does not know passes untouched, provided that it is JSON that every reader reads alike: valid
UTF-8, no lone surrogates, no nesting past JSON_DEPTH_MAX.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Raw

from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.usage import TOKENS_MAX

JSON_DEPTH_MAX: Final = 128
"""Arrays and objects inside one another in a request body."""

MODEL_NAME_CHARS_MAX: Final = 256

CHOICES_MAX: Final = 1024
"""Answers that one request may ask for: more than any provider gives."""

Members: TypeAlias = dict[str, Raw]
"""The top-level members of a body as raw JSON."""


Role: TypeAlias = Literal["assistant", "system", "user"]
"""Who says what is put into a conversation."""


class Part(msgspec.Struct, frozen=True):
    """One piece of a message's content."""

    type: str
    text: str = ""


class Message(msgspec.Struct, frozen=True):
    """What decisions read of a message."""

    role: str
    content: str | list[Part] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    type: str


Metadata: TypeAlias = dict[str, Any]
"""Open by contract: the client's own members, looked at by name alone."""


class ChatHead(msgspec.Struct, frozen=True):
    """The members of a chat request that decisions read."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    reasoning_effort: str | None = None
    modalities: list[str] | None = None
    metadata: Metadata | None = None
    user: str | None = None

    @property
    def output_tokens(self) -> int | None:
        """The output budget that the request states, if it does."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class EmbeddingsHead(msgspec.Struct, frozen=True):
    """The members of an embeddings request that decisions read."""

    model: str
    input: str | list[str | int | list[int]]
    """Text, texts, one text as tokens, or texts as tokens."""
    metadata: Metadata | None = None
    user: str | None = None


_chat_decoder = msgspec.json.Decoder(ChatHead)
_embeddings_decoder = msgspec.json.Decoder(EmbeddingsHead)
_members_decoder = msgspec.json.Decoder(Members)
_any_decoder = msgspec.json.Decoder(Any)


def decode_chat(body: bytes) -> tuple[Members, ChatHead]:
    """A chat request's members and head, or an error with its place in the body.

    Raises WardwrightError: `invalid_json`, `json_too_deep`, `invalid_request`.
    """
    try:
        members = _members_decoder.decode(body)
        head = _chat_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise _refusal(body, cause) from cause
    _require_plain(body)
    _require_model(head.model)
    if not head.messages:
        raise WardwrightError("invalid_request", "`messages` is empty", place=Place(path="messages"))
    if head.n is not None and not 1 <= head.n <= CHOICES_MAX:
        raise _miscounted("n", head.n, CHOICES_MAX)
    if head.max_tokens is not None and not 1 <= head.max_tokens <= TOKENS_MAX:
        raise _miscounted("max_tokens", head.max_tokens, TOKENS_MAX)
    if head.max_completion_tokens is not None and not 1 <= head.max_completion_tokens <= TOKENS_MAX:
        raise _miscounted("max_completion_tokens", head.max_completion_tokens, TOKENS_MAX)
    return members, head


def decode_embeddings(body: bytes) -> tuple[Members, EmbeddingsHead]:
    """An embeddings request's members and head; raises as `decode_chat` does."""
    try:
        members = _members_decoder.decode(body)
        head = _embeddings_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise _refusal(body, cause) from cause
    _require_plain(body)
    _require_model(head.model)
    return members, head


class Survey(msgspec.Struct, frozen=True, gc=False):
    """What one pass over the messages of a request finds."""

    first_user_text: str
    """The text of the first user message: what a derived conversation rests on. Empty where there is none."""
    assistants: int
    """Assistant messages."""
    users: int
    images: int
    audio: int
    files: int


def survey(head: ChatHead) -> Survey:
    """Look at every message once."""
    first: Message | None = None
    assistants = users = images = audio = files = 0
    for message in head.messages:
        role = message.role
        if role == "assistant":
            assistants += 1
        elif role == "user":
            users += 1
            if first is None:
                first = message
        if isinstance(message.content, list):
            for part in message.content:
                if part.type == "image_url":
                    images += 1
                elif part.type == "input_audio":
                    audio += 1
                elif part.type == "file":
                    files += 1
    return Survey("" if first is None else text_of(first), assistants, users, images, audio, files)


def text_of(message: Message) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "" if content is None else "\n".join(part.text for part in content)


def capabilities_of(head: ChatHead, found: Survey) -> tuple[str, ...]:
    """What the request asks of a target beyond plain text: sorted words of `contracts.model.Capability`."""
    wanted: list[str] = []
    if found.audio or (head.modalities is not None and "audio" in head.modalities):
        wanted.append("audio")
    if head.n is not None and head.n > 1:
        wanted.append("choices")
    if head.response_format is not None and head.response_format.type in ("json_object", "json_schema"):
        wanted.append(head.response_format.type)
    if head.logprobs:
        wanted.append("logprobs")
    if head.tools or head.functions:
        if head.parallel_tool_calls:
            wanted.append("parallel_tools")
        wanted.append("tools")
    if head.reasoning_effort is not None and head.reasoning_effort != "none":
        wanted.append("reasoning")
    if found.images:
        wanted.append("vision")
    if not wanted:
        return ()
    wanted.sort()
    return tuple(wanted)


def around(messages: Raw, preamble: str | None, postscript: str | None) -> Raw:
    """The messages with the operator's system messages put first and last.

    >>> bytes(around(Raw(b'[{"role":"user","content":"hi"}]'), "Be brief.", None))
    b'[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]'
    """
    inner = bytes(messages).strip()[1:-1].strip()
    pieces = [_system(preamble), inner, _system(postscript)]
    return Raw(b"[" + b",".join(piece for piece in pieces if piece) + b"]")


def followed_by(messages: Raw, more: Iterable[tuple[Role, str]]) -> Raw:
    """The messages with others put last, each a role and its text.

    >>> bytes(followed_by(Raw(b'[{"role":"user","content":"hi"}]'), [("user", "in French")]))
    b'[{"role":"user","content":"hi"},{"role":"user","content":"in French"}]'
    """
    inner = bytes(messages).strip()[1:-1].strip()
    added = (msgspec.json.encode({"role": role, "content": text}) for role, text in more)
    return Raw(b"[" + b",".join((inner, *added)) + b"]")


def _system(text: str | None) -> bytes:
    return b"" if text is None else msgspec.json.encode({"role": "system", "content": text})


def _require_model(model: str) -> None:
    if not model or len(model) > MODEL_NAME_CHARS_MAX:
        raise WardwrightError(
            "invalid_request",
            f"`model` must have 1 to {MODEL_NAME_CHARS_MAX} characters",
            place=Place(path="model"),
        )


def _miscounted(name: str, count: int, most: int) -> WardwrightError:
    return WardwrightError(
        "invalid_request", f"`{name}` is {count}; it must be from 1 to {most}", place=Place(path=name)
    )


def _require_plain(body: bytes) -> None:
    """Refuse what JSON readers are known to read differently, wherever it stands in the body.

    msgspec has refused lone surrogates by now, in members that it skips too; it does not look at their UTF-8.
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as cause:
            raise _refusal(body, cause) from cause
    if _may_be_deep(body):
        _require_shallow(body)


def _may_be_deep(body: bytes) -> bool:
    """Whether the body opens more than JSON_DEPTH_MAX brackets at all, in strings too: cheap, and true for few."""
    if len(body) < 4096:
        return body.count(b"{") + body.count(b"[") > JSON_DEPTH_MAX
    seen = 0
    for bracket in (b"{", b"["):
        at = body.find(bracket)
        while at >= 0:
            seen += 1
            if seen > JSON_DEPTH_MAX:
                return True
            at = body.find(bracket, at + 1)
    return False


def _require_shallow(body: bytes) -> None:
    level: list[Any] = [_any_decoder.decode(body)]
    for _ in range(JSON_DEPTH_MAX):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise WardwrightError(
        "json_too_deep",
        f"the body nests deeper than {JSON_DEPTH_MAX} levels",
        hint="the limit is `json_depth_max`",
    )


_BYTE: Final = re.compile(r" \(byte (\d+)\)$")
_PATH: Final = re.compile(r" - at `\$\.?(.*)`$")


def _refusal(body: bytes, cause: Exception) -> WardwrightError:
    text = str(cause)
    match cause:
        case RecursionError():
            return WardwrightError(
                "json_too_deep",
                f"the body nests deeper than {JSON_DEPTH_MAX} levels",
                hint="the limit is `json_depth_max`",
            )
        case UnicodeDecodeError():
            # A decode of one string counts from that string's start: find the first bad byte of the whole body.
            at = _first_bad_byte(body)
            return WardwrightError("invalid_json", "the body is not valid UTF-8", place=_place(body, at))
        case msgspec.ValidationError():
            found = _PATH.search(text)
            path = found[1] if found else ""
            says = _PATH.sub("", text)
            where = f"`{path}`: " if path else ""
            return WardwrightError(
                "invalid_request", f"{where}{says[0].lower()}{says[1:]}", place=Place(path=path or None)
            )
        case _:
            found = _BYTE.search(text)
            if found is None:
                return WardwrightError(
                    "invalid_json",
                    "the body ends before its JSON does" if body.strip() else "the body is empty; it must be JSON",
                    place=_place(body, len(body)) if body else None,
                )
            says = _BYTE.sub("", text).removeprefix("JSON is malformed: ")
            return WardwrightError("invalid_json", f"the body is not JSON: {says}", place=_place(body, int(found[1])))


def _first_bad_byte(body: bytes) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as cause:
        return cause.start
    return 0


def _place(body: bytes, at: int) -> Place:
    before = body[:at]
    line_start = before.rfind(b"\n") + 1
    return Place(line=before.count(b"\n") + 1, column=len(before[line_start:].decode("utf-8", "replace")) + 1)
