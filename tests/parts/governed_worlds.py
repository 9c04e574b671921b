"""Policies and upstream scripts that Hypothesis draws: stream rules of every action and commit mode, rules beside them.

Few letters, as in `stream_rules`, so that rules meet their matches; each stream rule keeps the pattern that the oracle
of whole texts reads.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias, assert_never

import msgspec
from hypothesis import strategies as st

from parts.governed_stage import ANSWER_MARK, ASKED_MARK, Channel, Document, End, Part, Script, World, world
from parts.stream_rules import PIECES, atoms, patterns
from parts.whole_text import Meaning, Pattern
from wardwright.contracts.refusal import ContractErrors
from wardwright.streams import rule as r

REMINDER = "\U0001f6d1"
"""No rule here looks for it."""
PATIENT_MS = 10_000_000
"""An age that nothing in a test reaches."""
FIRST_ONLY: Document = {"lte": ["attempt.number", 1]}


class Watching(NamedTuple):
    """One rule over the stream, as a document and as the oracle reads it."""

    document: Document
    pattern: Pattern
    first_only: bool

    @property
    def name(self) -> str:
        return f"p/{self.document['id']}"


class Case(NamedTuple):
    """One policy and what becomes of it."""

    world: World
    watching: tuple[Watching, ...]

    @property
    def plain(self) -> bool:
        """The oracle reads its rules: nothing passes unheld, nothing waits against a clock."""
        return all(
            one.document["hold"]["mode"] != "pass" and one.document["hold"]["age_ms_max"] == PATIENT_MS
            for one in self.watching
        )

    def meanings(self, channel: Channel, actions: dict[str, r.Action]) -> list[Meaning]:
        """The rules that watch a channel with what they do in one attempt."""
        stream = self.world.governance.stream
        kinds = {"text": r.Text, "reasoning": r.Reasoning, "tool": r.ToolArguments}
        patterns = {one.name: one.pattern for one in self.watching}
        return [
            Meaning(msgspec.structs.replace(rule, then=actions[rule.id]), patterns[rule.id])
            for rule in (stream.rules if stream else ())
            if rule.id in actions and any(isinstance(on, kinds[channel]) for on in rule.on)
        ]


HOLDS: tuple[Document, ...] = (
    {"mode": "exact"}, {"mode": "exact"}, {"mode": "exact"}, {"mode": "full"}, {"mode": "full"}, {"mode": "pass"},
    *({"mode": "boundary", "boundary": unit} for unit in ("sentence", "line", "code_block", "json_value")),
)  # fmt: skip
REWRITES: tuple[Any, ...] = tuple({"rewrite": {"replacement": text}} for text in ("#", "b", "a "))
LASTS: tuple[Any, ...] = ({"block": {"code": "spent"}}, {"annotate": "spent"}, "drop", *REWRITES)
CHANNELS = (["text"], ["text"], ["text"], ["text", "reasoning"], ["text", "reasoning", "tool_arguments"])


@st.composite
def _retries(draw: st.DrawFn) -> Document:
    most = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(("retry", "reminder", "kept", "kept", "kept", "reroute", "nowhere")))
    match kind:
        case "retry":
            return {"retry": {"max": most}}
        case "reminder":
            return {"retry_with_reminder": {"text": REMINDER, "max": most}}
        case "kept":
            return {"retry_with_reminder": {"text": REMINDER, "max": most, "keep_partial": True}}
        case "reroute":
            return {"reroute": {"to": ["t1"], "max": most}}
        case _:
            return {"reroute": {"to": ["nowhere"], "max": most}}


Does: TypeAlias = Literal["block", "retry", "rewrite", "drop", "annotate"]
DOES: tuple[Does, ...] = ("block", "block", "retry", "retry", "retry", "rewrite", "drop", "annotate")


def _held(draw: st.DrawFn, hold: Document, *, timed: bool) -> Document:
    hold = hold | {"chars_max": 1 << 20, "age_ms_max": PATIENT_MS}
    if timed and draw(st.booleans()):
        hold["age_ms_max"] = 20
        hold["on_cap"] = draw(st.sampled_from(("fail_closed", "release_and_flag")))
    return hold


@st.composite
def watching(
    draw: st.DrawFn, index: int, *, timed: bool, does: Does | None = None, hold: Document | None = None
) -> Watching:
    """One rule over the stream; `timed`: text may wait for it against the clock. What it `does` is drawn where that is
    not said, and how it holds text."""
    pattern = draw(patterns())
    always = does is not None
    acts: Does = draw(st.sampled_from(DOES)) if does is None else does
    hold = _held(draw, hold or draw(st.sampled_from(HOLDS)), timed=timed)
    document: Document = {
        "id": f"r{index}",
        "phase": "stream",
        "on": draw(st.sampled_from(CHANNELS)),
        "match": {"regex": pattern.source},
        "hold": hold,
        "priority": draw(st.integers(0, 1)),
        "why": "it is so",
    }
    match acts:
        case "block":
            document["then"] = [{"block": {"code": f"no-{index}"}}]
        case "retry":
            document["then"] = [draw(_retries())]
            if draw(st.booleans()):
                document["after_retries"] = [draw(st.sampled_from(LASTS))]
        case "rewrite":
            document["then"] = [draw(st.sampled_from(REWRITES))]
        case "drop":
            document["then"] = ["drop"]
        case "annotate":
            document["then"] = [{"annotate": "seen"}]
        case _:
            assert_never(acts)
    edits = [one for one in (*document["then"], *document.get("after_retries", ())) if one == "drop" or one in REWRITES]
    if hold["mode"] == "pass" and edits:
        hold["mode"] = "exact"
    if always:
        return Watching(document, pattern, first_only=False)
    first_only = draw(st.sampled_from((False, False, False, True)))
    if first_only:
        document["when"] = FIRST_ONLY
    if draw(st.sampled_from((False,) * 7 + (True,))):
        document["enforce"] = "shadow"
    return Watching(document, pattern, first_only)


@st.composite
def seam(draw: st.DrawFn) -> tuple[Watching, Watching]:
    """An edit that can join the halves of what is blocked."""
    blocked, edited = draw(st.sampled_from(("ab", "aab", "a a"))), draw(st.sampled_from(("1", "1 ", "b1")))
    shared: Document = {"phase": "stream", "on": ["text"], "hold": _PATIENT, "why": "it is so"}
    return (
        Watching({"id": "block", "match": {"regex": blocked}, "then": ["block"]} | shared, atoms(blocked), False),
        Watching({"id": "edit", "match": {"regex": edited}, "then": ["drop"]} | shared, atoms(edited), False),
    )


_PATIENT: Document = {"mode": "exact", "chars_max": 1 << 20, "age_ms_max": PATIENT_MS}


ANSWER_RULES: tuple[Document, ...] = (
    {"match": {"contains": "b1"}, "on": ["text"], "then": [{"retry": {"max": 2}}]},
    {"match": {"contains": "b1"}, "on": ["text"], "then": [{"block": {"code": "b1"}}]},
    {"match": {"contains": "b1"}, "on": ["text", "reasoning"], "then": [{"annotate": "b1"}]},
    {"match": {"contains": "1"}, "on": ["text"], "then": [{"retry_with_reminder": {"text": REMINDER}}],
     "after_retries": [{"annotate": "still"}]},
    {"match": {"contains": "1"}, "on": ["text"], "then": [{"block": {}}], "hold": {"mode": "pass"}},
    {"match": {"contains": "1"}, "on": ["text"], "then": [{"block": {}}], "enforce": "shadow"},
    {"expect": "json", "on": ["text"], "then": [{"retry_with_reminder": {"text": REMINDER, "max": 1}}]},
    {"expect": "json", "on": ["text"], "then": [{"annotate": "prose"}]},
    {"when": {"contains": ["output.text", "a"]}, "then": [{"reroute": {"to": ["t1"], "max": 1}}]},
    {"when": {"any_of": ["output.tool_names", ["edit"]]}, "then": [{"block": {"code": "no-tools"}}]},
)  # fmt: skip
BESIDE: tuple[Document, ...] = (
    {"id": "asked", "phase": "request", "when": {"contains": ["text.user", ASKED_MARK]},
     "then": [{"annotate": "asked"}], "why": "it is so"},
    {"id": "kept", "phase": "request", "when": {"eq": ["metadata.k", "v"]}, "then": ["allow"], "why": "it is so"},
    {"id": "routed", "phase": "route", "when": {"exists": "route.first"}, "then": [{"annotate": "routed"}],
     "why": "it is so"},
    {"id": "over", "phase": "receipt", "when": {"gte": ["receipt.attempts", 2]}, "then": [{"annotate": "again"}],
     "why": "it is so"},
)  # fmt: skip


class Draft(NamedTuple):
    """A policy as it is written."""

    documents: tuple[Document, ...]
    watching: tuple[Watching, ...]


def made(draft: Draft) -> Case | None:
    """The policy loaded; None where its rules cannot stand beside each other, which is tested elsewhere."""
    try:
        return Case(world(draft.documents), draft.watching)
    except ContractErrors:
        return None


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Any policy."""
    timed = draw(st.sampled_from((False, False, False, True)))
    stream = tuple(draw(watching(index, timed=timed)) for index in range(draw(st.integers(1, 4))))
    answer = draw(st.one_of(st.just([]), st.lists(st.sampled_from(ANSWER_RULES), min_size=1, max_size=2)))
    judged = [{"id": f"o{index}", "phase": "output", "why": "it is so"} | one for index, one in enumerate(answer)]
    return Draft((*(one.document for one in stream), *judged, *BESIDE), stream)


@st.composite
def drafts_with_a_seam(draw: st.DrawFn) -> Draft:
    """A policy whose edits may compose what it blocks, and a rule of any kind."""
    stream = (*draw(seam()), draw(watching(0, timed=False)))
    return Draft((*(one.document for one in stream), *BESIDE), stream)


@st.composite
def drafts_that_go_on(draw: st.DrawFn) -> Draft:
    """A policy whose first rule has the model go on where a part of its answer has left, and others beside it."""
    goes_on = draw(watching(0, timed=False, does="retry", hold={"mode": "exact"}))
    reminder: Document = {"text": REMINDER, "max": 2, "after_release": "continue"}
    document = goes_on.document | {"then": [{"retry_with_reminder": reminder}], "on": ["text"]}
    document.pop("after_retries", None)
    document.pop("enforce", None)
    others = [draw(watching(index, timed=False)) for index in range(1, draw(st.integers(1, 3)))]
    stream = (goes_on._replace(document=document), *others)
    return Draft((*(one.document for one in stream), *BESIDE), stream)


@st.composite
def drafts_with(draw: st.DrawFn, does: Does, hold: Document) -> Draft:
    """A policy with a rule that does this and holds so, and others beside it."""
    others = (draw(watching(index, timed=False)) for index in range(1, draw(st.integers(1, 3))))
    stream = (draw(watching(0, timed=False, does=does, hold=hold)), *others)
    return Draft((*(one.document for one in stream), *BESIDE), stream)


TEXTS = st.lists(PIECES, min_size=1, max_size=6).map("".join)
SEAMED = st.lists(st.sampled_from(("a1b", "a1", "aa1 b", "a 1a", "b", "1", "a ")), min_size=1, max_size=5).map("".join)
"""Texts in which an edit leaves two halves side by side."""
ENDS: tuple[End, ...] = (
    "done", "done", "done", "done", "no_terminator", "cut", "reset", "stalls", "error_event", "unavailable",
    "never_answers",
)  # fmt: skip


def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    out = []
    while text:
        size = draw(st.integers(1, 7))
        out.append(text[:size])
        text = text[size:]
    return out


@st.composite
def scripts(
    draw: st.DrawFn,
    *,
    ends: tuple[End, ...] = ENDS,
    channels: bool = True,
    texts: st.SearchStrategy[str] = TEXTS,
) -> Script:
    """One answer of an upstream that says one of `texts`; `channels`: reasoning, tool calls and several choices too."""
    kind = (
        draw(st.sampled_from(("text", "text", "text", "reasoning", "tool", "choices", "all"))) if channels else "text"
    )
    text = ANSWER_MARK + draw(texts) if draw(st.booleans()) else draw(texts) + ANSWER_MARK
    streams: list[list[Part]] = []

    def add(channel: Channel, choice: int, said: str) -> None:
        streams.append([Part(channel, choice, piece) for piece in _pieces(draw, said)])

    match kind:
        case "text":
            add("text", 0, text)
        case "reasoning":
            add("reasoning", 0, draw(TEXTS))
            add("text", 0, text)
        case "tool":
            add("text", 0, text)
            add("tool", 0, msgspec.json.encode({"v": draw(TEXTS), "w": ANSWER_MARK}).decode())
        case "choices":
            add("text", 0, text)
            add("text", 1, draw(TEXTS))
        case "all":
            add("reasoning", 0, draw(TEXTS))
            add("text", 0, text)
            add("tool", 0, msgspec.json.encode({"v": draw(TEXTS)}).decode())
            add("text", 1, draw(TEXTS))
        case _:
            raise AssertionError(kind)
    parts: list[Part] = []
    if draw(st.booleans()):
        parts = [part for stream in streams for part in stream]
    else:
        luck = draw(st.randoms(use_true_random=False))
        while left := [stream for stream in streams if stream]:
            parts.append(luck.choice(left).pop(0))
    places = draw(st.lists(st.integers(0, 4000), max_size=30))
    return Script(tuple(parts), tuple(places), draw(st.sampled_from(ends)))
