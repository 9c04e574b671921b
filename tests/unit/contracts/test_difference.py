"""What changed, in data and in words."""

from __future__ import annotations

import pytest

from wardwright.contracts.decode import decode
from wardwright.contracts.difference import diff
from wardwright.contracts.digest import Contract

MODEL = """
kind: model
name: m
targets:
  - {name: a, provider: p, model: x, context_window: 8K, price: {input: 1, output: 2}}
  - {name: b, provider: q, model: y, context_window: 16K}
  - {name: c, provider: q, model: z, context_window: 16K}
route: {cascade: [a, {alloy: [{target: b, weight: 3}, c]}]}
transforms: {preamble: be brief, variants: [{name: v, preamble: one}]}
"""

PROVIDER = """
kind: provider
name: p
base_url: http://h/v1
headers: {x-a: "1"}
"""


def contract(text: str) -> Contract:
    return decode(text.encode(), "x.yaml")[0].value


def changes(old: str, new: str, text: str = MODEL) -> list[tuple[str, str, str]]:
    assert old in text
    found = diff(contract(text), contract(text.replace(old, new)))
    return [(change.kind, change.path, change.sentence) for change in found]


def test_equal_contracts_have_no_differences() -> None:
    assert diff(contract(MODEL), contract(MODEL)) == ()


@pytest.mark.parametrize(
    ("old", "new", "kind", "path", "sentence"),
    [
        (
            "input: 1",
            "input: 1.5",
            "changed",
            "targets[a].price.input",
            "The input price of the target `a` went from $1 per million tokens to $1.5 per million tokens.",
        ),
        (
            "output: 2",
            "output: 2, reasoning: 3",
            "added",
            "targets[a].price.reasoning",
            "The reasoning price of the target `a` went from unset to $3 per million tokens.",
        ),
        (
            ", price: {input: 1, output: 2}",
            "",
            "removed",
            "targets[a].price",
            "The price of the target `a` was removed.",
        ),
        (
            "context_window: 8K",
            "context_window: 9K",
            "changed",
            "targets[a].context_window",
            "`context_window` of the target `a` went from 8,192 to 9,216.",
        ),
        (
            "model: y,",
            "model: y, labels: [local],",
            "added",
            "targets[b].labels",
            "`labels` of the target `b` gained `local`.",
        ),
        (
            "model: y,",
            "model: y, output_max: 1K,",
            "added",
            "targets[b].output_max",
            "`output_max` of the target `b` is now 1,024; it was not set.",
        ),
        (
            "weight: 3",
            "weight: 5",
            "changed",
            "route.members[1].members[0].weight",
            "The weight of b in the alloy at `route.members[1]` went from 3 to 5.",
        ),
        (
            "cascade: [a, {alloy: [{target: b, weight: 3}, c]}]",
            "cascade: [{alloy: [{target: b, weight: 3}, c]}, a]",
            "changed",
            "route.members",
            "The order of the cascade at `route` was a, alloy(b ×3, c ×1) and is now alloy(b ×3, c ×1), a.",
        ),
        (
            "{cascade: [a, {alloy: [{target: b, weight: 3}, c]}]}",
            "{dispatcher: [a, b, c]}",
            "changed",
            "route",
            "The route was cascade(a, alloy(b ×3, c ×1)) and is now dispatcher(a, b, c).",
        ),
        (
            "be brief",
            "be kind",
            "changed",
            "transforms.preamble",
            "The preamble went from `be brief` to `be kind`.",
        ),
        (
            "be brief",
            "be " + "very " * 20 + "brief",
            "changed",
            "transforms.preamble",
            "The preamble was rewritten: 8 characters before, 108 now.",
        ),
        (
            "{name: v, preamble: one}",
            "{name: v, preamble: one, weight: 2}",
            "changed",
            "transforms.variants[v].weight",
            "`weight` of the variant `v` went from 1 to 2.",
        ),
        (
            "{name: v, preamble: one}",
            "{name: v, preamble: one}, {name: w, weight: 4}",
            "added",
            "transforms.variants[w]",
            "The variant `w` was added with weight 4.",
        ),
        ("name: m", "name: m\ndeadline_s: 30", "changed", "deadline_s", "`deadline_s` went from 600 to 30."),
        ("name: m", "name: m\nversion: v2", "added", "version", "`version` is now `v2`; it was not set."),
        (
            "name: m",
            "name: m\nexpose_selected_model: true",
            "changed",
            "expose_selected_model",
            "`expose_selected_model` went from off to on.",
        ),
        ("name: m", "name: m\nrestrict: [local]", "added", "restrict", "`restrict` gained `local`."),
    ],
)
def test_a_change_is_told_in_one_sentence(old: str, new: str, kind: str, path: str, sentence: str) -> None:
    assert changes(old, new) == [(kind, path, sentence)]


def test_targets_that_come_and_go_are_told_by_name() -> None:
    text = MODEL.replace("c]}", "a]}")
    found = changes("{name: c, provider: q, model: z, context", "{name: d, provider: q, model: z, context", text)

    assert found == [
        ("removed", "targets[c]", "The target `c` (q/z) was removed."),
        ("added", "targets[d]", "The target `d` (q/z, 16,384 tokens) was added."),
    ]


def test_members_that_come_and_go_are_told_one_by_one() -> None:
    found = changes("[a, {alloy: [{target: b, weight: 3}, c]}]", "[c, a, b]")

    assert found == [
        ("removed", "route.members", "The cascade at `route` lost `alloy(b ×3, c ×1)`."),
        ("added", "route.members", "The cascade at `route` gained `c`."),
        ("added", "route.members", "The cascade at `route` gained `b`."),
    ]


def test_guards_are_compared_member_by_member() -> None:
    text = MODEL.replace(
        "{cascade: [a, {alloy: [{target: b, weight: 3}, c]}]}",
        "{guard: {when: {region: [eu]}, then: a, otherwise: b, why: law}}",
    )

    assert changes("region: [eu]", "region: [eu, us]", text) == [
        (
            "changed",
            "route.when",
            "The condition of the guard at `route` went from `region eu` to `region eu or us`.",
        )
    ]
    assert changes("then: a", "then: c", text) == [
        ("changed", "route.then", "`then` of the guard at `route` was a and is now c.")
    ]
    assert changes(", otherwise: b", "", text) == [
        (
            "removed",
            "route.otherwise",
            "The guard at `route` went on to b where its condition did not hold; it now refuses.",
        )
    ]


def test_providers_are_compared_too() -> None:
    assert changes("http://h/v1", "http://h/v2", PROVIDER) == [
        (
            "changed",
            "base_url",
            "`base_url` of the provider `p` went from `http://h/v1` to `http://h/v2`.",
        )
    ]
    (change,) = diff(contract(PROVIDER), contract(PROVIDER + "timeouts: {connect_s: 9}\n"))
    assert (change.path, change.old, change.new) == ("timeouts.connect_s", "5", "9")


def test_moving_targets_in_the_file_is_a_change_of_order_alone() -> None:
    lines = MODEL.splitlines()
    lines[5], lines[6] = lines[6], lines[5]
    (change,) = diff(contract(MODEL), contract("\n".join(lines)))

    assert change.sentence == "The order of the targets was a, b, c and is now a, c, b."
