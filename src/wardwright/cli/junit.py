"""Examples and simulations of policies as JUnit reports, for the systems that read them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from wardwright.policy.examples import Case
from wardwright.rehearsal.simulation import RuleFlips, Simulation


def report(cases: Iterable[Case]) -> str:
    """One suite a rule, one case an example. Times are left out: nothing here takes any."""
    every = list(cases)
    suites = [_suite(rule, list(some)) for rule, some in groupby(every, key=lambda case: case.rule)]
    failed = sum(not case.passed for case in every)
    head = f'<testsuites name="wardwright policy test" tests="{len(every)}" failures="{failed}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>", ""])


def simulated(found: Simulation) -> str:
    """One suite a policy, one case a rule: failed where a decision flips, skipped where none can be told."""
    failed = sum(bool(one.flips) for one in found.rules)
    stopped = int(found.stopped is not None)
    head = (
        f'<testsuites name="wardwright policy simulate" tests="{len(found.rules)}" failures="{failed}" '
        f'errors="{stopped}">'
    )
    suites = [
        _flips(policy, list(some)) for policy, some in groupby(found.rules, key=lambda one: one.rule.partition("/")[0])
    ]
    if found.stopped is not None:
        error = f"{found.stopped.receipt} is not reproduced by its own policies"
        suites.append(
            f'  <testsuite name="replay" tests="1" errors="1">\n    <testcase classname="replay" '
            f"name={quoteattr(found.stopped.receipt)}><error message={quoteattr(error)}/></testcase>\n  </testsuite>"
        )
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>", ""])


def _flips(policy: str, rules: list[RuleFlips]) -> str:
    failed = sum(bool(one.flips) for one in rules)
    head = f'  <testsuite name={quoteattr(policy)} tests="{len(rules)}" failures="{failed}">'
    return "\n".join([head, *map(_flipped, rules), "  </testsuite>"])


def _flipped(one: RuleFlips) -> str:
    head = f"    <testcase classname={quoteattr(one.rule.partition('/')[0])} name={quoteattr(one.rule)}"
    if one.flips:
        said = (
            f"{one.new_fire} fire now, {one.lost_fire} are silent now, {one.changed_action} do something else, "
            f"{one.same} the same, {one.unknown} unknown"
        )
        return f"{head}><failure message={quoteattr(said)}/></testcase>"
    if one.unknown and not one.same:
        return f"{head}><skipped message={quoteattr(f'{one.unknown} unknown')}/></testcase>"
    return f"{head}/>"


def _suite(rule: str, cases: list[Case]) -> str:
    failed = sum(not case.passed for case in cases)
    head = f'  <testsuite name={quoteattr(rule)} tests="{len(cases)}" failures="{failed}">'
    return "\n".join([head, *map(_case, cases), "  </testsuite>"])


def _case(case: Case) -> str:
    file = f" file={quoteattr(case.place.file)}" if case.place.file is not None else ""
    line = f' line="{case.place.line}"' if case.place.line is not None else ""
    head = f"    <testcase classname={quoteattr(case.rule)} name={quoteattr(case.name)}{file}{line}"
    if case.passed:
        return f"{head}/>"
    message = case.error().message
    return f"{head}><failure message={quoteattr(message)}>{escape(message)}</failure></testcase>"
