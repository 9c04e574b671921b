"""The net under credentials."""

from __future__ import annotations

import pytest

from wardwright.contracts.secrets import carries_credential, is_reference, looks_like


@pytest.mark.parametrize(
    "text",
    [
        "sk-abcdefghijklmnop",
        "the key is sk-ant-api03-abcdefghijklmnop.",
        "Authorization: Bearer abcdefghijklmnop.qrst",
        "Basic dXNlcjpwYXNzd29yZDEyMw==",
        "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "a" * 35,
        "github_pat_" + "a" * 30,
        "glpat-" + "a" * 20,
        "xoxb-1234567890-abc",
        "hf_" + "a" * 34,
        "gsk_" + "a" * 40,
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0.dBjftJeZ4CVP",
        "-----BEGIN PRIVATE KEY-----",
        "postgres://user:secret@db/x",
    ],
)
def test_shapes_of_credentials_are_seen_inside_other_text(text: str) -> None:
    assert looks_like(f"say: {text} ok") is not None


@pytest.mark.parametrize(
    "text",
    [
        "Answer in one sentence.",
        "Bearer $TOKEN",
        "set the bearer of good news apart",
        "Basic knowledge of Python",
        "sk-short",
        "task-abcdefghijklmnopqrstuv",
        "https://host:8000/v1/path@x",
        "env:OPENAI_API_KEY",
        "sha256:" + "a" * 64,
        "rcp_01hf7yat000000000000000007",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert looks_like(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("env:KEY", True), ("env:_k1", True), ("file:/run/x", True), ("env:", False), ("env:1", False), ("KEY", False)],
)
def test_references_name_a_variable_or_a_file(text: str, expected: bool) -> None:
    assert is_reference(text) is expected


def test_headers_that_carry_credentials_are_known_by_their_names() -> None:
    assert all(carries_credential(name) for name in ("Authorization", "api-key", "X-Goog-Api-Key", "cookie"))
    assert not any(carries_credential(name) for name in ("user-agent", "anthropic-version", "openai-organization"))
