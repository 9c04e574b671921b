"""Expectations written as YAML, for policies that tests write as JSON."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML


def expectation_of(text: str) -> Any:
    """The `expect` member, as a document holds it."""
    return YAML(typ="safe", pure=True).load(text)
