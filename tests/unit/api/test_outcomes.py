"""Receipts by group: what is counted, over whose calls, and what cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts.front import World, in_world
from wardwright.api.outcomes import GROUPS
from wardwright.calls.receipt import Summary


def test_calls_are_counted_by_what_they_have_in_common(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        for model in ("coding", "coding", "review", "nobody"):
            await world.call(model)
        told = (await world.get("/v1/receipts/groups?by=model")).json()
        assert (told["by"], told["more"], told["older"], told["behind"]) == ("model", False, False, False)
        assert [(one["value"], one["calls"], one["completed"]) for one in told["data"]] == [
            ("coding", 2, 2),
            (None, 1, 0),
            ("review", 1, 1),
        ]
        coding = told["data"][0]
        assert (coding["completed_ppm"], coding["input_tokens"], coding["output_tokens"]) == (1_000_000, 14, 4)
        assert coding["cost_nano_usd"] == 22_000
        assert 0 < coding["total_p50_us"] <= coding["total_p95_us"]

    in_world(tmp_path, play)


def test_filters_hold_for_groups_too(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        for model in ("coding", "review"):
            await world.call(model)
        told = (await world.get("/v1/receipts/groups?by=fallback&model=wardwright/review")).json()
        assert [(one["value"], one["calls"]) for one in told["data"]] == [(True, 1)]

    in_world(tmp_path, play)


@pytest.mark.parametrize(
    ("query", "word"), [("", "needs `by`"), ("by=receipt", "cannot be grouped"), ("by=varient", "variant")]
)
def test_what_makes_no_groups_is_refused(tmp_path: Path, query: str, word: str) -> None:
    async def play(world: World) -> None:
        response = await world.get(f"/v1/receipts/groups?{query}")
        assert response.status_code == 400
        assert word in response.text

    in_world(tmp_path, play)


def test_groups_are_made_by_members_of_the_row_alone() -> None:
    assert set(GROUPS) < set(Summary.__struct_fields__)
    assert list(GROUPS) == sorted(GROUPS)
