"""`wardwright chat`: one question to one model, over plain HTTP as any client would ask it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import httpx2
import msgspec

from wardwright.api.receipts import Full
from wardwright.cli import receipt_words
from wardwright.cli.door import CONNECT_S, Door, Told, error_of, refused, unreachable, wire
from wardwright.cli.options import json_option, state_option, url_option
from wardwright.cli.output import Output
from wardwright.cli.state import running_in
from wardwright.kernel.errors import CODES, WardwrightError

RECEIPT_HEADER = "x-wardwright-receipt-id"


class Chatted(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    text: str
    finish: str | None
    receipt: str
    call: Full | None
    """What the gateway recorded; null where this user may not read it."""


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    """What is read of an event; the rest is the model's affair."""

    choices: tuple[_Choice, ...] = ()
    error: Told | None = None


@click.command()
@click.argument("model")
@click.argument("text")
@click.option("--system", help="What the model should keep to.")
@click.option("--session", help="Calls with the same word are one conversation.")
@click.option("--key", envvar="WARDWRIGHT_API_KEY", help="A serving key, where the gateway wants one.")
@click.option("--max-tokens", type=click.IntRange(1), help="The longest answer.")
@state_option
@url_option
@json_option
def chat(
    model: str,
    text: str,
    system: str | None,
    session: str | None,
    key: str | None,
    max_tokens: int | None,
    state: Path,
    url: str | None,
    out: Output,
) -> None:
    """Ask a model through the running gateway.

    The answer streams to stdout; the route it took and its receipt go to stderr. TEXT `-` is read from stdin.
    """
    address = url or running_in(state)
    if address is None:
        raise WardwrightError(
            "server_unreachable",
            f"no gateway runs over the state directory `{state}`",
            hint="`wardwright serve PATH` starts one; `--state` or `--url` name another",
        )
    question = sys.stdin.read() if text == "-" else text
    messages = [{"role": "user", "content": question}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    body: dict[str, object] = {"model": model, "messages": messages, "stream": True}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    if session is not None:
        headers["x-wardwright-session-id"] = session
    with wire(address, state, near=url is None) as client:
        answer = _asked(client, body, headers, out)
        call = _call(Door(client, client.send, url=address), answer.receipt)
    chatted = msgspec.structs.replace(answer, call=call)
    out.answer(chatted, ())
    if not out.as_json:
        if call is not None and call.receipt is not None:
            out.note(f"{receipt_words.way(call.receipt)}; {receipt_words.bill(call.receipt)}")
        out.note(f"wardwright receipt show {answer.receipt}")


def _asked(client: httpx2.Client, body: dict[str, object], headers: dict[str, str], out: Output) -> Chatted:
    """The answer, shown while it comes. Raises what the gateway refused with, also amid a stream."""
    pieces: list[str] = []
    finish = None
    request = client.build_request(
        "POST",
        "/v1/chat/completions",
        content=msgspec.json.encode(body),
        headers=headers | {"content-type": "application/json"},
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
    )
    try:
        response = client.send(request, stream=True)
        try:
            if not response.is_success:
                media_type = response.headers.get("content-type", "")
                raise refused(response.status_code, media_type, response.read())
            for chunk in _chunks(response):
                for choice in chunk.choices[:1]:
                    finish = choice.finish_reason or finish
                    if choice.delta.content:
                        pieces.append(choice.delta.content)
                        if not out.as_json:
                            click.echo(choice.delta.content, nl=False)
        finally:
            response.close()
    except httpx2.TransportError as error:
        raise unreachable(str(client.base_url), error) from error
    finally:
        if pieces and not out.as_json and not pieces[-1].endswith("\n"):
            click.echo()
    return Chatted(text="".join(pieces), finish=finish, receipt=response.headers.get(RECEIPT_HEADER, ""), call=None)


def _chunks(response: httpx2.Response) -> Iterator[_Chunk]:
    """The events of a stream. Raises the error that one of them is, and `upstream_stream_broken` without an end."""
    for line in response.iter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        chunk = msgspec.json.decode(data, type=_Chunk)
        if chunk.error is not None:
            if chunk.error.rule is None and chunk.error.code not in CODES:
                raise WardwrightError("upstream_stream_broken", chunk.error.message)
            raise error_of(chunk.error)
        yield chunk
    raise WardwrightError("upstream_stream_broken", "the stream ended before its answer did")


def _call(door: Door, receipt: str) -> Full | None:
    try:
        return door.ask("GET", f"/v1/receipts/{receipt}", Full)
    except WardwrightError:
        return None  # not ours to read: the answer is what was asked for
