"""Models between installations: a bundle goes out, drafts come in.

Rule 1: a bundle carries contracts and the *roles* that their providers play (what each must be able to do), never a
provider document, a credential or an address that is private to this installation.
Rule 2: whoever imports says which local provider plays each role.
Rule 3: an import is judged like a file from a stranger: size, syntax, every rule of decoding, digests. It becomes a
draft, and nothing of it serves before someone activates it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final, Literal

import msgspec

from wardwright.contracts import documents, secrets
from wardwright.contracts.decode import decode_table
from wardwright.contracts.digest import digest, plain, reach
from wardwright.contracts.model import Capability, ModelContract, Target
from wardwright.contracts.refusal import ContractErrors, did_you_mean
from wardwright.contracts.tree import Items, Table, Tree
from wardwright.kernel import canonical as canonical_json
from wardwright.kernel.errors import Place, WardwrightError

BUNDLE_FORMAT: Final = 1
BUNDLE_SUFFIX: Final = ".json"

_HOST: Final = re.compile(
    r"\b(?:https?|wss?)://(?:[^\s/@]*@)?(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))|\b((?:[0-9]{1,3}\.){3}[0-9]{1,3})\b"
)
_PRIVATE_NAME: Final = re.compile(r"(?:^|\.)(?:localhost|local|internal|intranet|lan|corp|home\.arpa)$|^[^.]+$")


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """One provider that the models of a bundle need, by what it must be able to do. Members in alphabetical order."""

    capabilities: tuple[Capability, ...]
    """Every capability that a target at this provider declares, sorted."""
    context_window_min: int
    """Tokens: the largest window that a target here declares."""
    models: tuple[str, ...]
    """What the contracts ask this provider for, sorted."""
    name: str
    """The provider's name in the contracts."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds. Members in alphabetical order."""

    digest: str
    """Of the first model."""
    format: int
    kind: Literal["model-bundle"]
    label: str | None
    """The operator's `version` of the first model."""
    name: str
    """Of the first model: the one that was asked for."""
    roles: tuple[Role, ...]
    """By name."""


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was read and judged."""

    manifest: Manifest
    contracts: tuple[ModelContract, ...]
    """The model asked for, then those that its aliases lead to."""

    def unmapped(self, mapping: Mapping[str, str], providers: Mapping[str, object]) -> tuple[Role, ...]:
        """Roles that no local provider plays: neither mapped, nor the name of one that exists here."""
        return tuple(role for role in self.manifest.roles if mapping.get(role.name, role.name) not in providers)


# Out


def export(name: str, models: Mapping[str, ModelContract]) -> bytes:
    """The bundle of a model and of every model its aliases lead to, as canonical JSON.

    Raises `contract_not_found`, and `contract_secret` where a text of the contracts holds a private address.
    """
    if name not in models:
        hint = did_you_mean(name, models)
        raise WardwrightError("contract_not_found", f"no model contract is called `{name}`", hint=hint)
    contracts = [models[name], *(models[other] for other in sorted(reach(name, models) - {name}))]
    for contract in contracts:
        _require_public(contract)
    manifest = Manifest(
        digest=digest(contracts[0]),
        format=BUNDLE_FORMAT,
        kind="model-bundle",
        label=contracts[0].version,
        name=name,
        roles=_roles(contracts),
    )
    bundle = {"contracts": [plain(contract) for contract in contracts], "manifest": msgspec.to_builtins(manifest)}
    return canonical_json.encode(bundle)


def _roles(contracts: list[ModelContract]) -> tuple[Role, ...]:
    targets: dict[str, list[Target]] = {}
    for contract in contracts:
        for target in contract.targets:
            targets.setdefault(target.provider, []).append(target)
    return tuple(
        Role(
            capabilities=tuple(sorted({word for target in group for word in target.capabilities or ()})),
            context_window_min=max(target.context_window for target in group),
            models=tuple(sorted({target.model for target in group})),
            name=provider,
        )
        for provider, group in sorted(targets.items())
    )


def _require_public(contract: ModelContract) -> None:
    for path, text in _texts(plain(contract), ""):
        place = Place(path=path)
        if (kind := secrets.looks_like(text)) is not None:
            raise WardwrightError("contract_secret", f"`{contract.name}` holds what looks like {kind}", place=place)
        if any(_is_private(match[1] or match[2] or match[3]) for match in _HOST.finditer(text)):
            message = f"`{contract.name}` names an address that is private to this installation"
            raise WardwrightError("contract_secret", message, place=place, hint="reword the text, then export again")


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                yield from _texts(item, f"{path}.{key}" if path else str(key))
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, f"{path}[{index}]")
        case _:
            return


def _is_private(host: str) -> bool:
    """Whether an address or host name means something inside one network alone.

    >>> _is_private("10.0.0.7"), _is_private("gpu-1.internal"), _is_private("api.openai.com")
    (True, True, False)
    """
    try:
        return not ip_address(host).is_global
    except ValueError:
        return _PRIVATE_NAME.search(host.lower().rstrip(".")) is not None


# In


def read_bundle(data: bytes, file: str) -> Import:
    """A bundle, judged. Raises ContractErrors, with places in the bundle."""
    table = documents.read(data, file if file.endswith(BUNDLE_SUFFIX) else file + BUNDLE_SUFFIX)[0]
    contracts = table.get("contracts")
    if contracts is None or not isinstance(contracts.value, Items) or table.get("manifest") is None:
        hint = "make one with `wardwright model export NAME`; a contract itself is read from the contracts folder"
        raise _refusal(file, table, "this is not a bundle: it needs `manifest` and `contracts`", hint)
    models: list[ModelContract] = []
    errors: list[WardwrightError] = []
    for item in contracts.value.items:
        if not isinstance(item, Table):
            raise _refusal(file, item, "a bundle's `contracts` are mappings")
        try:
            value = decode_table(item, file).value
        except ContractErrors as refused:
            errors.extend(refused.errors)
            continue
        if not isinstance(value, ModelContract):
            raise _refusal(file, item, "a bundle holds models alone: provider documents do not travel")
        models.append(value)
    if errors:
        raise ContractErrors(errors)
    return Import(manifest=_manifest(data, file, table, models), contracts=tuple(models))


def _manifest(data: bytes, file: str, table: Table, models: list[ModelContract]) -> Manifest:
    """The manifest, if it says what the contracts say."""
    try:
        manifest = msgspec.json.decode(data, type=_Bundle).manifest
    except msgspec.ValidationError as error:
        raise _refusal(file, table, f"the manifest cannot be read: {error}") from error
    if manifest.format != BUNDLE_FORMAT:
        hint = f"this build reads format {BUNDLE_FORMAT}"
        raise _refusal(file, table, f"format {manifest.format} of bundles is unknown", hint)
    if not models or models[0].name != manifest.name or digest(models[0]) != manifest.digest:
        hint = "it was changed after it was exported; ask for it again"
        raise _refusal(file, table, "the manifest's digest is not that of its contract", hint)
    if len({contract.name for contract in models}) != len(models) or _roles(models) != manifest.roles:
        raise _refusal(file, table, "the manifest's roles are not those of its contracts")
    return manifest


class _Bundle(msgspec.Struct):
    manifest: Manifest


def _refusal(file: str, tree: Tree, message: str, hint: str | None = None) -> ContractErrors:
    place = Place(file=file, line=tree.at.line, column=tree.at.column)
    return ContractErrors([WardwrightError("contract_invalid", message, place=place, hint=hint)])


def mapped(contract: ModelContract, mapping: Mapping[str, str]) -> ModelContract:
    """The contract with local providers in the roles of the bundle."""
    targets = tuple(
        msgspec.structs.replace(target, provider=mapping.get(target.provider, target.provider))
        for target in contract.targets
    )
    return msgspec.structs.replace(contract, targets=targets)
