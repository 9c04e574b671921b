"""What documents may say, and how they are told off."""

from __future__ import annotations

import pytest

from wardwright.contracts.decode import decode
from wardwright.contracts.digest import canonical
from wardwright.contracts.model import (
    TARGETS_MAX,
    Alias,
    Alloy,
    Cascade,
    Dispatcher,
    Guard,
    Member,
    ModelContract,
    Node,
    TargetRef,
    When,
)
from wardwright.contracts.provider import Provider
from wardwright.contracts.refusal import REASONS_MAX, ContractErrors
from wardwright.kernel.errors import Place, WardwrightError

TARGETS = """
targets:
  - {name: a, provider: p, model: m-a, context_window: 8K}
  - {name: b, provider: p, model: m-b, context_window: 16K}
"""
HEAD = "kind: model\nname: m" + TARGETS


def model(text: str, file: str = "x.yaml") -> ModelContract:
    (document,) = decode(text.encode(), file)
    assert isinstance(document.value, ModelContract)
    return document.value


def provider(text: str) -> Provider:
    (document,) = decode(f"kind: provider\nname: p\n{text}".encode(), "p.yaml")
    assert isinstance(document.value, Provider)
    return document.value


def reasons(text: str, file: str = "x.yaml") -> tuple[WardwrightError, ...]:
    with pytest.raises(ContractErrors) as caught:
        decode(text.encode(), file)
    return caught.value.errors


def reason(text: str, file: str = "x.yaml") -> WardwrightError:
    errors = reasons(text, file)
    assert len(errors) == 1, [error.message for error in errors]
    return errors[0]


def route(text: str) -> Node:
    return model(f"{HEAD}route: {text}\n").route


A, B = TargetRef(target="a"), TargetRef(target="b")


# Routes as authors write them


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("{target: a}", A),
        ("{alias: other}", Alias(model="other")),
        ("{cascade: [a, b]}", Cascade(members=(A, B))),
        ("{cascade: {members: [a, b]}}", Cascade(members=(A, B))),
        ("{dispatcher: [a, {cascade: [b]}]}", Dispatcher(members=(A, Cascade(members=(B,))))),
        ("{alloy: [a, b]}", Alloy(members=(Member(node=A), Member(node=B)))),
        (
            "{alloy: {members: [{node: a, weight: 2}, {target: b, weight: 3}, {alias: c}, {node: {cascade: [a]}}]}}",
            Alloy(
                members=(
                    Member(node=A, weight=2),
                    Member(node=B, weight=3),
                    Member(node=Alias(model="c")),
                    Member(node=Cascade(members=(A,))),
                )
            ),
        ),
        (
            "{alloy: {members: [a, b], strategy: sequence, sequence: [0, 0, 1], per: turn}}",
            Alloy(members=(Member(node=A), Member(node=B)), strategy="sequence", sequence=(0, 0, 1), per="turn"),
        ),
        (
            "{guard: {when: {tags: [x], input_tokens_min: 4K}, then: a, otherwise: b, why: because}}",
            Guard(when=When(tags=("x",), input_tokens_min=4096), then=A, otherwise=B, why="because"),
        ),
        ("{guard: {when: {tags: [x]}, then: a, otherwise: null}}", Guard(when=When(tags=("x",)), then=A)),
        ("{node: cascade, members: [{node: target, target: a}]}", Cascade(members=(A,))),
        ("{node: alias, model: other}", Alias(model="other")),
    ],
)
def test_a_node_is_read_in_each_of_its_spellings(text: str, expected: Node) -> None:
    assert route(text) == expected


def test_a_contract_without_a_route_dispatches_over_its_targets() -> None:
    assert model(HEAD).route == Dispatcher(members=(A, B))


def test_a_contract_that_only_leads_elsewhere_needs_no_targets() -> None:
    assert model("kind: model\nname: m\nroute: {alias: other}\n").targets == ()


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        ("{cascde: [a]}", "contract_unknown_key", "`cascde` is no kind of node", "did you mean `cascade`?"),
        ("{cascade: [a], alloy: [a, b]}", "contract_invalid", "this is both `cascade` and `alloy`", "inside the other"),
        ("{alloy: [a, b], strategy: weighted}", "contract_unknown_key", "beside `alloy`", "move it into `alloy`"),
        ("{}", "contract_invalid", "an empty mapping", None),
        ("[a, b]", "contract_invalid", "here stands a list", None),
        ("3", "contract_invalid", "here stands `3`", None),
        ("{cascade: []}", "contract_invalid", "a cascade needs at least one member", None),
        ("{dispatcher: {members: []}}", "contract_invalid", "a dispatcher needs at least one member", None),
        ("{alloy: [a]}", "contract_invalid", "an alloy needs at least 2 members; this has 1", "in place of the alloy"),
        ("{alloy: [{node: a, weight: 0}, b]}", "contract_invalid", "from 1 to 1,000,000", None),
        ("{alloy: {members: [a, b], sequence: [0]}}", "contract_invalid", "means nothing", "strategy: sequence"),
        ("{alloy: {members: [a, b], strategy: sequence}}", "contract_invalid", "needs a `sequence`", "[0, 1]"),
        (
            "{alloy: {members: [a, b], strategy: sequence, sequence: [0, 2]}}",
            "contract_invalid",
            "there is no member 2; members are counted from 0 to 1",
            None,
        ),
        (
            "{alloy: {members: [{node: a, weight: 2}, b], strategy: round_robin}}",
            "contract_invalid",
            "weights mean nothing under `strategy: round_robin`",
            "weighted",
        ),
        (
            "{alloy: {members: [a, b], partial_context: true, min_context_window: 8K}}",
            "contract_invalid",
            "`partial_context` has none",
            "remove one",
        ),
        ("{guard: {when: {}, then: a}}", "contract_invalid", "always holds", None),
        ("{guard: {when: {tag: [x]}, then: a}}", "contract_unknown_key", "no member `tag`", "did you mean `tags`?"),
        (
            "{guard: {when: {input_tokens_min: 9, input_tokens_max: 8}, then: a}}",
            "contract_invalid",
            "nothing lies between",
            None,
        ),
        ("{alias: Other}", "contract_invalid", "`Other` is not a name", "`other`"),
    ],
)
def test_a_wrong_node_is_refused_in_words(text: str, code: str, message: str, hint: str | None) -> None:
    error = reason(f"{HEAD}route: {text}\n")

    assert error.code == code
    assert message in error.message
    assert hint is None or (error.hint is not None and hint in error.hint)


def test_errors_inside_a_route_have_the_path_the_author_wrote() -> None:
    error = reason(f"{HEAD}route:\n  cascade:\n    - a\n    - alloy:\n        members: [a, {{node: b, weight: x}}]\n")

    assert error.place == Place(file="x.yaml", line=10, column=40, path="route.cascade[1].alloy.members[1].weight")


def test_places_are_kept_by_the_path_in_the_typed_value() -> None:
    text = f"{HEAD}route:\n  cascade:\n    - a\n    - alloy: [a, {{target: b, weight: 2}}]\n"
    (document,) = decode(text.encode(), "x.yaml")

    assert document.place("route").path == "route"
    assert document.place("route.members[0]") == Place(file="x.yaml", line=8, column=7, path="route.cascade[0]")
    voice = document.place("route.members[1].members[1].node")
    assert (voice.line, voice.path) == (9, "route.cascade[1].alloy[1].target")


def test_a_place_that_nobody_wrote_is_that_of_what_holds_it() -> None:
    (document,) = decode(HEAD.encode(), "x.yaml")

    assert document.place("targets[0].price.input") == document.place("targets[0]")
    assert document.place("route") == document.place()


# Members


def test_windows_may_be_written_in_binary_thousands() -> None:
    targets = model(HEAD.replace("16K", "2M")).targets

    assert [target.context_window for target in targets] == [8 * 1024, 2 * 1024 * 1024]


@pytest.mark.parametrize("spelling", ["0.25", "00.250", ".25", "25e-2", "2.5E-1", "'0.25'", "+0.25"])
def test_a_decimal_has_one_canonical_spelling(spelling: str) -> None:
    text = HEAD.replace("16K}", f"16K, price: {{input: {spelling}, output: 1}}}}")
    price = model(text).targets[1].price

    assert price is not None
    assert (price.input, price.output) == ("0.25", "1")


@pytest.mark.parametrize("spelling", ["-1", "1e999", ".inf", "'0.25 USD'", "''", "true", "[1]", "0.0000001", "1" * 20])
def test_a_decimal_out_of_bounds_is_refused(spelling: str) -> None:
    error = reason(HEAD.replace("16K}", f"16K, price: {{input: {spelling}, output: 1}}}}"))

    assert "`input` is a number from 0" in error.message


def test_lists_whose_order_means_nothing_are_kept_sorted() -> None:
    target = model(HEAD.replace("16K}", "16K, capabilities: [vision, tools], labels: [z, a]}")).targets[1]

    assert target.capabilities == ("tools", "vision")
    assert target.labels == ("a", "z")


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("name: m\n", "name: M/x\n", "name", "`M/x` is not a name"),
        ("name: m\n", "name: 7\n", "name", "`name` is text; here stands `7`"),
        ("name: m\n", "name: " + "x" * 97 + "\n", "name", "at most 96 characters"),
        ("name: m\n", "name: m\nactivate: on\n", "activate", "`auto` or `manual`"),
        ("name: m\n", "name: m\ndeadline_s: 0\n", "deadline_s", "a whole number from 1; here stands `0`"),
        ("name: m\n", "name: m\ndeadline_s: 1.5\n", "deadline_s", "a whole number from 1; here stands `1.5`"),
        ("name: m\n", "name: m\nformat: 2\n", "format", "format 2 of model contracts is unknown"),
        ("name: m\n", "name: m\nexpose_selected_model: 1\n", "expose_selected_model", "`true` or `false`"),
        ("name: m\n", "name: m\nrestrict: local\n", "restrict", "`restrict` is a list; here stands the text `local`"),
        ("name: m\n", "name: m\nrestrict: ['a b']\n", "restrict", "`a b` is not a pattern"),
        ("name: m\n", "name: m\nrestrict: [x, x]\n", "restrict[1]", "`x` stands twice"),
        ("name: m\n", "name: m\ntransforms: text\n", "transforms", "a mapping of its members"),
        ("name: b", "name: a", "targets[1].name", "two targets have the name `a`: the first is on line 4"),
        ("16K", "0", "targets[1].context_window", "tokens from 1, such as 131072 or `128K`; here stands `0`"),
        ("16K", "16k", "targets[1].context_window", "here stands the text `16k`"),
        ("16K", "1e5", "targets[1].context_window", "here stands `1e5`"),
        ("16K", "9007199254740993", "targets[1].context_window", "a whole number"),
        ("16K", "16K, output_max: 17K", "targets[1].output_max", "is larger than `context_window`"),
        ("16K", "16K, capacity_fraction: 0", "targets[1].capacity_fraction", "above 0 and at most 1"),
        ("16K", "16K, capacity_fraction: 1.01", "targets[1].capacity_fraction", "above 0 and at most 1"),
        ("16K", "16K, tokens: {margin: 0.9}", "targets[1].tokens.margin", "at least 1"),
        ("16K", "16K, tokens: {tokenizer: /etc/t.json}", "targets[1].tokens.tokenizer", "beside the contract"),
        ("16K", "16K, tokens: {tokenizer: ../t.json}", "targets[1].tokens.tokenizer", "beside the contract"),
        ("16K", "16K, capabilities: [tool]", "targets[1].capabilities[0]", "here stands the text `tool`"),
        ("16K", "16K, price: {input: 1}", "targets[1].price", "a price needs `output`"),
        ("m-b", "''", "targets[1].model", "what the provider calls it"),
        ("provider: p, model: m-b", "model: m-b", "targets[1]", "a target needs `provider`"),
    ],
)
def test_a_wrong_member_is_refused_at_its_place(old: str, new: str, path: str, message: str) -> None:
    assert old in HEAD
    error = reason(HEAD.replace(old, new))

    assert message in error.message
    assert error.place is not None
    assert error.place.path == path
    assert error.place.line is not None


def test_all_that_is_wrong_with_a_file_is_told_at_once_in_its_order() -> None:
    text = "kind: model\nname: M\ntargts: []\ntargets:\n  - {name: a, provider: p, model: 1, context_windw: 8K}\n"
    errors = reasons(text + "deadline_s: no\n---\nkind: provider\nname: p\nbase_ur: x\n")

    told = [(error.code, error.place and error.place.line) for error in errors]
    assert told == [
        ("contract_invalid", 2),
        ("contract_unknown_key", 3),
        ("contract_invalid", 5),
        ("contract_unknown_key", 5),
        ("contract_invalid", 6),
        ("contract_unknown_key", 10),
    ]


def test_caught_as_one_error_a_refusal_speaks_for_its_first_reason() -> None:
    with pytest.raises(WardwrightError) as caught:
        decode(f"kind: model\nname: M\nx: 1\n{TARGETS}y: 1\n".encode(), "x.yaml")

    assert caught.value.message == "`M` is not a name (and 2 more)"
    assert str(caught.value.place) == "x.yaml:2:7 (name)"


def test_the_number_of_reasons_is_bounded() -> None:
    text = "kind: model\nname: m\n" + "".join(f"key-{n}: 1\n" for n in range(REASONS_MAX * 3))

    assert len(reasons(text)) == REASONS_MAX


def test_targets_are_bounded() -> None:
    target = "  - {{name: t{}, provider: p, model: x, context_window: 1}}\n"
    text = "kind: model\nname: m\ntargets:\n" + "".join(target.format(n) for n in range(TARGETS_MAX + 1))

    assert f"at most {TARGETS_MAX}" in reason(text).message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("name: m", "a document says its `kind` first", "`model`, `policy`, `provider` or `tool`"),
        (
            "kind: modle",
            "`kind` is `house`, `model`, `policy`, `provider` or `tool`; here stands the text `modle`",
            "did you mean `model`?",
        ),
        ("kind: [model]", "here stands a list", None),
    ],
)
def test_an_unknown_kind_is_refused(text: str, message: str, hint: str | None) -> None:
    error = reason(text)

    assert error.code == "contract_unknown_kind"
    assert message in error.message
    assert hint is None or (error.hint is not None and hint in error.hint)


def test_a_file_without_a_document_is_refused() -> None:
    error = reason("# nothing yet\n")

    assert (error.code, error.message) == ("contract_syntax", "the file holds no document")


# Credentials


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234",
        "Bearer abcdefghijklmnop1234",
        "ghp_" + "a1" * 18,
        "https://user:hunter2@host/v1",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_credential_is_refused_wherever_it_stands(secret: str) -> None:
    for text in (
        f"{HEAD}description: 'use {secret} now'\n",
        f"{HEAD}transforms: {{variants: [{{name: v, preamble: '{secret}'}}]}}\n",
        f"{HEAD}route: {{guard: {{when: {{tags: ['{secret}']}}, then: a}}}}\n",
    ):
        error = reason(text)
        assert error.code == "contract_secret"
        assert secret not in f"{error.message}{error.hint}{error.place}"


def test_a_credential_in_the_place_of_a_key_is_not_repeated() -> None:
    secret = "sk-abcdefghijklmnop1234"
    errors = reasons(f"{HEAD}{secret}: 1\n")

    assert {error.code for error in errors} == {"contract_secret"}
    assert all(secret not in f"{error.message}{error.hint}{error.place}" for error in errors)


@pytest.mark.parametrize("value", ["hunter2", "env:", "env:1X", "file:", "$OPENAI_API_KEY"])
def test_a_credential_is_named_and_never_written(value: str) -> None:
    error = reason(f"kind: provider\nname: p\nbase_url: http://h/v1\ncredential: '{value}'\n")

    assert error.code == "contract_secret"
    assert value not in error.message
    assert error.hint is not None
    assert "`env:NAME`" in error.hint


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "Cookie", "X-Auth-Token"])
def test_headers_that_carry_credentials_name_where_they_lie(header: str) -> None:
    start = f"base_url: http://h/v1\nheaders: {{{header}: "

    assert provider(f"{start}env:KEY}}").headers == ((header.lower(), "env:KEY"),)
    assert reason(f"kind: provider\nname: p\n{start}plain}}").code == "contract_secret"


# Providers


def test_headers_are_kept_in_lower_case_and_sorted() -> None:
    text = "base_url: http://h/v1\nheaders: {X-B: '2', anthropic-version: '2023-06-01'}\n"

    assert provider(text).headers == (("anthropic-version", "2023-06-01"), ("x-b", "2"))


def test_a_trailing_slash_of_the_base_url_is_no_difference() -> None:
    assert provider("base_url: https://h:8443/v1/\n").base_url == "https://h:8443/v1"


@pytest.mark.parametrize(
    ("text", "code", "path", "message"),
    [
        ("", "contract_invalid", None, "needs a `base_url`"),
        ("base_url: h/v1", "contract_invalid", "base_url", "is an address"),
        ("base_url: ftp://h", "contract_invalid", "base_url", "is an address"),
        ("base_url: 'http://h:99999'", "contract_invalid", "base_url", "is an address"),
        ("base_url: 'http://h h'", "contract_invalid", "base_url", "is an address"),
        ("base_url: 'http://h/v1?x=1'", "contract_invalid", "base_url", "no `?` and no `#`"),
        ("base_url: http://user@h/v1", "contract_secret", "base_url", "user name or password"),
        ("base_url: http://h\nproxy: http://x:1", "contract_invalid", "proxy", "means nothing to `transport: native`"),
        ("base_url: http://h\nscripts: [{model: m}]", "contract_invalid", "scripts", "means nothing"),
        ("transport: scripted\nbase_url: http://h", "contract_invalid", "base_url", "means nothing"),
        ("transport: replay", "contract_invalid", None, "needs `recordings`"),
        ("base_url: http://h\nheaders: {Host: x}", "contract_invalid", "headers.Host", "written by the transport"),
        ("base_url: http://h\nheaders: {'a b': x}", "contract_invalid", "headers.a b", "not the name of a header"),
        ('base_url: http://h\nheaders: {a: "x\\ny"}', "contract_invalid", "headers.a", "printable ASCII"),
        ("base_url: http://h\nheaders: {A: x, a: y}", "contract_invalid", "headers.a", "ignore case"),
        ("base_url: http://h\nheaders: [x]", "contract_invalid", "headers", "maps names to values"),
        ("base_url: http://h\ntimeouts: {connect_s: 0}", "contract_invalid", "timeouts.connect_s", "from 1"),
        ("base_url: http://h\ntimeouts: {total_s: 60}", "contract_invalid", "timeouts", "can never pass"),
        ("base_url: http://h\nbreaker: {failure_ppm: 2000000}", "contract_invalid", "breaker.failure_ppm", "1,000,000"),
        ("base_url: http://h\ndialect: opnai", "contract_invalid", "dialect", "`anthropic` or `openai`"),
        (
            "transport: scripted\nscripts: [{model: m}, {model: m}]",
            "contract_invalid",
            "scripts[1].model",
            "two scripts have the model `m`",
        ),
        (
            "transport: scripted\nscripts: [{model: m, steps: [{text: ab, chunks: [a, c]}]}]",
            "contract_invalid",
            "scripts[0].steps[0].chunks",
            "`chunks` joined are not `text`",
        ),
        (
            "transport: scripted\nscripts: [{model: m, steps: [{break_after_chunks: 1, stall_after_chunks: 1}]}]",
            "contract_invalid",
            "scripts[0].steps[0].stall_after_chunks",
            "either breaks or stalls",
        ),
    ],
)
def test_a_wrong_provider_is_refused_at_its_place(text: str, code: str, path: str | None, message: str) -> None:
    errors = reasons(f"kind: provider\nname: p\n{text}\n", "p.yaml")
    error = errors[0]

    assert error.code == code
    assert message in error.message
    assert error.place is not None
    assert error.place.path == path


# Other syntaxes


def test_toml_mistakes_carry_line_column_and_path() -> None:
    text = 'kind = "model"\nname = "m"\n\n[[targets]]\nname = "a"\nprovider = "p"\nmodel = "m"\ncontext_window = -1\n'
    error = reason(text, "x.toml")

    assert error.place == Place(file="x.toml", line=8, column=18, path="targets[0].context_window")


def test_the_canonical_form_decodes_to_the_same_value() -> None:
    value = model(
        f"{HEAD}route:\n  guard:\n    when: {{tags: [x], cost_usd_max: 0.5}}\n    then: {{alias: c}}\n"
        "    otherwise: {alloy: [a, {cascade: [a, b]}, {dispatcher: [b]}]}\n"
    )

    assert model(canonical(value).decode(), "x.json") == value
