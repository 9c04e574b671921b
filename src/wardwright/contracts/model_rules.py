"""What the types of `contracts.model` cannot say about one model contract.

References to other documents are checked in `contracts.check`, when all of them are known.
"""

from __future__ import annotations

import re
from typing import Final, cast

import msgspec

from wardwright.contracts.decimals import compare
from wardwright.contracts.model import (
    FORMAT,
    TARGETS_MAX,
    Alias,
    Alloy,
    Canary,
    Cascade,
    Dispatcher,
    Guard,
    Member,
    ModelContract,
    Price,
    Target,
    TargetRef,
    Tokens,
    Transforms,
    Variant,
    When,
)
from wardwright.contracts.route_syntax import TAG, member, node
from wardwright.contracts.shapes import WRONG, At, Read, Reader, Rules
from wardwright.contracts.wording import shown

ALLOY_MEMBERS_MIN: Final = 2
SEQUENCE_STEPS_MAX: Final = 256
"""Entries of an alloy's `sequence`."""

_PATTERN: Final = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9._:@+*-]*(?:/[A-Za-z0-9._:@+/*-]+)?")


def is_pattern(text: str) -> bool:
    """Whether a text may name targets: `provider/model`, a target's name or a label, `*` standing for any characters.

    >>> is_pattern("local/*"), is_pattern("no blanks")
    (True, False)
    """
    return _PATTERN.fullmatch(text) is not None


def _contract(reader: Reader, value: msgspec.Struct, at: At) -> None:
    contract = cast(ModelContract, value)
    if contract.format != FORMAT:
        hint = f"this build reads format {FORMAT}; leave `format` out"
        reader.breaks(at.member("format"), f"format {contract.format} of model contracts is unknown", hint)
    if contract.route == Dispatcher(members=()):
        reader.breaks(at.member("targets"), "a contract without a route needs at least one target")
    if len(contract.targets) > TARGETS_MAX:
        reader.breaks(at.member("targets"), f"{len(contract.targets)} targets; a contract has at most {TARGETS_MAX}")
    for pattern in contract.restrict:
        if not is_pattern(pattern):
            hint = "write `provider/model`, a target's name or a label; `*` stands for any characters"
            reader.breaks(at.member("restrict"), f"{shown(pattern)} is not a pattern", hint)


def _target(reader: Reader, value: msgspec.Struct, at: At) -> None:
    target = cast(Target, value)
    if not target.model.strip() or not target.model.isprintable():
        reader.breaks(at.member("model"), "`model` is what the provider calls it, in printable characters")
    if target.output_max is not None and target.output_max > target.context_window:
        message = f"`output_max` ({target.output_max:,}) is larger than `context_window` ({target.context_window:,})"
        reader.breaks(at.member("output_max"), message, "the window holds input and output together")
    if target.capacity_fraction == "0" or compare(target.capacity_fraction, "1") > 0:
        message = f"`capacity_fraction` is above 0 and at most 1; here stands `{target.capacity_fraction}`"
        reader.breaks(at.member("capacity_fraction"), message, "0.9 lets routing fill nine tenths of the window")


def _tokens(reader: Reader, value: msgspec.Struct, at: At) -> None:
    tokens = cast(Tokens, value)
    if compare(tokens.margin, "1") < 0:
        message = f"`margin` is at least 1; here stands `{tokens.margin}`"
        reader.breaks(at.member("margin"), message, "the estimate is multiplied by it, and must not shrink")
    file = tokens.tokenizer
    if file is not None and (not file or file.startswith(("/", "~")) or ".." in file.split("/") or ":" in file):
        message = "`tokenizer` is a file beside the contract"
        reader.breaks(at.member("tokenizer"), message, "write its path from the contract's folder, without `..`")


def _ordered(reader: Reader, value: msgspec.Struct, at: At) -> None:
    word = "dispatcher" if isinstance(value, Dispatcher) else "cascade"
    if not cast(Dispatcher | Cascade, value).members:
        reader.breaks(at.member("members"), f"a {word} needs at least one member")


def _alloy(reader: Reader, value: msgspec.Struct, at: At) -> None:
    alloy = cast(Alloy, value)
    count = len(alloy.members)
    if count < ALLOY_MEMBERS_MIN:
        message = f"an alloy needs at least {ALLOY_MEMBERS_MIN} members; this has {count}"
        hint = "write the one member in place of the alloy" if count else None
        reader.breaks(at.member("members"), message, hint)
    if alloy.strategy != "weighted" and any(one.weight != 1 for one in alloy.members):
        message = f"weights mean nothing under `strategy: {alloy.strategy}`"
        reader.breaks(at.member("members"), message, "use `strategy: weighted`, or remove the weights")
    if alloy.strategy == "sequence" and not alloy.sequence:
        hint = "add `sequence: [0, 1]`, with indexes of members"
        reader.breaks(at, "`strategy: sequence` needs a `sequence`", hint)
    if alloy.strategy != "sequence" and alloy.sequence:
        message = f"`sequence` means nothing under `strategy: {alloy.strategy}`"
        reader.breaks(at.member("sequence"), message, "use `strategy: sequence`, or remove it")
    if len(alloy.sequence) > SEQUENCE_STEPS_MAX:
        reader.breaks(at.member("sequence"), f"`sequence` has at most {SEQUENCE_STEPS_MAX} entries")
    for index, step in enumerate(alloy.sequence):
        if not 0 <= step < count:
            message = f"there is no member {step}; members are counted from 0 to {count - 1}"
            reader.breaks(at.member("sequence").item(index), message)
    if alloy.partial_context and alloy.min_context_window is not None:
        message = "`min_context_window` is a ceiling for all members, and `partial_context` has none"
        reader.breaks(at.member("min_context_window"), message, "remove one of them")


def _guard(reader: Reader, value: msgspec.Struct, at: At) -> None:
    if cast(Guard, value).when == When():
        reader.breaks(at.member("when"), "a guard needs a condition: an empty `when` always holds")


def _when(reader: Reader, value: msgspec.Struct, at: At) -> None:
    when = cast(When, value)
    low, high = when.input_tokens_min, when.input_tokens_max
    if low is not None and high is not None and low > high:
        message = f"`input_tokens_min` ({low:,}) is larger than `input_tokens_max` ({high:,}): nothing lies between"
        reader.breaks(at.member("input_tokens_min"), message)


def canary_rule(reader: Reader, value: msgspec.Struct, at: At) -> None:
    canary = cast(Canary, value)
    if (canary.share_ppm is None) == (canary.when is None):
        reader.breaks(at, "a canary serves either a `share_ppm` of conversations or the calls of a `when`")
    elif canary.when == When():
        reader.breaks(at.member("when"), "a canary needs a condition: an empty `when` always holds")


def _targets_elsewhere(members: dict[str, Read]) -> Read:
    """A contract whose route leads to other contracts alone needs no targets."""
    return () if "route" in members else None


def _route_of_all(members: dict[str, Read]) -> Read:
    """The route of a contract that declares none: a dispatcher over its targets."""
    targets = members.get("targets", WRONG)
    if targets is WRONG:
        return WRONG
    return Dispatcher(members=tuple(TargetRef(target=target.name) for target in cast(tuple[Target, ...], targets)))


_WORDS_OF_WHEN: Final = ("tenant", "application", "agent", "house", "tags", "capabilities", "data_class", "region")

RULES: Final = Rules(
    nouns={
        ModelContract: "a model contract",
        Target: "a target",
        Price: "a price",
        Tokens: "`tokens`",
        Dispatcher: "a dispatcher",
        Cascade: "a cascade",
        Alloy: "an alloy",
        Member: "a member of an alloy",
        Alias: "an alias",
        Guard: "a guard",
        When: "a condition",
        TargetRef: "a reference to a target",
        Transforms: "`transforms`",
        Variant: "a variant",
        Canary: "a canary",
    },
    readers={Member: member},
    unions={TAG: node},
    checks={
        ModelContract: _contract,
        Target: _target,
        Tokens: _tokens,
        Dispatcher: _ordered,
        Cascade: _ordered,
        Alloy: _alloy,
        Guard: _guard,
        When: _when,
        Canary: canary_rule,
    },
    members={},
    missing={(ModelContract, "targets"): _targets_elsewhere, (ModelContract, "route"): _route_of_all},
    distinct={(ModelContract, "targets"): ("target", "name"), (Transforms, "variants"): ("variant", "name")},
    sets=frozenset(
        {
            (Target, "capabilities"),
            (Target, "unsupported_parameters"),
            (Target, "labels"),
            (ModelContract, "restrict"),
            (ModelContract, "policies"),
            *((When, word) for word in _WORDS_OF_WHEN),
        }
    ),
)
"""How `kind: model` documents are read."""
