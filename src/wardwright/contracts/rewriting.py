"""A YAML file of contracts with some values changed and everything else left as its author wrote it, comments too.

Rule 1: what comes out is decoded again: where it does not say exactly what it should, nothing is given.
Rule 2: what is not YAML is not rewritten: a person does that.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from ruamel.yaml import YAML

from wardwright.contracts.decode import decode
from wardwright.contracts.digest import digest, plain
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.tool import ToolContract
from wardwright.kernel.errors import Place, WardwrightError

WIDTH: Final = 120

Changes: TypeAlias = Mapping[tuple[str, ...], int | str]
"""New values by the path of their members, such as `("retry", "attempts_max")`; of a list's items by their `id`."""


def rewritten(
    text: str,
    file: str,
    changes: Mapping[tuple[str, str], Changes],
    wanted: Iterable[ToolContract | PolicyContract],
) -> str:
    """The file with the changes of each contract, by kind and name. Raises `contract_invalid` where that cannot be
    written."""
    if not file.endswith((".yaml", ".yml")):
        raise _refusal(file, "only YAML files are rewritten")
    yaml = _yaml()
    documents: list[Any] = list(yaml.load_all(text))  # YAML holds anything; only this file writes it
    for document in documents:
        if isinstance(document, dict):
            for path, value in changes.get((str(document.get("kind")), str(document.get("name"))), {}).items():
                _set(document, path, value)
    out = io.StringIO()
    yaml.dump_all(documents, out)
    return _require(out.getvalue(), file, wanted)


def appended(text: str, file: str, added: Iterable[ToolContract]) -> str:
    """The file with further tools behind what it holds."""
    added = tuple(added)
    out = io.StringIO()
    yaml = _yaml()
    yaml.explicit_start = True
    for one in added:
        members = plain(one)
        first = {name: members.pop(name) for name in ("kind", "name")}
        yaml.dump({**first, **members}, out)
    return _require(text + out.getvalue(), file, added)


def _require(text: str, file: str, wanted: Iterable[ToolContract | PolicyContract]) -> str:
    held = {digest(one.value) for one in decode(text.encode(), file)}
    for one in wanted:
        if digest(one) not in held:
            raise _refusal(file, f"`{one.name}` cannot be written there so that it is read as it is meant")
    return text


def _refusal(file: str, message: str) -> WardwrightError:
    hint = "change it by hand: the difference says how"
    return WardwrightError("contract_invalid", message, place=Place(file=file), hint=hint)


def _set(document: Any, path: tuple[str, ...], value: int | str) -> None:
    *folders, last = path
    for name in folders:
        if isinstance(document, list):
            document = next(item for item in document if item["id"] == name)
        else:
            document = document.setdefault(name, {})
    document[last] = value


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
