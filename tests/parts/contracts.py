"""Small contracts and providers as documents, for gateways that tests start."""

from __future__ import annotations

from typing import Any

from parts.gateway_thread import Document

NEVER_OPENS = {"calls_min": 1_000_000}
"""A breaker for tests that fail a target on purpose, again and again."""


def provider(name: str, base_url: str, **members: Any) -> Document:
    """A real endpoint."""
    return {"kind": "provider", "name": name, "base_url": base_url, "breaker": NEVER_OPENS} | members


def scripted(name: str, *steps: Document, model: str = "m", **members: Any) -> Document:
    """A provider that answers from a script."""
    scripts = [{"model": model, "steps": list(steps)}]
    return {"kind": "provider", "name": name, "transport": "scripted", "scripts": scripts} | members


def model(name: str, *providers: str, **members: Any) -> Document:
    """A model that asks the providers in order; each target is named after its provider and asks it for `m`."""
    targets = [{"name": one, "provider": one, "model": "m", "context_window": "64K"} for one in providers]
    route: Any = providers[0] if len(providers) == 1 else {"cascade": list(providers)}
    return {"kind": "model", "name": name, "targets": targets, "route": route} | members


def chat(model: str, *, stream: bool | None = None, **members: Any) -> Document:
    """A chat request."""
    asked: Document = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return asked | ({} if stream is None else {"stream": stream}) | members
