"""The arguments of a call as a shell gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.cli.tools import arguments_of, house_of, opened_shop
from wardwright.contracts.refusal import ContractErrors
from wardwright.harness.core.tool import decoded
from wardwright.kernel.errors import WardwrightError

SHELF = opened_shop(()).shelf


def test_a_value_is_text_where_text_is_wanted_and_json_else() -> None:
    served = SHELF.get("file.search")
    given = arguments_of(served, ("path=/srv", "pattern=3", "literal=true", "matches_max=5"), None)
    assert given == {"path": "/srv", "pattern": "3", "literal": True, "matches_max": 5}
    decoded(served.arguments, given)


def test_a_list_is_gathered_from_repeated_arguments_or_given_as_json() -> None:
    served = SHELF.get("file.search")
    assert arguments_of(served, ("names=*.py", "names=*.md"), None) == {"names": ["*.py", "*.md"]}
    assert arguments_of(served, ('names=["*.py"]',), None) == {"names": ["*.py"]}


def test_arguments_of_a_file_give_way_to_those_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"path": "/a", "offset": 7}')
    given = arguments_of(SHELF.get("file.read"), ("path=/b",), tmp_path / "a.json")
    assert given == {"path": "/b", "offset": 7}


def test_the_checkout_is_the_current_folder_where_nobody_says() -> None:
    assert arguments_of(SHELF.get("git.status"), (), None) == {"repo_path": str(Path.cwd())}
    assert arguments_of(SHELF.get("git.status"), ("repo_path=/x",), None) == {"repo_path": "/x"}


def test_what_is_no_json_is_for_the_tool_to_refuse() -> None:
    served = SHELF.get("file.read")
    with pytest.raises(WardwrightError, match="offset"):
        decoded(served.arguments, arguments_of(served, ("path=/a", "offset=many"), None))


@pytest.mark.parametrize("pair", ["path", "=x"])
def test_an_argument_has_a_name_and_a_value(pair: str) -> None:
    with pytest.raises(WardwrightError, match="no argument"):
        arguments_of(SHELF.get("file.read"), (pair,), None)


@pytest.mark.parametrize("text", ["[]", "{", "1"])
def test_a_file_of_arguments_holds_an_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(WardwrightError, match="no JSON object"):
        arguments_of(None, (), tmp_path / "a.json")


def test_a_mistake_in_a_tool_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: tool\nname: t\neffect: read\nimplements: git.statuss\n")
    with pytest.raises(ContractErrors) as refused:
        opened_shop((tmp_path,))
    assert [error.code for error in refused.value.errors] == ["contract_reference"]


def test_a_house_that_is_not_there_is_told_with_its_neighbour() -> None:
    with pytest.raises(WardwrightError) as refused:
        house_of(opened_shop(()), "ezrra")
    assert refused.value.hint == "did you mean `ezra`?"
