"""Bytes of a file -> located trees, one a document.

Rule 1: the suffix of the file's name says the syntax: `.yaml` and `.yml`, `.toml`, `.json`.
Rule 2: a YAML file may hold several documents between `---`; TOML and JSON files hold one.
Rule 3: size and nesting are bounded, and a file past a bound is refused whole.
"""

from __future__ import annotations

from typing import Final

from wardwright.contracts import json_syntax, toml_syntax, yaml_syntax
from wardwright.contracts.refusal import ContractErrors, syntax_error
from wardwright.contracts.tree import Spot, Table, Tree

DOCUMENT_BYTES_MAX: Final = 256 * 1024
"""Bytes of one file."""

DOCUMENT_DEPTH_MAX: Final = 48
"""Levels of nesting, the document itself counted: room for a route of ROUTE_DEPTH_MAX in its widest spelling."""

SUFFIXES: Final = (".yaml", ".yml", ".toml", ".json")
"""Files that hold contracts."""


def read(data: bytes, file: str) -> tuple[Table, ...]:
    """The documents of a file, in order; none for a YAML file of comments. Raises ContractErrors.

    >>> [entry.key for entry in read(b"kind: model", "x.yaml")[0].entries]
    ['kind']
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        message = f"the file has {len(data):,} bytes; a document may have {DOCUMENT_BYTES_MAX:,}"
        raise syntax_error(file, Spot(1, 1), message, "split it into one file a contract")
    trees = _trees(_text(data, file), file)
    for tree in trees:
        if not isinstance(tree, Table):
            raise syntax_error(file, tree.at, "a document is a mapping that begins with `kind` and `name`")
    return tuple(tree for tree in trees if isinstance(tree, Table))


def _trees(text: str, file: str) -> tuple[Tree, ...]:
    suffix = file[file.rfind(".") :].lower() if "." in file else ""
    match suffix:
        case ".yaml" | ".yml":
            return yaml_syntax.read(text, file, DOCUMENT_DEPTH_MAX)
        case ".toml":
            return (toml_syntax.read(text, file, DOCUMENT_DEPTH_MAX),)
        case ".json":
            return (json_syntax.read(text, file, DOCUMENT_DEPTH_MAX),)
        case _:
            raise syntax_error(file, Spot(1, 1), "the file's name does not say its syntax", f"end it in {_either()}")


def _either() -> str:
    return ", ".join(f"`{suffix}`" for suffix in SUFFIXES[:-1]) + f" or `{SUFFIXES[-1]}`"


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(data, file, error) from error


def _not_utf8(data: bytes, file: str, error: UnicodeDecodeError) -> ContractErrors:
    before = data[: error.start].decode()
    line = before.count("\n") + 1
    at = Spot(line, len(before) - (before.rfind("\n") + 1) + 1)
    return syntax_error(file, at, f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")
