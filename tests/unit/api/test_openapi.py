"""The API document and the app are one: neither knows a path that the other does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from starlette.routing import Route

from parts.front import World, document, in_world
from wardwright.api.edge import CALLS
from wardwright.api.openapi import GROUPS
from wardwright.api.operation import Document
from wardwright.api.schemas import schema_document, schemas_of, structs_in
from wardwright.api.table import ALL, AT_THE_EDGE
from wardwright.calls.receipt import Receipt
from wardwright.kernel.docs import members_of


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_is_in_the_document_and_the_other_way_round(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        routes = {cast(Route, route).path.replace(":path}", "}") for route in world.app.routes}
        assert routes == set(document()["paths"])

    in_world(tmp_path, play)


def test_the_document_knows_the_calls_that_the_edge_answers() -> None:
    assert {row.path.encode() for row in AT_THE_EDGE} == set(CALLS)


def test_the_document_is_openapi() -> None:
    schemathesis.openapi.from_dict(document()).validate()


def test_a_row_of_the_table_stands_once() -> None:
    assert len({(row.method, row.path) for row in ALL}) == len(ALL)
    assert len({operation["operationId"] for _, _, operation in operations()}) == len(ALL)


def test_every_operation_says_what_it_does_and_what_may_go_wrong() -> None:
    for method, path, operation in operations():
        assert operation["summary"][0].isupper(), path
        assert operation["tags"][0] in GROUPS
        assert "500" in operation["responses"], (method, path)
        assert ("404" in operation["responses"]) or "{" not in path, (method, path)


def test_the_published_document_is_served(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert (await world.get("/openapi.json")).json() == document()

    in_world(tmp_path, play)


def test_every_schema_that_the_document_names_is_there_and_used() -> None:
    text = str(document())
    for name in document()["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in text, name


def test_two_types_with_one_name_are_refused() -> None:
    namesake = msgspec.defstruct("Receipt", [("other", int)])
    with pytest.raises(ValueError, match="one name"):
        schemas_of([Receipt, namesake], "#/$defs/{name}")


def test_every_member_of_a_receipt_is_described() -> None:
    schema = schema_document(Receipt)
    for name, one in {"Receipt": schema, **schema["$defs"]}.items():
        missing = [member for member, written in one["properties"].items() if "description" not in written]
        assert missing == [], name
        assert one["description"], name
    assert members_of(Receipt)["plan"] == schema["properties"]["plan"]["description"]


def test_the_schema_of_receipts_takes_what_the_gateway_writes(tmp_path: Path) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema_document(Receipt))

    async def play(world: World) -> None:
        for model, stream in (("coding", False), ("review", True), ("codign", False)):
            call = await world.call(model, stream=stream)
            validator.validate((await world.get(f"/v1/receipts/{call.receipt}")).json()["receipt"])

    in_world(tmp_path, play)
    assert not validator.is_valid({"receipt": 7})


def test_every_member_of_what_the_app_answers_is_described() -> None:
    types = ({row.answer for row in ALL} | {row.body for row in ALL}) - {Document}
    ours = [cls for cls in structs_in(types) if cls.__module__.startswith("wardwright.api.")]
    assert len(ours) > 30
    for cls in ours:
        missing = [field.name for field in msgspec.structs.fields(cls) if field.name not in members_of(cls)]
        assert missing == [], cls.__name__
