"""Contract files: found, read, checked. What is wrong with one file keeps that file out and no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from wardwright.contracts.check import check, gather
from wardwright.contracts.decode import Document, Located, decode
from wardwright.contracts.house import HouseContract
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.provider import Provider
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.tool import ToolContract
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.runtime.settings import FILES, SERVERS_FILE, SERVERS_LOCK_FILE

SUFFIXES: Final = (".yaml", ".yml", ".toml", ".json")
NO_CONTRACTS: Final = frozenset({*FILES, SERVERS_FILE, SERVERS_LOCK_FILE})
"""Files of a contract folder that hold something else."""
FILES_MAX: Final = 4096
"""Contract files of one installation."""


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """What the files say."""

    errors: tuple[WardwrightError, ...]
    files: tuple[Path, ...]
    houses: dict[str, Located[HouseContract]]
    models: dict[str, Located[ModelContract]]
    """Those that may serve."""
    policies: dict[str, Located[PolicyContract]]
    providers: dict[str, Located[Provider]]
    tools: dict[str, Located[ToolContract]]
    """All that could be read; what is wrong between them keeps no model from serving."""
    unread: frozenset[str]
    """Files that were refused: what they held before goes on serving."""
    warnings: tuple[WardwrightError, ...]


def files_of(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The contract files among the paths: files as they are, folders with all that they hold, sorted."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(
                one
                for one in path.rglob("*")
                if one.suffix in SUFFIXES
                and one.name not in NO_CONTRACTS
                and one.is_file()
                and not _is_hidden(one, path)
            )
        elif path.is_file():
            found.add(path)
        else:
            raise WardwrightError("usage", f"`{path}` is neither a file nor a folder")
    if len(found) > FILES_MAX:
        raise WardwrightError("usage", f"{len(found)} contract files are more than {FILES_MAX}")
    return tuple(sorted(found))


def read(paths: Iterable[Path]) -> Library:
    """Everything under the paths, checked against each other."""
    chosen = tuple(paths)
    files = files_of(chosen)
    documents: list[Document] = []
    errors: list[WardwrightError] = []
    unread: set[str] = set()
    for file in files:
        try:
            documents.extend(decode(file.read_bytes(), str(file)))
        except ContractErrors as refused:
            errors.extend(refused.errors)
            unread.add(str(file))
        except OSError as cause:
            place = Place(file=str(file))
            errors.append(WardwrightError("contract_syntax", f"the file cannot be read: {cause.strerror}", place=place))
            unread.add(str(file))
    gathered = gather(documents)
    verdict = check(gathered.models, gathered.providers, gathered.policies, complete=not unread)
    return Library(
        errors=(*errors, *gathered.errors, *verdict.errors, *_judged(gathered.tools, chosen)),
        files=files,
        models={name: model for name, model in gathered.models.items() if name not in verdict.refused},
        policies=gathered.policies,
        providers=gathered.providers,
        houses=gathered.houses,
        tools=gathered.tools,
        unread=frozenset(unread | {gathered.models[name].file for name in verdict.refused}),
        warnings=verdict.warnings,
    )


def _judged(tools: Mapping[str, Located[ToolContract]], paths: tuple[Path, ...]) -> tuple[WardwrightError, ...]:
    """What is wrong with the tools, given the functions that there are."""
    if not tools:
        return ()
    # Only here: the functions of tools take longer to import than all that the commands without them need.
    from wardwright.harness.core.judged import judged
    from wardwright.runtime.tools import available

    functions, missing = available(paths)
    return (*missing, *judged(tools, functions))


def fingerprint(files: Iterable[Path]) -> tuple[tuple[str, int, int], ...]:
    """What tells that a file changed: its name, size and instant of change."""
    seen = []
    for file in files:
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        seen.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(seen)


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
