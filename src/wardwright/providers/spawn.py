"""How a transport gets a task: from whoever supervises tasks, never by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Starts a task and keeps it alive. A task of a transport ends without an error, or cancelled by the transport."""
