"""Rules that say what a whole answer must be, compiled from one member."""

from __future__ import annotations

from typing import Final

from parts.policies import document
from wardwright.calls.phases import PHASES
from wardwright.policy.answers import Answer, Unmet, objections
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.expectation import Verdict
from wardwright.policy.loading import load

VERDICT: Final = """
{json: {
  schema: {
    type: object, required: [company, confidence], additionalProperties: false,
    properties: {
      company: {type: string, minLength: 1, maxLength: 40},
      confidence: {type: number, minimum: 0, maximum: 1},
      tags: {type: array, items: {type: string}}}},
  where: [{pointer: /confidence, gte: 0.7, why: below that a person decides}]}}
"""
"""One form: an object with two needed members, sure of what it says."""

FORMS: Final = """
{json: {any_of: [
  {name: v1, schema: {type: object, required: [version, company, confidence], properties: {
    version: {const: 1}, company: {type: string}, confidence: {type: number}}},
   where: [{pointer: /confidence, gte: 0.7}]},
  {name: v2, schema: {type: object, required: [version, verdicts], properties: {
    version: {const: 2}, verdicts: {type: array, minItems: 1}}}}]}}
"""
"""Two forms, told apart by `version`."""


def expecting(expect: str, more: str = "", then: str = "{retry_with_reminder: Once more.}") -> Policy:
    """A policy of one rule, `p/r`, of the phase `output`."""
    flat = " ".join(expect.split())
    text = f"rules:\n- id: r\n  phase: output\n  why: because\n  then: [{then}]\n  expect: {flat}\n  {more}\n"
    return load([document(text)], PHASES)


def rule(expect: str, more: str = "") -> Compiled:
    (found,) = expecting(expect, more).expecting("output")
    return found


def judged(expect: str, text: str) -> Verdict:
    """The verdict on one text."""
    found = rule(expect).expecting
    assert found is not None
    return found.judge(text)


def wrong(expect: str, text: str) -> list[tuple[str, str, str]]:
    """The kind, pointer and message of each problem."""
    return [(one.kind, one.pointer, one.message) for one in judged(expect, text).problems]


def unmet(expect: str, answer: Answer, more: str = "") -> tuple[Unmet, ...]:
    return objections(rule(expect, more), answer)
