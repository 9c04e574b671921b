"""Documents -> typed contracts, or every reason why not.

    for document in decode(data, "coding.yaml"):
        document.value, document.place("route")

Rule 1: a file is read whole or refused whole; `ContractErrors.errors` holds what is wrong with all of its documents.
Rule 2: unknown keys, credentials, and values out of bounds are refused, each with line, column and dotted path.
Rule 3: author's spellings and the canonical form decode to one value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Generic, TypeAlias, TypeVar, cast

import msgspec

from wardwright.contracts import documents, house_rules, model_rules, policy_rules, provider_rules, secrets, tool_rules
from wardwright.contracts.house import HouseContract
from wardwright.contracts.model import Canary, ModelContract
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.provider import Provider
from wardwright.contracts.refusal import ContractErrors, did_you_mean, in_order
from wardwright.contracts.shapes import ROOT, WRONG, At, Reader, Rules
from wardwright.contracts.tool import ToolContract
from wardwright.contracts.tree import Items, Scalar, Table, Tree
from wardwright.contracts.wording import either, found, shown_key
from wardwright.kernel.errors import Place, WardwrightError

T = TypeVar("T", covariant=True)

Value: TypeAlias = HouseContract | ModelContract | PolicyContract | Provider | ToolContract

KINDS: Final[dict[str, tuple[type[Value], Rules]]] = {
    "house": (HouseContract, house_rules.RULES),
    "model": (ModelContract, model_rules.RULES),
    "policy": (PolicyContract, policy_rules.RULES),
    "provider": (Provider, provider_rules.RULES),
    "tool": (ToolContract, tool_rules.RULES),
}
"""Every kind of document: its type, and what the type cannot say."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Located(msgspec.Struct, Generic[T], frozen=True):
    """A typed value and where its members stand."""

    value: T
    file: str
    places: dict[str, Place] = {}
    """By the path in the typed value, such as `route.members[1]`; empty for a value that was read from the store."""

    def place(self, path: str = "") -> Place:
        """The place of a member, or of the nearest that holds it."""
        rest = path
        while rest not in self.places and rest:
            rest = rest[: max(rest.rfind("."), rest.rfind("["), 0)]
        return self.places.get(rest) or Place(file=self.file, path=path or None)


Document: TypeAlias = (
    Located[HouseContract]
    | Located[ModelContract]
    | Located[PolicyContract]
    | Located[Provider]
    | Located[ToolContract]
)


def decode(data: bytes, file: str) -> tuple[Document, ...]:
    """The documents of a file. `file` names it in messages, and its suffix says the syntax. Raises ContractErrors."""
    errors: list[WardwrightError] = []
    found_documents: list[Document] = []
    tables = documents.read(data, file)
    if not tables:
        place = Place(file=file, line=1, column=1)
        hint = "begin with `kind: model` and `name: …`"
        raise ContractErrors([WardwrightError("contract_syntax", "the file holds no document", place=place, hint=hint)])
    for table in tables:
        try:
            found_documents.append(decode_table(table, file))
        except ContractErrors as refused:
            errors.extend(refused.errors)
    if errors:
        raise ContractErrors(in_order(errors))
    return tuple(found_documents)


def decode_table(table: Table, file: str) -> Document:
    """One document that was read already. Raises ContractErrors."""
    kind = _kind(table, file)
    cls, rules = KINDS[kind]
    reader = Reader(file, rules)
    for tree, at in _texts(table, ROOT):
        _refuse_secret(reader, tree, at)
    value = reader.struct(cls, table, ROOT)
    if reader.errors:
        raise ContractErrors(in_order(_once(reader.errors)))
    assert value is not WRONG
    return cast(Document, Located(value, file, reader.places))


def decode_canary(data: bytes, file: str) -> Canary:
    """The rule of a canary, such as `{"share_ppm": 50000}`. Raises ContractErrors."""
    table = documents.read(data, file)[0]
    reader = Reader(file, model_rules.RULES)
    value = reader.struct(Canary, table, ROOT)
    if reader.errors:
        raise ContractErrors(in_order(reader.errors))
    assert isinstance(value, Canary)
    return value


def _kind(table: Table, file: str) -> str:
    entry = table.get("kind")
    if entry is None:
        place = Place(file=file, line=table.at.line, column=table.at.column)
        message = "a document says its `kind` first"
        hint = f"add `kind: {next(iter(KINDS))}`; kinds are {either(list(KINDS))}"
        raise ContractErrors([WardwrightError("contract_unknown_kind", message, place=place, hint=hint)])
    kind = entry.value.value if isinstance(entry.value, Scalar) else None
    if isinstance(kind, str) and kind in KINDS:
        return kind
    place = Place(file=file, line=entry.value.at.line, column=entry.value.at.column, path="kind")
    message = f"`kind` is {either(list(KINDS))}; here stands {found(entry.value)}"
    advice = did_you_mean(kind, list(KINDS)) if isinstance(kind, str) else None
    raise ContractErrors([WardwrightError("contract_unknown_kind", message, place=place, hint=advice)])


def _texts(tree: Tree, at: At) -> Iterator[tuple[Scalar, At]]:
    """Every text of a document, keys too."""
    match tree:
        case Scalar(form="text"):
            yield tree, at
        case Scalar():
            return
        case Items():
            for index, item in enumerate(tree.items):
                yield from _texts(item, at.item(index))
        case Table():
            for entry in tree.entries:
                inside = at.member(shown_key(entry.key))
                yield Scalar(entry.key, "text", entry.key_at), inside
                yield from _texts(entry.value, inside)


def _refuse_secret(reader: Reader, tree: Scalar, at: At) -> None:
    text = str(tree.value)
    if _SURROGATE.search(text):
        reader.invalid(tree, at, "a lone surrogate is not a character")
    elif (kind := secrets.looks_like(text)) is not None:
        hint = "remove it and revoke it where it was issued; documents name credentials as `env:NAME` or `file:PATH`"
        reader.refuse("contract_secret", f"this looks like {kind}", reader.place(tree.at, at), hint)


def _once(errors: list[WardwrightError]) -> list[WardwrightError]:
    """One credential is told once, though the net and its member both refuse it."""

    def spot(error: WardwrightError) -> tuple[int | None, int | None]:
        place = error.place or Place()
        return (place.line, place.column)

    told: dict[tuple[int | None, int | None], WardwrightError] = {}
    for error in errors:
        if error.code == "contract_secret":
            told.setdefault(spot(error), error)
    return [error for error in errors if told.get(spot(error), error) is error]
