"""A conversation in OpenAI's messages, retold in Anthropic's.

Rule 1: system and developer messages become the top-level `system`, in their order; one that stood later in the
conversation is moved there, and that is said.
Rule 2: turns alternate: neighbours of one role merge. Results of parallel calls so become one user turn, before any
text of it, as the provider demands.
Rule 3: thinking goes back byte for byte to the target that sealed it, first in its turn, and to nobody else.
Rule 4: what cannot be said (audio, stored files, the older function calls) is refused, never dropped: it is content.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from wardwright.dialects.handover import tool_id
from wardwright.kernel.errors import Place, WardwrightError

Block: TypeAlias = dict[str, Any]
"""A content block about to be written."""


class _Url(msgspec.Struct):
    url: str


class _File(msgspec.Struct):
    file_data: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: _Url | None = None
    file: _File | None = None
    cache_control: object = None


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _Call(msgspec.Struct):
    id: str
    function: _Function | None = None


class _Detail(msgspec.Struct):
    """One entry of `reasoning_details`, as we wrote it."""

    type: str = ""
    text: str = ""
    signature: str | None = None
    data: str | None = None
    wardwright_target: str | None = None


class Message(msgspec.Struct):
    """What is read of a message."""

    role: str
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    function_call: object = None
    reasoning_details: list[_Detail] | None = None
    cache_control: object = None


class Retold(msgspec.Struct, frozen=True):
    """The conversation in Anthropic's words."""

    system: list[Block]
    messages: list[Block]
    changed: tuple[str, ...]
    """What reads differently now: a closed set of words."""
    thinks_on: bool
    """The tool loop under way began with thinking that is still here, or there is none under way.

    With a thinking budget the provider refuses a loop whose first turn has lost its thinking.
    """


_messages = msgspec.json.Decoder(list[Message]).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def retell(messages: msgspec.Raw, mark: str) -> Retold:
    """The conversation for the target with this mark.

    Raises WardwrightError: `invalid_request` for what is no conversation, `unsupported_capability` for what cannot be
    said.
    """
    try:
        read = _messages(messages)
    except (msgspec.ValidationError, RecursionError) as error:
        raise WardwrightError("invalid_request", f"`messages`: {error}", place=Place(path="messages")) from error
    teller = _Teller(mark)
    for place, message in enumerate(read):
        teller.take(message, f"messages[{place}]")
    return teller.retold()


class _Teller:
    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._system: list[Block] = []
        self._turns: list[Block] = []
        self._changed: set[str] = set()
        self._loop_thinks = True

    def take(self, message: Message, path: str) -> None:
        if message.function_call is not None:
            raise _unsayable("`function_call` is not spoken here; use `tool_calls`", path)
        match message.role:
            case "system" | "developer":
                if self._turns:
                    self._changed.add("system_position")
                self._system.extend(_text_blocks(message, path))
            case "user":
                self._loop_thinks = True
                self._turn("user", _user_blocks(message, path))
            case "assistant":
                self._assistant(message, path)
            case "tool":
                self._turn("user", [self._result(message, path)])
            case _:
                raise _unsayable(f"the role `{message.role}` is not spoken here", f"{path}.role")

    def retold(self) -> Retold:
        if not self._turns:
            raise WardwrightError(
                "invalid_request", "`messages` holds no message of a user", place=Place(path="messages")
            )
        turns = [{"role": turn["role"], "content": _results_first(turn["content"])} for turn in self._turns]
        in_loop = any(block["type"] == "tool_result" for block in turns[-1]["content"])
        return Retold(self._system, turns, tuple(sorted(self._changed)), self._loop_thinks or not in_loop)

    def _turn(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"].extend(blocks)
        else:
            self._turns.append({"role": role, "content": blocks})

    def _assistant(self, message: Message, path: str) -> None:
        thinking = self._thinking(message)
        blocks = thinking + _text_blocks(message, path)
        if message.refusal:
            blocks.append({"type": "text", "text": message.refusal})
        for call in message.tool_calls or ():
            if call.function is None:
                raise _unsayable("only calls of functions are spoken here", f"{path}.tool_calls")
            blocks.append(self._call(call, call.function))
        if message.tool_calls and not thinking:
            self._loop_thinks = False
        self._turn("assistant", blocks)

    def _thinking(self, message: Message) -> list[Block]:
        blocks: list[Block] = []
        for detail in message.reasoning_details or ():
            if detail.signature is None and detail.data is None:
                continue
            if detail.wardwright_target != self._mark:
                self._changed.add("foreign_reasoning")
            elif detail.data is not None:
                blocks.append({"type": "redacted_thinking", "data": detail.data})
            else:
                blocks.append({"type": "thinking", "thinking": detail.text, "signature": detail.signature})
        return blocks

    def _call(self, call: _Call, function: _Function) -> Block:
        return {"type": "tool_use", "id": self._id(call.id), "name": function.name, "input": self._input(function)}

    def _input(self, function: _Function) -> object:
        text = function.arguments.strip()
        if not text:
            return {}
        try:
            return _members(text.encode())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            # A model wrote it and a client kept it; only an object can be sent back.
            self._changed.add("tool_arguments")
            return {"invalid_json": function.arguments}

    def _result(self, message: Message, path: str) -> Block:
        if message.tool_call_id is None:
            raise WardwrightError(
                "invalid_request", "a tool message names the call it answers", place=Place(path=f"{path}.tool_call_id")
            )
        block: Block = {"type": "tool_result", "tool_use_id": self._id(message.tool_call_id)}
        if isinstance(message.content, str):
            block["content"] = message.content
        elif message.content:
            block["content"] = _user_blocks(message, path)
        if message.cache_control is not None:
            block["cache_control"] = message.cache_control
        return block

    def _id(self, given: str) -> str:
        mapped = tool_id("anthropic", given)
        if mapped != given:
            self._changed.add("tool_call_ids")
        return mapped


def _results_first(blocks: list[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: block["type"] != "tool_result") if len(blocks) > 1 else blocks


def _text_blocks(message: Message, path: str) -> list[Block]:
    """Text alone; empty pieces, which the provider refuses, are left out."""
    if message.content is None:
        return []
    if isinstance(message.content, str):
        return [_text(message.content, message.cache_control)] if message.content else []
    blocks: list[Block] = []
    for place, part in enumerate(message.content):
        if part.type not in ("text", "refusal"):
            raise _unsayable(f"a `{part.type}` part cannot stand here", f"{path}.content[{place}]")
        if text := part.text or part.refusal:
            blocks.append(_text(text, part.cache_control))
    return blocks


def _user_blocks(message: Message, path: str) -> list[Block]:
    if not isinstance(message.content, list):
        return _text_blocks(message, path)
    blocks: list[Block] = []
    for place, part in enumerate(message.content):
        where = f"{path}.content[{place}]"
        match part.type:
            case "text":
                if part.text:
                    blocks.append(_text(part.text, part.cache_control))
            case "image_url" if part.image_url is not None:
                blocks.append(_with_cache({"type": "image", "source": _image(part.image_url.url, where)}, part))
            case "file" if part.file is not None and part.file.file_data is not None:
                blocks.append(_with_cache(_document(part.file, part.file.file_data, where), part))
            case _:
                raise _unsayable(f"a `{part.type}` part cannot be sent to this provider", where)
    return blocks


def _text(text: str, cache_control: object) -> Block:
    block: Block = {"type": "text", "text": text}
    if cache_control is not None:
        block["cache_control"] = cache_control
    return block


def _with_cache(block: Block, part: _Part) -> Block:
    return block if part.cache_control is None else {**block, "cache_control": part.cache_control}


def _image(url: str, path: str) -> Block:
    if url.startswith("https://"):
        return {"type": "url", "url": url}
    media_type, data = _data_url(url, path)
    if media_type not in _IMAGE_TYPES:
        raise _unsayable(f"images of type `{media_type}` are not taken by this provider", path)
    return {"type": "base64", "media_type": media_type, "data": data}


def _document(file: _File, file_data: str, path: str) -> Block:
    media_type, data = _data_url(file_data, path)
    if media_type != "application/pdf":
        raise _unsayable(f"files of type `{media_type}` are not taken by this provider", path)
    block: Block = {"type": "document", "source": {"type": "base64", "media_type": media_type, "data": data}}
    if file.filename:
        block["title"] = file.filename
    return block


def _data_url(url: str, path: str) -> tuple[str, str]:
    """Media type and base64 text of a `data:` URL (RFC 2397)."""
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        raise _unsayable("only https addresses and base64 `data:` URLs are taken by this provider", path)
    media_type = head.removeprefix("data:").removesuffix(";base64").split(";")[0].lower()
    return ("image/jpeg" if media_type == "image/jpg" else media_type), data


def _unsayable(message: str, path: str) -> WardwrightError:
    return WardwrightError("unsupported_capability", message, place=Place(path=path))
