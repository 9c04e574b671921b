"""`wardwright policy check|explain|test`: what rules in contract files say, do, and were written to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import click
import msgspec

from wardwright.calls.governance import govern
from wardwright.calls.phases import PHASES
from wardwright.calls.tool_phases import TOOL_PHASES
from wardwright.cli.coat import Told, told
from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted
from wardwright.cli.junit import report
from wardwright.cli.options import json_option, paths_argument
from wardwright.cli.output import Output, columns
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import digest
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.refusal import ContractErrors, did_you_mean, in_order
from wardwright.kernel.errors import WardwrightError
from wardwright.policy import examples
from wardwright.policy import graph as drawing
from wardwright.policy.budget_words import BudgetWords, budgets_explained
from wardwright.policy.check import Finding
from wardwright.policy.check import check as findings_of
from wardwright.policy.compiled import Policy
from wardwright.policy.compiler import compile_policies
from wardwright.policy.examples import Case
from wardwright.policy.explain import RuleWords, explained
from wardwright.runtime import library
from wardwright.runtime.library import Library


class CheckedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy that may govern."""

    name: str
    version: str
    """The digest that its file would propose."""
    rules: int
    file: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the files say."""

    policies: tuple[CheckedPolicy, ...]
    errors: tuple[Told, ...]
    findings: tuple[Finding, ...]


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What policies do."""

    budgets: tuple[BudgetWords, ...]
    rules: tuple[RuleWords, ...]


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """How the examples of one rule came out."""

    rule: str
    """`policy/rule`."""
    cases: tuple[Case, ...]
    near_misses: int
    """Cases made from those that fire, by failing one comparison each."""
    near_misses_silent: int
    """Those that the rule is silent on; on the others that comparison does not decide."""

    @property
    def failed(self) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if not case.passed)


@click.command()
@paths_argument
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@json_option
def check(paths: tuple[Path, ...], strict: bool, out: Output) -> Exit:
    """Check policies without serving them: mistakes, and what is probably not meant.

    PATHs are files and folders; none: the current folder. Every policy is compiled alone and beside those that the
    same model names, and its examples are run. Exit 1 when anything is refused.
    """
    read = library.read(paths or (Path(),))
    loaded, refused, errors = _loaded(read)
    errors = tuple(in_order({str(error.place) + error.message: error for error in (*read.errors, *errors)}.values()))
    findings = _once(finding for policy in loaded for finding in findings_of(policy))
    checked = Checked(
        policies=tuple(_checked(one) for name, one in sorted(read.policies.items()) if name not in refused),
        errors=tuple(map(told, errors)),
        findings=findings,
    )
    if not out.as_json:
        for error in errors:
            out.fail(error)
            out.note("")
        for finding in findings:
            _tell(out, finding)
    out.answer(checked, lambda: _checked_lines(checked))
    warned = any(finding.severity == "warning" for finding in findings)
    return Exit.FAILED if errors or (strict and warned) else Exit.OK


@click.command()
@paths_argument
@click.option("--policy", "name", metavar="NAME", help="This policy alone.")
@click.option(
    "--graph",
    type=click.Choice(["text", "svg"]),
    help="Draw phases, rules and effects instead: as a tree or a picture.",
)
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the picture to this file too.")
@json_option
def explain(
    paths: tuple[Path, ...], name: str | None, graph: Literal["text", "svg"] | None, svg: Path | None, out: Output
) -> None:
    """Say what policies do, in sentences made from the compiled rules."""
    policy = compile_policies(_chosen(paths, name), (*PHASES, *TOOL_PHASES))
    said = Explained(budgets=budgets_explained(policy), rules=explained(policy))
    if svg is not None:
        svg.write_text(drawing.svg(policy))
        out.note(f"wrote {svg}")
    match graph:
        case None:
            out.answer(said, lambda: _sentences(said))
        case "text":
            out.answer(drawing.lanes(policy), lambda: drawing.text(policy))
        case "svg":
            out.answer(drawing.lanes(policy), lambda: drawing.svg(policy).rstrip().split("\n"))


@click.command()
@paths_argument
@click.option("--policy", "name", metavar="NAME", help="This policy alone.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write a JUnit report to this file too.")
@json_option
def test(paths: tuple[Path, ...], name: str | None, junit: Path | None, out: Output) -> Exit:
    """Run the examples of policies: what must fire fires, what must stay silent does.

    From each example that fires, near misses are made: the same with one comparison just failing. Exit 1 when an
    example comes out otherwise than written.
    """
    policy = compile_policies(_chosen(paths, name), (*PHASES, *TOOL_PHASES))
    tested = tuple(_tested(policy))
    cases = [case for one in tested for case in one.cases]
    if junit is not None:
        junit.write_text(report(cases))
        out.note(f"wrote {junit}")
    if not out.as_json:
        for case in cases:
            if not case.passed:
                out.fail(case.error())
                out.note("")
    out.answer(tested, lambda: _tested_lines(tested))
    return Exit.OK if all(case.passed for case in cases) else Exit.FAILED


# Reading


def _loaded(read: Library) -> tuple[list[Policy], set[str], tuple[WardwrightError, ...]]:
    """Each policy alone, and each set that a model names; the names of those refused alone, and all errors."""
    groups: dict[tuple[str, ...], tuple[Located[PolicyContract], ...]] = {
        (name,): (one,) for name, one in read.policies.items()
    }
    for model in read.models.values():
        names = tuple(sorted(model.value.policies))
        if len(names) > 1 and all(name in read.policies for name in names):
            groups[names] = tuple(read.policies[name] for name in names)
    policies: list[Policy] = []
    refused: set[str] = set()
    errors: list[WardwrightError] = []
    for names, documents in groups.items():
        try:
            governance = govern(documents)
            if governance is not None:
                policies.append(governance.policy)
        except ContractErrors as error:
            errors.extend(error.errors)
            refused.update(names if len(names) == 1 else ())
    return policies, refused, tuple(errors)


def _chosen(paths: Iterable[Path], name: str | None) -> list[Located[PolicyContract]]:
    """The policies under the paths, or one of them. Raises ContractErrors for what cannot be read."""
    read = library.read(tuple(paths) or (Path(),))
    if read.errors:
        raise ContractErrors(in_order(read.errors))
    if name is None:
        return [one for _, one in sorted(read.policies.items())]
    if name not in read.policies:
        hint = did_you_mean(name, read.policies)
        raise WardwrightError("contract_not_found", f"no policy is called `{name}`", hint=hint)
    return [read.policies[name]]


def _once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """A finding that a policy has alone and beside others is told once."""
    return tuple({(one.code, one.rules, one.message): one for one in findings}.values())


def _checked(one: Located[PolicyContract]) -> CheckedPolicy:
    return CheckedPolicy(name=one.value.name, version=digest(one.value), rules=len(one.value.rules), file=one.file)


def _tested(policy: Policy) -> Iterator[Tested]:
    for rule in policy.every():
        phase = policy.phases[rule.rule.phase]
        misses = examples.near_misses(rule, phase)
        yield Tested(
            rule=rule.name,
            cases=tuple(examples.cases(rule, phase)),
            near_misses=len(misses),
            near_misses_silent=sum(miss.silent for miss in misses),
        )


# Words


def _tell(out: Output, finding: Finding) -> None:
    if finding.severity == "warning":
        out.warn(finding.error())
    else:
        out.note(f"note: {finding.code}: {finding.message}")
    out.note("")


def _checked_lines(checked: Checked) -> Iterable[str]:
    yield from columns((one.name, counted(one.rules, "rule"), one.file) for one in checked.policies)
    refused = f", {len(checked.errors)} refused" if checked.errors else ""
    findings = f", {counted(len(checked.findings), 'finding')}" if checked.findings else ""
    yield f"checked {len(checked.policies)} {'policy' if len(checked.policies) == 1 else 'policies'}{refused}{findings}"


def _sentences(said: Explained) -> Iterable[str]:
    for index, budget in enumerate(said.budgets):
        if index:
            yield ""
        yield f"{budget.budget}  (budget)"
        yield f"  {budget.sentence}"
        if budget.otherwise:
            yield f"  Where a call does not say whose it is: {budget.otherwise}."
        yield f"  Why: {budget.why}"
    for index, rule in enumerate(said.rules):
        if index or said.budgets:
            yield ""
        yield f"{rule.rule}  ({rule.phase})"
        yield f"  {rule.sentence}"
        yield from (f"  {sentence}" for sentence in rule.past)
        yield f"  Where that cannot be told: {rule.otherwise}."
        owner = f"  ({rule.owner})" if rule.owner else ""
        yield f"  Why: {rule.why}{owner}"


def _tested_lines(tested: tuple[Tested, ...]) -> Iterable[str]:
    rows = []
    for one in tested:
        fires = sum(case.expected == "fires" for case in one.cases)
        silent = len(one.cases) - fires
        verdict = "failed" if one.failed else "ok" if one.cases else "untested"
        rows.append(
            (verdict, one.rule, f"{fires} fire, {silent} silent", f"{one.near_misses_silent}/{one.near_misses}")
        )
    yield from columns([("", "RULE", "EXAMPLES", "NEAR MISSES"), *rows])
    cases = [case for one in tested for case in one.cases]
    failed = sum(not case.passed for case in cases)
    yield f"ran {counted(len(cases), 'example')} of {counted(len(tested), 'rule')}, {failed} failed"
