"""What a tool's document may say, and how it is told off."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.contracts.difference import diff
from wardwright.contracts.digest import canonical, digest, restored
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.tool import Cache, Parameter, Retry, Step, ToolContract, ToolScope, graver
from wardwright.contracts.tool_check import check_tools
from wardwright.kernel.errors import WardwrightError

EXAMPLE = Path(__file__).parents[3] / "examples/tools/deploy.yaml"

FUNCTION = "kind: tool\nname: git.status\neffect: read\nimplements: git.status\n"
STEPS = """
kind: tool
name: ship
doc: Ship it.
effect: write-remote
reversal: T3
parameters:
  - {name: folder, type: text, required: true}
  - {name: note, type: text}
  - {name: paths, type: texts, default: [a, b]}
steps:
  - {tool: git.commit, arguments: {repository: "{folder}", message: "{note}", paths: "{paths}"}, expect: {clean: true}}
  - {tool: git.sync, arguments: {repository: "{folder}/sub", how: push}}
"""


def tool(text: str) -> ToolContract:
    (document,) = decode(text.encode(), "x.yaml")
    assert isinstance(document.value, ToolContract)
    return document.value


def reason(text: str) -> WardwrightError:
    with pytest.raises(ContractErrors) as caught:
        decode(text.encode(), "x.yaml")
    assert len(caught.value.errors) == 1, [error.message for error in caught.value.errors]
    return caught.value.errors[0]


def test_a_tool_of_one_function_needs_its_effect_and_no_more() -> None:
    assert tool(FUNCTION) == ToolContract(name="git.status", effect="read", reversal="T0", implements="git.status")


def test_everything_that_a_function_s_contract_may_say() -> None:
    made = tool(
        FUNCTION
        + """
doc: What changed.
version: v1
timeout_s: 5
retry: {attempts_max: 3, wait_ms: 50}
breaker: {failure_ppm: 100000, calls_min: 4}
cache: {ttl_s: 60}
inputs: [path]
scope: {read: ["{repository}", /etc], hosts: ["{url}", "*.example.com:443"], programs: [git], environment: [LANG]}
output_bytes_max: 100000
degrade: git.log
"""
    )
    assert made.retry == Retry(attempts_max=3, wait_ms=50)
    assert made.cache == Cache(ttl_s=60)
    assert made.scope == ToolScope(
        read=("/etc", "{repository}"), hosts=("*.example.com:443", "{url}"), programs=("git",), environment=("LANG",)
    )
    assert (made.inputs, made.degrade, made.output_bytes_max) == (("path",), "git.log", 100_000)


def test_a_tool_of_steps() -> None:
    made = tool(STEPS)
    assert made.parameters[2] == Parameter(name="paths", type="texts", default=("a", "b"))
    assert made.steps[0] == Step(
        tool="git.commit",
        arguments=(("message", "{note}"), ("paths", "{paths}"), ("repository", "{folder}")),
        expect=(("clean", True),),
    )


def test_the_example_deploys() -> None:
    made = tool(EXAMPLE.read_text())
    assert [step.tool for step in made.steps] == ["git.status", "git.sync", "service.control", "service.status"]
    assert made.effect == "irreversible"


@pytest.mark.parametrize("text", [FUNCTION, STEPS, EXAMPLE.read_text()])
def test_the_canonical_form_decodes_to_the_same_value(text: str) -> None:
    made = tool(text)
    (again,) = decode(canonical(made), "x.json")
    assert again.value == made == restored(canonical(made))
    assert digest(made) == digest(again.value)


def test_a_default_that_is_spelled_out_leaves_the_digest_as_it_is() -> None:
    spelled = FUNCTION + "reversal: T0\ntimeout_s: 60\nretry: {wait_ms: 200}\nscope: {read: []}\n"
    assert digest(tool(spelled)) == digest(tool(FUNCTION))


def test_reads_are_tried_twice_and_everything_else_once_unless_the_contract_says() -> None:
    assert tool(FUNCTION).attempts_max == 2
    assert tool(STEPS).attempts_max == 1
    assert tool(STEPS + "retry: {attempts_max: 3}\n").attempts_max == 3


READING_STEPS = "kind: tool\nname: look\ndoc: Look.\neffect: read\nsteps: [{tool: git.status}]\n"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("kind: tool\nname: x\neffect: read\n", "a tool needs `implements` or `steps`", "add `implements: git.status`"),
        ("kind: tool\nname: x\nimplements: a\n", "a tool needs `effect`", "add `effect: …`: `irreversible`, `read`"),
        (FUNCTION.replace("read", "write-local"), "a tool needs `reversal`", "add `reversal: …`: `T0`, `T1`"),
        (FUNCTION.replace("read", "raed"), "`effect` is `irreversible`, `read`", "did you mean `read`?"),
        (FUNCTION + "reversal: T2\n", "means nothing to a tool that only reads", "remove it"),
        (FUNCTION + "timout_s: 1\n", "a tool has no member `timout_s`", "did you mean `timeout_s`?"),
        (FUNCTION + "parameters: [{name: a, type: text}]\n", "means nothing beside `implements`", "remove it"),
        (FUNCTION + "inputs: [path]\n", "`inputs` means nothing without `cache`", "add `cache: {ttl_s: 60}`"),
        (FUNCTION + "degrade: git.status\n", "is not its own way out", "name another one"),
        (FUNCTION + "scope: {read: [etc]}\n", "`etc` is not an absolute path without `..`", "write it from `/`"),
        (FUNCTION + "scope: {read: [/a/../b]}\n", "is not an absolute path without `..`", None),
        (FUNCTION + 'scope: {read: ["{a"]}\n', "the `{` at character 1 is not part of", "write `{{`"),
        (FUNCTION + "scope: {hosts: [example.com]}\n", "`example.com` is not a host and its port", "example.com:443"),
        (FUNCTION + 'scope: {hosts: ["*:443"]}\n', "is not a host and its port", None),
        (FUNCTION + 'scope: {hosts: ["a.*.b:443"]}\n', "is not a host and its port", None),
        (FUNCTION + 'scope: {programs: ["git status"]}\n', "is not a program", None),
        (FUNCTION + "scope: {programs: [bin/git]}\n", "is not a program", None),
        (FUNCTION + 'scope: {programs: ["{a}"]}\n', "is not a program", None),
        (FUNCTION + "scope: {environment: [A=B]}\n", "`A=B` is not the name of a variable", None),
        (FUNCTION + "format: 2\n", "format 2 of tools is unknown", "leave `format` out"),
        (STEPS + "implements: git.sync\n", "a tool is a function or steps, not both", None),
        (STEPS + "scope: {read: [/etc]}\n", "each step has the scope of its own tool", "remove it"),
        (STEPS.replace("doc: Ship it.\n", ""), "a tool of steps needs `doc`", None),
        (STEPS.replace("{folder}/sub", "{foldr}/sub"), "has no parameter `foldr`", "did you mean `folder`?"),
        (STEPS.replace("{folder}/sub", "{note}/sub"), "`{note}` may be left out", "let `note` be `required`"),
        (STEPS.replace("{folder}/sub", "{paths}/sub"), "is a list of texts", None),
        (STEPS.replace('message: "{note}", ', ""), "no step uses the parameter `note`", "write `{note}`"),
        (STEPS.replace("tool: git.sync", "tool: ship"), "`ship` is a step of itself", None),
        (STEPS.replace("type: text, required: true", "type: text, required: true, default: x"), "never be used", None),
        (STEPS.replace("[a, b]", "3"), "the `default` of `paths` is not `type: texts`", None),
        (STEPS.replace("expect: {clean: true}", "expect: {clean: 0.5}"), "`clean` is text, a whole number", None),
        (STEPS.replace("how: push", 'how: "{"'), "the `{` at character 1", None),
        (STEPS.replace("name: note", "name: folder"), "two parameters have the name `folder`", None),
        (STEPS + "cache: {ttl_s: 5}\n", "it would not have acted", "remove `cache`"),
        (READING_STEPS + "cache: {ttl_s: 5}\n", "`cache` means nothing beside `steps`", "remove it"),
        (
            STEPS.replace("write-remote", "irreversible") + "retry: {attempts_max: 2}\n",
            "what cannot be taken back is not tried twice",
            "remove it",
        ),
        (STEPS.replace("write-remote", "irreversible").replace("T3", "T1"), "not taken back as `T1` says", "T4"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str, hint: str | None) -> None:
    error = reason(text)
    assert message in error.message
    assert hint is None or (error.hint is not None and hint in error.hint)
    assert error.place is not None
    assert error.place.line is not None


def test_a_misspelled_argument_is_told_where_it_stands() -> None:
    error = reason(STEPS.replace("{folder}/sub", "{foldr}/sub"))
    assert error.place is not None
    assert (error.place.path, error.place.line) == ("steps[1].arguments.repository", 13)


def test_an_unknown_kind_that_resembles_tool_is_told_so() -> None:
    assert reason("kind: tol\nname: x\n").hint == "did you mean `tool`?"


def test_two_tools_of_one_name_are_refused() -> None:
    gathered = gather(decode(f"{FUNCTION}---\n{FUNCTION}".encode(), "x.yaml"))
    assert list(gathered.tools) == ["git.status"]
    assert [error.code for error in gathered.errors] == ["contract_duplicate"]


def of(name: str, *steps: str, degrade: str | None = None) -> str:
    out = f"degrade: {degrade}\n" if degrade else ""
    listed = ", ".join(f"{{tool: {step}}}" for step in steps)
    return f"kind: tool\nname: {name}\ndoc: So.\neffect: read\nsteps: [{listed}]\n{out}"


def ring(*texts: str) -> list[tuple[str, str, str | None]]:
    gathered = gather(decode("---\n".join(texts).encode(), "x.yaml"))
    errors = check_tools(gathered.tools)
    return [(error.code, error.message, error.place.path if error.place else None) for error in errors]


def test_steps_that_lead_back_are_told_once() -> None:
    assert ring(of("a", "b"), of("b", "git.log", "c"), of("c", "a")) == [
        ("contract_cycle", "the tool leads back to itself: a → b → c → a", "steps[0].tool")
    ]


def test_a_way_out_that_leads_back_is_a_ring_too() -> None:
    assert ring(of("a", "git.log", degrade="b"), of("b", "a")) == [
        ("contract_cycle", "the tool leads back to itself: a → b → a", "steps[0].tool")
    ]


def test_steps_that_meet_again_are_no_ring() -> None:
    assert ring(of("a", "b", "c"), of("b", "d"), of("c", "d"), of("d", "git.log")) == []


def test_a_long_chain_of_steps_is_walked_without_recursion() -> None:
    assert ring(*(of(f"t{number}", f"t{number + 1}") for number in range(2000))) == []


@pytest.mark.parametrize(
    ("old", "new", "path", "sentence"),
    [
        ("T3", "T4", "reversal", "`reversal` went from `T3` to `T4`."),
        ("how: push", "how: pull", "steps[1].arguments.how", "`how` of `arguments` of step 2, `git.sync` went from"),
        ("clean: true", "clean: false", "steps[0].expect.clean", "went from on to off."),
        ("tool: git.sync", "tool: http.send", "steps", "The steps were git.commit, git.sync and are now git.commit, "),
        ("[a, b]", "[a]", "parameters[paths].default", "lost `b`."),
        ("doc: Ship it.", "doc: Ship it.\nretry: {attempts_max: 2}", "retry.attempts_max", "is now 2; it was not set."),
        ("doc: Ship it.", "doc: Ship it.\ndegrade: git.log", "degrade", "is now `git.log`; it was not set."),
    ],
)
def test_a_change_is_told_in_a_sentence(old: str, new: str, path: str, sentence: str) -> None:
    assert old in STEPS
    (change,) = diff(tool(STEPS), tool(STEPS.replace(old, new)))
    assert change.path == path
    assert sentence in change.sentence


def test_a_scope_that_grew_is_told_entry_by_entry() -> None:
    old, new = FUNCTION + "scope: {read: [/etc]}\n", FUNCTION + "scope: {read: [/etc, /srv]}\ncache: {ttl_s: 5}\n"
    assert [(change.path, change.sentence) for change in diff(tool(old), tool(new))] == [
        ("cache.ttl_s", "`ttl_s` of `cache` is now 5; it was not set."),
        ("scope.read", "`read` of `scope` gained `/srv`."),
    ]


def test_the_graver_of_two_effects() -> None:
    assert graver("read", "irreversible") == "irreversible"
    assert graver("write-remote", "write-local") == "write-remote"
