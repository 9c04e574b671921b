"""The estimate counts what a request makes a model read: tools, tool calls and dense scripts too."""

from __future__ import annotations

import base64
import json

import pytest

from wardwright.routing.counting import count_chat
from wardwright.routing.density import SAMPLE_BYTES, UNIT, WEIGHTS, WHOLE_BYTES_MAX, weigh
from wardwright.routing.tokens import AUDIO_TOKENS, IMAGE_TOKENS, estimate_chat, without_base64

PROSE = (
    "The gateway keeps one promise above all others: the name that a team writes into its configuration today means "
    "the same thing tomorrow, and when it does not, there is a receipt that says who changed it and why. "
)
CODE = """
def window_of(target, fraction):
    if target.context_window <= 0:
        raise ValueError("a window is positive")
    return int(target.context_window * fraction)
"""


def raw(*messages: dict[str, object], ascii_only: bool = False) -> bytes:
    return json.dumps(list(messages), ensure_ascii=ascii_only, separators=(",", ":")).encode()


def words(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def tokens(content: object) -> int:
    return estimate_chat(raw(words(content)), None, 0, 1).tokens


def density(text: str) -> float:
    """Characters a token."""
    return len(text) / (tokens(text) - tokens(""))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (PROSE * 10, 3.8, 4.8),
        (CODE * 10, 2.9, 4.4),
        ("网关将模型名称解析为路由，并为每次调用留下可验证的收据。" * 20, 0.8, 1.6),
        ("ゲートウェイはモデル名を経路に解決し、呼び出しごとに領収書を残します。" * 20, 0.9, 1.7),
        ("Шлюз разрешает имя модели и оставляет проверяемую запись о каждом вызове. " * 20, 1.9, 2.9),
        ("0123456789" * 50, 1.2, 2.2),
    ],
    ids=["prose", "code", "chinese", "japanese", "russian", "digits"],
)
def test_each_kind_of_text_has_the_density_that_vocabularies_give_it(text: str, least: float, most: float) -> None:
    assert least <= density(text) <= most


def test_an_empty_chat_costs_its_frame() -> None:
    assert estimate_chat(b"[]", None, 0, 0).tokens <= 16 + 2


def test_each_message_costs_four_and_its_words() -> None:
    few, many = raw(*[words("Go on.")] * 10), raw(*[words("Go on.")] * 110)
    grown = estimate_chat(many, None, 0, 110).tokens - estimate_chat(few, None, 0, 10).tokens
    assert 6 * 100 <= grown <= 9 * 100


def test_tools_count() -> None:
    tool = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}}}
    tools = json.dumps([tool] * 20).encode()
    chat = raw(words("hi"))
    assert estimate_chat(chat, tools, 0, 1).tokens > estimate_chat(chat, None, 0, 1).tokens + 20 * 20


def test_tool_calls_and_reasoning_count() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"text": PROSE})}}
    plain = raw(words("hi"), {"role": "assistant", "content": None})
    acting = raw(words("hi"), {"role": "assistant", "content": None, "reasoning": PROSE, "tool_calls": [call]})
    grown = estimate_chat(acting, None, 0, 2).tokens - estimate_chat(plain, None, 0, 2).tokens
    assert grown > 2 * (tokens(PROSE) - tokens(""))


@pytest.mark.parametrize("text", [PROSE + "naïve café", "网关将模型名称解析为路由。", "сколько это стоит", "🙂🚀"])
def test_escaped_characters_cost_what_they_stand_for(text: str) -> None:
    escaped = estimate_chat(raw(words(text * 5), ascii_only=True), None, 0, 1)
    plain = estimate_chat(raw(words(text * 5)), None, 0, 1)
    assert abs(escaped.tokens - plain.tokens) <= plain.tokens * 0.25
    assert escaped.error_ppm > 160_000


def test_an_escaped_backslash_before_a_u_is_no_escape() -> None:
    assert abs(tokens(r"C:\users\u0041dmin " * 20) - tokens(r"C:\users\x0041dmin " * 20)) <= 8


def test_a_picture_costs_a_flat_sum_and_not_its_bytes() -> None:
    picture = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 400).decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": picture}}]
    estimate = estimate_chat(raw(words(parts)), None, 1, 1)
    assert IMAGE_TOKENS < estimate.tokens < IMAGE_TOKENS + 100
    assert estimate.error_ppm > 800_000


def test_sound_costs_a_flat_sum_and_not_its_bytes() -> None:
    data = base64.b64encode(b"\1\2\3" * 30_000).decode()
    parts = [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}, {"type": "text", "text": "Say."}]
    estimate = estimate_chat(raw(words(parts)), None, 0, 1, audio=1)
    assert AUDIO_TOKENS < estimate.tokens < AUDIO_TOKENS + 100


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'[{"a":"data:image/png;base64,AAAA","b":"kept"}]', b'[{"a":"data:image/png;base64,","b":"kept"}]'),
        (b'[{"input_audio": {"format": "wav", "data": "BBBB"}}]', b'[{"input_audio": {"format": "wav", "data": ""}}]'),
        (b'[{"data":"kept"},{"input_audio":{}}]', b'[{"data":"kept"},{"input_audio":{}}]'),
        (b'[{"a":"x;base64,unclosed', b'[{"a":"x;base64,unclosed'),
        (b'[{"input_audio":{"data":7}}]', b'[{"input_audio":{"data":7}}]'),
    ],
)
def test_only_payloads_are_cut_out(before: bytes, after: bytes) -> None:
    assert without_base64(before, 2) == after


def test_no_more_payloads_are_cut_out_than_there_are_parts() -> None:
    url = b'"data:;base64,AAAA"'
    assert without_base64(url * 3, 2) == b'"data:;base64,"' * 2 + url


def test_long_requests_are_sampled_evenly_and_the_band_says_so() -> None:
    short, long = raw(words(PROSE * 30)), raw(words(PROSE * 600))
    few, many = estimate_chat(short, None, 0, 1), estimate_chat(long, None, 0, 1)
    assert len(short) < WHOLE_BYTES_MAX < len(long)
    assert many.tokens == pytest.approx(20 * few.tokens, rel=0.03)
    assert many.error_ppm > few.error_ppm


def test_a_dense_half_of_a_long_request_is_seen_wherever_it_stands() -> None:
    dense, light = "9f8e-7d6c/" * 4000, PROSE * 140
    first, last = tokens(dense + light), tokens(light + dense)
    assert first == pytest.approx(last, rel=0.1)
    assert first == pytest.approx(tokens(dense) + tokens(light), rel=0.1)


def test_the_same_request_always_gets_the_same_estimate() -> None:
    body = raw(words(PROSE * 900))
    assert estimate_chat(body, None, 0, 1) == estimate_chat(bytes(bytearray(body)), None, 0, 1)


def test_a_calibrated_estimate_says_so_and_scales() -> None:
    chat = raw(words(PROSE))
    plain = estimate_chat(chat, None, 0, 1)
    scaled = estimate_chat(chat, None, 0, 1, calibration_ppm=1_250_000)
    assert (plain.method, scaled.method) == ("heuristic", "calibrated")
    assert scaled.tokens == -(-plain.tokens * 5 // 4)
    assert scaled.error_ppm < plain.error_ppm


def test_the_weights_of_a_text_are_summed_exactly() -> None:
    for size in (0, 1, 511, 767, 768, 769, 5000, WHOLE_BYTES_MAX):
        text = (bytes(range(32, 127)) * 90)[:size].replace(b"\\", b"/")
        assert weigh(text).weight == sum(WEIGHTS[byte] for byte in text)


def test_the_heaviest_text_does_not_overflow_the_sum() -> None:
    emoji = "🚀".encode()
    assert weigh(emoji * 2000).weight == 2000 * WEIGHTS[0xF0]
    assert weigh(bytes([0xF0]) * WHOLE_BYTES_MAX).weight == WHOLE_BYTES_MAX * max(WEIGHTS)
    assert max(WEIGHTS) / UNIT == 2.5
    assert SAMPLE_BYTES < WHOLE_BYTES_MAX


class Words:
    """A counter that makes a token of each word."""

    def count(self, text: str) -> int:
        return len(text.split())


def test_an_exact_count_reads_every_word_that_a_model_reads() -> None:
    call = {"id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    chat = raw(
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a b c"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "content": None, "reasoning_content": "let me see", "tool_calls": [call]},
        {"role": "tool", "content": "42 of them", "tool_call_id": "call_1"},
    )
    estimate = count_chat(chat, b'[{"name": "f"}]', Words())
    said = (1 + 2) + (1 + 3) + (1 + 3 + 1) + (1 + 3 + 1)
    assert estimate.tokens == 16 + 4 * 4 + said + 2 + IMAGE_TOKENS
    assert estimate.method == "tokenizer"


def test_an_exact_count_of_text_has_a_narrow_band() -> None:
    assert count_chat(raw(words(PROSE)), None, Words()).error_ppm == 20_000
