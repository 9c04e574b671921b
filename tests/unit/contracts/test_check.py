"""What documents say about each other."""

from __future__ import annotations

import pytest

from wardwright.contracts.check import Verdict, check, gather
from wardwright.contracts.decode import decode
from wardwright.contracts.model import ROUTE_DEPTH_MAX, ROUTE_TARGETS_MAX
from wardwright.kernel.errors import WardwrightError

PROVIDER = "kind: provider\nname: p\ntransport: scripted\n"


def model(name: str, route: str, targets: str = "t") -> str:
    listed = "".join(f"  - {{name: {one}, provider: p, model: x, context_window: 8K}}\n" for one in targets.split())
    return f"kind: model\nname: {name}\nroute: {route}\n" + (f"targets:\n{listed}" if listed else "")


def verdict(*documents: str) -> Verdict:
    gathered = gather(decode("---\n".join(documents).encode(), "set.yaml"))
    assert gathered.errors == ()
    return check(gathered.models, gathered.providers, gathered.policies)


def only(errors: tuple[WardwrightError, ...]) -> WardwrightError:
    (error,) = errors
    return error


def told(error: WardwrightError) -> tuple[str, str, str | None]:
    return error.code, error.message, error.hint


def test_a_set_that_agrees_has_nothing_to_tell() -> None:
    assert verdict(PROVIDER, model("a", "{alias: b}", ""), model("b", "t")) == Verdict(
        errors=(), warnings=(), refused=frozenset()
    )


def test_an_unknown_provider_is_an_error_with_the_nearest_name() -> None:
    found = verdict(
        PROVIDER.replace("name: p", "name: openai"), model("a", "t").replace("provider: p", "provider: opnai")
    )
    error = only(found.errors)

    assert told(error) == ("contract_reference", "no provider is named `opnai`", "did you mean `openai`?")
    assert error.place is not None
    assert (error.place.line, error.place.path) == (9, "targets[0].provider")


def test_a_set_without_providers_says_how_to_get_one() -> None:
    error = only(verdict(model("a", "t")).errors)

    assert error.hint == "add a document of `kind: provider` with that name"


def test_a_scripted_provider_plays_the_models_it_has_scripts_for() -> None:
    error = only(verdict(PROVIDER + "scripts: [{model: xx}]\n", model("a", "t")).errors)

    assert told(error) == (
        "contract_reference",
        "the scripted provider `p` has no script for `x`",
        "did you mean `xx`?",
    )


def test_an_unknown_target_is_an_error_where_it_stands_in_the_route() -> None:
    error = only(verdict(PROVIDER, model("a", "{cascade: [fast, {alloy: [fst, fast]}]}", "fast")).errors)

    assert told(error) == ("contract_reference", "this contract has no target `fst`", "did you mean `fast`?")
    assert error.place is not None
    assert (error.place.line, error.place.column, error.place.path) == (7, 34, "route.cascade[1].alloy[0]")


def test_an_unknown_alias_is_an_error() -> None:
    error = only(verdict(PROVIDER, model("a", "{cascade: [t, {alias: bse}]}"), model("base", "t")).errors)

    assert told(error) == ("contract_reference", "no model contract is named `bse`", "did you mean `base`?")


def test_a_cycle_is_told_once_by_its_path() -> None:
    found = verdict(
        PROVIDER,
        model("c", "{cascade: [t, {alias: a}]}"),
        model("b", "{alias: c}", ""),
        model("a", "{guard: {when: {tags: [x]}, then: t, otherwise: {alias: b}}}"),
    )
    error = only(found.errors)

    assert (error.code, error.message) == ("contract_cycle", "the route leads back to itself: a → b → c → a")
    assert error.place is not None
    assert error.place.path == "route.guard.otherwise"
    assert found.refused == {"a", "b", "c"}


def test_a_contract_that_names_itself_is_a_cycle_of_one() -> None:
    error = only(verdict(PROVIDER, model("a", "{cascade: [t, {alias: a}]}")).errors)

    assert error.message == "the route leads back to itself: a → a"


def test_contracts_that_lead_to_a_wrong_one_are_refused_with_it_and_others_are_not() -> None:
    found = verdict(
        PROVIDER,
        model("outer", "{alias: inner}", ""),
        model("inner", "{cascade: [t, {alias: wrong}]}"),
        model("wrong", "{alias: wrong}", ""),
        model("fine", "t"),
    )

    assert len(found.errors) == 1
    assert found.refused == {"outer", "inner", "wrong"}


def chain(length: int) -> list[str]:
    """Contracts m0 → m1 → …, the last with a target: `length` nodes above it."""
    aliases = [model(f"m{index}", f"{{alias: m{index + 1}}}", "") for index in range(length)]
    return [*aliases, model(f"m{length}", "t")]


def test_depth_counts_nodes_and_aliases_above_a_target() -> None:
    assert verdict(PROVIDER, *chain(ROUTE_DEPTH_MAX)).errors == ()

    found = verdict(PROVIDER, *chain(ROUTE_DEPTH_MAX + 1))
    error = only(found.errors)
    assert error.code == "contract_too_deep"
    assert error.message == "the route is 9 nodes deep, aliases followed; it may be 8"
    assert found.refused == {"m0"}


def test_a_chain_that_goes_on_is_told_where_it_first_is_too_deep() -> None:
    found = verdict(PROVIDER, *chain(ROUTE_DEPTH_MAX + 30))

    assert len(found.errors) == 1
    assert found.refused == {f"m{index}" for index in range(30)}


def test_depth_inside_one_contract_is_bounded_at_the_deepest_leaf() -> None:
    nested = "t"
    for _ in range(ROUTE_DEPTH_MAX + 1):
        nested = f"{{cascade: [{nested}]}}"
    error = only(verdict(PROVIDER, model("a", nested)).errors)

    assert error.code == "contract_too_deep"
    assert error.place is not None
    assert error.place.path == "route" + ".cascade[0]" * (ROUTE_DEPTH_MAX + 1)


def test_aliases_cannot_multiply_past_the_bound_on_targets() -> None:
    wide = [
        model(f"w{index}", "{dispatcher: [" + ", ".join([f"{{alias: w{index + 1}}}"] * 60) + "]}", "")
        for index in range(3)
    ]
    found = verdict(PROVIDER, *wide, model("w3", "t"))
    error = only(found.errors)

    assert error.code == "contract_invalid"
    assert f"leads to 3,600 targets, aliases followed; it may be {ROUTE_TARGETS_MAX}" in error.message
    assert found.refused == {"w0", "w1"}


def test_a_target_that_no_route_reaches_is_a_warning() -> None:
    found = verdict(PROVIDER, model("a", "{cascade: [t]}", "t spare"))
    warning = only(found.warnings)

    assert found.errors == ()
    assert found.refused == frozenset()
    assert told(warning)[:2] == ("contract_unused", "the route never leads to the target `spare`")
    assert warning.place is not None
    assert warning.place.path == "targets[1].name"


def test_a_model_named_like_a_provider_is_a_warning() -> None:
    found = verdict(PROVIDER, model("p", "t"))

    assert found.errors == ()
    assert only(found.warnings).message == "a model and a provider are both called `p`"


def test_two_documents_of_one_kind_and_name_are_an_error_that_names_both_places() -> None:
    first = decode(model("a", "t").encode(), "one.yaml")
    second = decode(model("a", "{cascade: [t]}").encode(), "two.yaml")
    gathered = gather([*first, *second])
    error = only(gathered.errors)

    assert (error.code, error.message) == ("contract_duplicate", "two model documents are called `a`")
    assert str(error.place) == "two.yaml:2:7 (name)"
    assert error.hint == "the first stands at one.yaml:2:7; rename one of them"
    assert gathered.models["a"] == first[0]


@pytest.mark.parametrize("size", [2, 50])
def test_a_long_cycle_is_told_in_short(size: int) -> None:
    ring = [model(f"r{index:02}", f"{{alias: r{(index + 1) % size:02}}}", "") for index in range(size)]
    error = only(verdict(PROVIDER, *ring).errors)

    assert error.message.endswith("→ r00")
    assert len(error.message) < 200
