"""Examples of policies as a JUnit report, for the systems that read one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from wardwright.policy.examples import Case


def report(cases: Iterable[Case]) -> str:
    """One suite a rule, one case an example. Times are left out: nothing here takes any."""
    every = list(cases)
    suites = [_suite(rule, list(some)) for rule, some in groupby(every, key=lambda case: case.rule)]
    failed = sum(not case.passed for case in every)
    head = f'<testsuites name="wardwright policy test" tests="{len(every)}" failures="{failed}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>", ""])


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
