"""Tool documents, judged by the functions that there are."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from wardwright.contracts.check import gather
from wardwright.contracts.decode import decode
from wardwright.contracts.tool import Step
from wardwright.harness.core.judged import judged
from wardwright.harness.core.steps import arguments_of, arguments_type, require_expected
from wardwright.harness.core.tool import Tools, decoded, schema
from wardwright.harness.tools.built_in import BUILT_IN
from wardwright.kernel.errors import WardwrightError

TOOLS = Tools(BUILT_IN)
EXAMPLE = (Path(__file__).parents[4] / "examples/tools/deploy.yaml").read_text()


def errors(text: str) -> list[tuple[str, str, str | None, str | None]]:
    found = judged(gather(decode(text.encode(), "x.yaml")).tools, TOOLS)
    return [(error.code, error.message, error.place.path if error.place else None, error.hint) for error in found]


def function(rest: str = "", implements: str = "git.log", effect: str = "read") -> str:
    return f"kind: tool\nname: mine\neffect: {effect}\nimplements: {implements}\n{rest}"


def steps(*listed: str, effect: str = "read", rest: str = "") -> str:
    lines = "".join(f"  - {one}\n" for one in listed)
    return f"kind: tool\nname: mine\ndoc: So.\neffect: {effect}\nsteps:\n{lines}{rest}"


def test_the_example_is_right() -> None:
    assert errors(EXAMPLE) == []


@pytest.mark.parametrize(
    ("text", "code", "message", "path", "hint"),
    [
        (
            function(implements="git.lgo"),
            "contract_reference",
            "no function is named `git.lgo`",
            "implements",
            "git.log",
        ),
        (function(implements="file.write"), "contract_invalid", "cannot call it lighter", "effect", "graver"),
        (
            function("cache: {ttl_s: 5}\ninputs: [path]\n"),
            "contract_reference",
            "no argument `path`",
            "inputs",
            "paths",
        ),
        (
            function('scope: {read: ["{repo}"]}\n'),
            "contract_reference",
            "no argument `repo`",
            "scope.read",
            "repo_path",
        ),
        (function("degrade: git.lgo\n"), "contract_reference", "no tool is named `git.lgo`", "degrade", "git.log"),
        (function("degrade: git.diff\n"), "contract_reference", "does not take the same arguments", "degrade", None),
        (function("degrade: git.commit\n"), "contract_invalid", "graver than what it stands in for", "degrade", None),
        (steps("{tool: git.lgo}"), "contract_reference", "no tool is named `git.lgo`", "steps[0].tool", "git.log"),
        (
            steps("{tool: file.write, arguments: {path: /a, content: x}}"),
            "contract_invalid",
            "which is graver than the whole",
            "steps[0].tool",
            "write `effect: write-local`",
        ),
        (
            steps("{tool: git.log, arguments: {repositry: /a}}"),
            "contract_reference",
            "`git.log` has no argument `repositry`",
            "steps[0].arguments.repositry",
            "repo_path",
        ),
        (
            steps("{tool: git.log}"),
            "contract_invalid",
            "needs the argument `repo_path`",
            "steps[0]",
            "add `repo_path",
        ),
        (
            steps("{tool: git.log, arguments: {repo_path: /a, count_max: many}}"),
            "contract_invalid",
            "would be refused: expected `int`, got `str`",
            "steps[0].arguments.count_max",
            None,
        ),
        (
            steps("{tool: git.status, arguments: {repo_path: /a}, expect: {claen: true}}"),
            "contract_reference",
            "the result of `git.status` has no `claen`",
            "steps[0].expect.claen",
            "clean",
        ),
        (
            steps('{tool: git.status, arguments: {repo_path: /a}, expect: {clean: "yes"}}'),
            "contract_invalid",
            "would be refused: expected `bool`",
            "steps[0].expect.clean",
            None,
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, code: str, message: str, path: str, hint: str | None) -> None:
    found = errors(text)
    assert (code, path) in [(one[0], one[2]) for one in found]
    told = next(one for one in found if (one[0], one[2]) == (code, path))
    assert message in told[1]
    assert hint is None or hint in (told[3] or "")


def test_a_step_may_be_a_tool_of_steps() -> None:
    inner = steps('{tool: git.log, arguments: {repo_path: "{folder}"}}').replace("name: mine", "name: inner")
    inner += "parameters: [{name: folder, type: text, required: true}]\n"
    assert errors(inner + "---\n" + steps("{tool: inner, arguments: {folder: /a}}")) == []
    found = errors(inner + "---\n" + steps("{tool: inner, arguments: {folder: 3}}"))
    assert [one[2] for one in found] == ["steps[0].arguments.folder"]


def test_a_document_stands_in_the_place_of_the_built_in_tool_of_its_name() -> None:
    graver = function(effect="write-local", rest="reversal: T1\n").replace("name: mine", "name: git.log")
    found = errors(graver + "---\n" + steps("{tool: git.log, arguments: {repo_path: /a}}"))
    assert [(one[0], one[2]) for one in found] == [("contract_invalid", "steps[0].tool")]


def deploy() -> tuple[type[msgspec.Struct], tuple[Step, ...]]:
    (document,) = decode(EXAMPLE.encode(), "deploy.yaml")
    contract = gather([document]).tools["deploy"].value
    return arguments_type(contract), contract.steps


def test_the_parameters_of_steps_are_arguments_like_any_other() -> None:
    cls, _ = deploy()
    made = msgspec.to_builtins(decoded(cls, {"repo_path": "/srv/app", "service": "app"}))
    assert made == {"repo_path": "/srv/app", "service": "app", "branch": "main", "remote": "origin"}
    with pytest.raises(WardwrightError) as caught:
        decoded(cls, {"service": "app"})
    assert caught.value.message == "the argument `repo_path` is missing"
    assert caught.value.hint == "`repo_path`: The absolute path of the checkout."
    assert schema(cls)["required"] == ["repo_path"]
    assert schema(cls)["properties"]["branch"] == {
        "description": "The branch to pull.",
        "type": "string",
        "default": "main",
    }


def test_each_step_is_called_with_what_the_whole_was_called_with() -> None:
    cls, listed = deploy()
    made = decoded(cls, {"repo_path": "/srv/app", "service": "app", "branch": "topic"})
    calls = [(step.tool, arguments_of(step, made)) for step in listed]
    assert calls == [
        ("git.status", {"repo_path": "/srv/app"}),
        ("git.sync", {"branch": "topic", "how": "pull", "remote": "origin", "repo_path": "/srv/app"}),
        ("service.control", {"action": "restart", "unit": "app"}),
        ("service.status", {"unit": "app"}),
    ]
    for name, arguments in calls:
        decoded(TOOLS.get(name).arguments, arguments)


def test_what_an_argument_holds_is_not_read_as_a_template() -> None:
    cls, listed = deploy()
    made = decoded(cls, {"repo_path": "/srv/app", "service": "app", "branch": "{remote}"})
    assert arguments_of(listed[1], made)["branch"] == "{remote}"


def test_a_result_that_is_not_what_a_step_expects_stops_the_rest() -> None:
    _, listed = deploy()
    require_expected(listed[0], {"clean": True, "branch": "main"})
    for result in ({"clean": False}, {}, {"clean": 1}, {"clean": "true"}):
        with pytest.raises(WardwrightError) as caught:
            require_expected(listed[0], result)
        assert caught.value.code == "tool_failed"
        assert caught.value.hint == listed[0].why
