"""Whatever a client sends, the answer is one that the API document describes, and never a defect."""

from __future__ import annotations

import asyncio
from types import NoneType
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from parts.front import ADMIN, World, document, world
from wardwright.api.operation import AnyOperation
from wardwright.api.table import OPERATIONS

SCHEMA = schemathesis.openapi.from_dict(document())
SHARE = 8
"""Each operation gets one in so many of the examples that a property gets: there are many operations."""


# What takes neither a query nor a body cannot be asked wrongly.
CASES = [
    pytest.param(row, mode, id=f"{row.method} {row.template} {mode.value}")
    for row in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or row.query or row.body is not NoneType
]


@pytest.mark.parametrize(("row", "mode"), CASES)
def test_every_answer_is_documented(
    row: AnyOperation, mode: GenerationMode, tmp_path_factory: pytest.TempPathFactory
) -> None:
    operation = SCHEMA[row.template][row.method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=settings().max_examples // SHARE, suppress_health_check=list(HealthCheck))
    def play(case: Any) -> None:
        runner.run(_send(made, row.method, case))

    with asyncio.Runner() as runner:
        context = world(tmp_path_factory.mktemp("world"))
        made = runner.run(context.__aenter__())
        try:
            play()
        finally:
            runner.run(context.__aexit__(None, None, None))


async def _send(world: World, method: str, case: Any) -> None:
    """As the admin, whom nothing is kept from. `World.ask` holds the answer to the document."""
    content: dict[str, Any] = {}
    if case.body is not NOT_SET:
        content = {"content": case.body} if isinstance(case.body, bytes) else {"json": case.body}
    response = await world.ask(method, case.formatted_path, params=case.query or None, headers=ADMIN, **content)
    assert response.status_code != 500, response.text
