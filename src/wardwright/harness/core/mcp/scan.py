"""Definitions of tools, searched for what their author may not want a person to see.

Rule 1: all definitions of all servers are looked at together. A model reads them one after the other, so a payload that
is cut into pieces, tool by tool or server by server, is put together again: in each server's own order, and by name.
Rule 2: what is searched for instructions is letters and digits alone, compatibility forms folded: no space, sign or
invisible character between two words hides them.
Rule 3: a finding names what was found and carries a digest of it. Whoever accepts one accepts that text, and no other.
Rule 4: this finds what is known to be done, not all that can be. The pin is what holds: see `docs/mcp.md`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
import re2

from wardwright.harness.core.mcp.definitions import Definition, shown, texts
from wardwright.harness.core.tool import spelled
from wardwright.kernel.detectors.finding import find
from wardwright.kernel.detectors.table import BY_NAME

Kind: TypeAlias = Literal["encoded", "instruction", "invisible", "lookalike", "secret", "shadow", "split"]

EXCERPT_CHARS_MAX: Final = 120
FINDINGS_MAX: Final = 200
"""That are told; one is enough to refuse."""
MATCHES_MAX: Final = 10_000
"""That are looked at in one order. Whoever has more of them within one text is found by that."""

_DETECTED: Final = ("secrets", "personal_data")
"""Families of detectors. Network addresses stand in honest definitions everywhere."""

_ANY: Final = "*"
"""Before words that may stand there any number of times."""


def _said(*parts: str) -> str:
    """A pattern over letters and digits: of each part one word."""
    written = (f"(?:{'|'.join(part.removeprefix(_ANY).split())}){_ANY * part.startswith(_ANY)}" for part in parts)
    return "".join(written)


_PHRASES: Final = (
    _said(
        "ignore disregard forget override bypass",
        "* all any the your every of these those my",
        "previous prior earlier above preceding other existing system safety",
        "* the your and user system safety",
        "instruction prompt message rule guideline polic direction command",
    ),
    _said(
        "donot dont never without",
        "tell inform mention show reveal notify alert telling informing mentioning showing revealing notifying asking",
        "* this it that about to any of the your",
        "user human operator person",
    ),
    _said(
        "before after when whenever instead",
        "* of",
        "using calling running invoking youuse youcall",
        "* this any every all the each another other",
        "tool",
        "* s you",
        "must always first read send call pass include",
    ),
    _said("you assistant model agent", "must should needto haveto", "always first also secretly silently"),
    _said("secretly silently covertly", "send read call copy include pass upload forward add append"),
    _said("systemprompt developermessage hiddeninstruction newinstructions importantinstruction systemoverride"),
    _said(
        "read send upload include attach paste pass forward",
        "* the your all any full complete contents content of file from",
        "ssh idrsa ided25519 awscredentials dotenv envfile privatekey apikey password conversationhistory chathistory",
    ),
    _said("doanythingnow jailbreak youarenowa youarenowin actasif pretendtobe"),
)
_PHRASE: Final = re2.compile("|".join(f"(?:{one})" for one in _PHRASES))
_MARKUP: Final = re2.compile(
    r"(?i)<\s*/?\s*(?:important|system|instructions?|secret|hidden|admin|assistant)\b[^>]{0,40}>"
)
_BLOB: Final = re2.compile(r"[A-Za-z0-9+/_-]{80,}={0,2}")


class Finding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing that a person should look at before the tools are used."""

    id: str
    """What `--accept` takes: kind, tool, digest of what was found."""
    kind: Kind
    tools: tuple[str, ...]
    """`server.tool`, in order; several where it is spread over them."""
    says: str
    """What it is."""
    excerpt: str
    """What was found, made visible."""


Sets: TypeAlias = Mapping[str, Sequence[Definition]]
"""Every server's list, by the server's name."""


def scan(servers: Sets, built_in: Iterable[str], about: str | None = None) -> tuple[Finding, ...]:
    """What stands out in these definitions, sorted. `built_in` are the names of our own tools. With `about`, only
    findings in which that server takes part."""
    names = frozenset(built_in)
    found: dict[str, Finding] = {}
    for server, definitions in servers.items():
        for one in definitions:
            for finding in _alone(server, one, names):
                found.setdefault(finding.id, finding)
    spread = (found_ for pieces in _orders(servers) for found_ in _together(pieces))
    alone = {finding.tools[0] for finding in found.values() if finding.kind == "instruction"}
    for finding in spread:
        if not set(finding.tools) & alone:
            found.setdefault(finding.id, finding)
    mine = (one for one in found.values() if about is None or any(_server(tool) == about for tool in one.tools))
    return tuple(sorted(mine)[:FINDINGS_MAX])


def _server(tool: str) -> str:
    return tool.partition(".")[0]


# One definition


def _alone(server: str, one: Definition, built_in: frozenset[str]) -> Iterator[Finding]:
    tool = f"{server}.{one.name}"
    whole = "\n".join(texts(one))
    hidden = "".join(dict.fromkeys(char for char in whole if _is_hidden(char)))
    if hidden:
        told = ", ".join(_called(char) for char in hidden[:6])
        yield _finding("invisible", (tool,), f"characters that nobody sees: {told}", whole, _around(whole, hidden[0]))
    word = next((word for word in whole.split() if _mixes(word)), None)
    if word is not None:
        yield _finding("lookalike", (tool,), "a word of letters from several scripts", word, word)
    match = _MARKUP.search(whole)
    if match is not None:
        yield _finding("instruction", (tool,), "markup that speaks to a model", match.group(), match.group())
    squashed = _squashed(whole)
    match = _PHRASE.search(squashed)
    if match is not None:
        said = match.group()
        yield _finding("instruction", (tool,), "words that instruct a model", said, said)
    match = _BLOB.search(whole)
    if match is not None:
        yield _finding("encoded", (tool,), "a long text that only a program can read", match.group(), match.group())
    for secret in find(whole, _DETECTED):
        # The text itself is not repeated: it may be somebody's.
        text = whole[secret.start : secret.end]
        yield _finding("secret", (tool,), f"what looks like {BY_NAME[secret.name].says}", text, f"[{secret.name}]")
    plain = spelled(one.name).lower()
    for name in sorted(built_in):
        if plain == spelled(name) or spelled(f"{server}.{one.name}").lower() == spelled(name):
            yield _finding("shadow", (tool,), f"it has the name of the tool `{name}`", one.name, one.name)
        elif name in one.description or (len(spelled(name)) > 8 and spelled(name) in one.description):
            yield _finding("shadow", (tool,), f"its description speaks of the tool `{name}`", one.description, name)


_VISIBLE_CONTROLS: Final = "\t\n\r"


def _is_hidden(char: str) -> bool:
    """Formatting, control, private and unassigned characters, tags and variation selectors without a picture."""
    point = ord(char)
    if char in _VISIBLE_CONTROLS or (char.isascii() and char.isprintable()):
        return False
    return (
        unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
        or 0xFE00 <= point <= 0xFE0E
        or 0xE0100 <= point <= 0xE01EF
        or char in "\u115f\u1160\u3164\uffa0\u2800"
    )


def _called(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, 'without a name').lower()}"


def _mixes(word: str) -> bool:
    """Whether Latin letters stand beside Cyrillic or Greek ones that look like them."""
    if word.isascii():
        return False
    scripts = {unicodedata.name(char, "").partition(" ")[0] for char in word if char.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


# All together

Piece: TypeAlias = tuple[str, str]
"""A tool and a text of it."""


def _orders(servers: Sets) -> Iterator[list[Piece]]:
    """The ways in which a model may read them one after the other: each server's own order and by name, descriptions
    alone and everything."""
    own = [(f"{server}.{one.name}", one) for server in sorted(servers) for one in servers[server]]
    for order in (own, sorted(own, key=lambda pair: pair[0]), sorted(own, key=lambda pair: pair[1].name)):
        yield [(tool, one.description) for tool, one in order]
        yield [(tool, text) for tool, one in order for text in texts(one)]


def _together(pieces: Sequence[Piece]) -> Iterator[Finding]:
    squashed: list[str] = []
    starts: list[tuple[int, str]] = []
    length = 0
    for tool, text in pieces:
        part = _squashed(text)
        if part:
            starts.append((length, tool))
            squashed.append(part)
            length += len(part)
    whole = "".join(squashed)
    begins = [begin for begin, _ in starts]
    at = 0
    for _ in range(MATCHES_MAX):
        match = _PHRASE.search(whole, at)
        if match is None:
            return
        start, end = match.span()
        at = start + 1
        parts = [tool for _, tool in starts[bisect_right(begins, start) - 1 : bisect_left(begins, end)]]
        if len(parts) > 1:
            says = "words that instruct a model, in pieces"
            yield _finding("split", tuple(dict.fromkeys(parts)), says, match.group(), match.group())


def _squashed(text: str) -> str:
    """Letters and digits alone, in lower case, compatibility forms folded, ASCII: one byte a character."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in folded if char.isascii() and char.isalnum())


def _around(text: str, char: str) -> str:
    at = text.index(char)
    return text[max(0, at - 20) : at + 20]


def _finding(kind: Kind, tools: tuple[str, ...], says: str, found: str, excerpt: str) -> Finding:
    digest = hashlib.sha256(found.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    where = shown(tools[0], 64).replace(" ", "_") + (f"+{len(tools) - 1}" if len(tools) > 1 else "")
    return Finding(
        id=f"{kind}:{where}:{digest}", kind=kind, tools=tools, says=says, excerpt=shown(excerpt, EXCERPT_CHARS_MAX)
    )
