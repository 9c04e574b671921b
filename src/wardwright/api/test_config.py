"""`POST /__test/config`: what is served, straight from a request. For controlled local runs; elsewhere it is not there.

The documents take the place of all contract files until those are read again. The journal keeps what was called before.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from wardwright.api.operation import Ask
from wardwright.contracts.check import check, gather
from wardwright.contracts.decode import Document, decode
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.tool_check import check_tools
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.library import Library

NAME: Final = "request.yaml"
"""What places in the documents call their file. JSON is YAML too."""

DOCUMENTS_MAX: Final = 256


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What is served now."""

    status: Literal["ok"] = "ok"
    """Anything else is an error."""
    models: tuple[str, ...]
    """By name."""
    providers: tuple[str, ...]
    """By name."""
    targets: int
    """Of all models together."""


async def install(ask: Ask[bytes]) -> Installed:
    """Raises `not_found` where it is not allowed, and ContractErrors.

    Nothing changes for documents that are refused; where a provider alone cannot run, all that does without it serves.
    """
    if not ask.front.test_config:
        raise WardwrightError("not_found", "nothing lives at this path")
    gathered = gather(_documents(ask.body))
    verdict = check(gathered.models, gathered.providers, gathered.policies)
    errors = (*gathered.errors, *verdict.errors, *check_tools(gathered.tools))
    if errors:
        raise ContractErrors(errors)
    library = Library(
        errors=(),
        files=(),
        houses=gathered.houses,
        models=gathered.models,
        policies=gathered.policies,
        providers=gathered.providers,
        tools=gathered.tools,
        unread=frozenset(),
        warnings=verdict.warnings,
    )
    state = await ask.front.control.reload(library, by="test")
    if state.errors:
        raise ContractErrors(state.errors)
    return Installed(
        models=tuple(sorted(gathered.models)),
        providers=tuple(sorted(gathered.providers)),
        targets=sum(len(model.value.targets) for model in gathered.models.values()),
    )


def _documents(body: bytes) -> tuple[Document, ...]:
    """YAML documents between `---`, a JSON document, or a JSON list of them."""
    if not body.lstrip().startswith(b"["):
        return decode(body, NAME)
    try:
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        raise WardwrightError("contract_syntax", f"the list of documents is not JSON: {error}") from error
    if len(items) > DOCUMENTS_MAX:
        raise WardwrightError("contract_syntax", f"{len(items)} documents are more than {DOCUMENTS_MAX}")
    found: list[Document] = []
    for index, item in enumerate(items):
        found.extend(decode(bytes(item), f"request[{index}].json"))
    return tuple(found)
