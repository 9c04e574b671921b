"""Whether a text is one well-formed XML document: nothing is loaded, nothing expanded.

Rule 1: a document type is refused where it begins. Without one there are no entities but the five that XML knows, so
nothing grows and nothing is fetched.
Rule 2: nesting is bounded; the length of the text is the caller's bound.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from wardwright.policy.answer_schema import key

DEPTH_MAX: Final = 256
"""Elements within one another."""


class _Refused(Exception):
    """Well formed so far, and not accepted."""


def objection(text: str) -> tuple[str | None, str | None]:
    """What is wrong, if anything, and the name of the root element as far as one was met."""
    parser = expat.ParserCreate("utf-8")  # whatever the document declares: it is text already
    names: list[str] = []
    depth = 0

    def begins(name: str, attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth == 1:
            names.append(name)
        if depth > DEPTH_MAX:
            raise _Refused(f"its elements nest deeper than {DEPTH_MAX} levels")

    def ends(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(name: str, *rest: object) -> None:
        raise _Refused("it declares a document type, which is not accepted")

    parser.StartElementHandler = begins
    parser.EndElementHandler = ends
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.strip().encode(), True)
    except _Refused as refused:
        return str(refused), None
    except UnicodeEncodeError:
        return "it holds half a character", None
    except expat.ExpatError as error:
        place = f"at line {error.lineno} column {error.offset + 1}"
        return f"it is not well-formed XML: {expat.ErrorString(error.code)} {place}", None
    return None, names[0]


def other_root(name: str, wanted: str) -> str | None:
    """What is wrong with a root element of this name."""
    return None if name == wanted else f"its root element must be `{wanted}`, not {key(name)}"
