"""A pattern's tree as `regex` spells it.

Rule 1: only what means the same in every flag and version is written: code points, ranges, groups that capture nothing.
Rule 2: *final* is for a complete text; *midstream* is for a text that more may follow: places that the next character
decides do not hold at its end.
"""

from __future__ import annotations

from typing import Final, assert_never

from wardwright.kernel.patterns import language as p

_FINAL_LOOKS: Final[dict[p.Condition, str]] = {
    "edge": r"\b",
    "no_edge": r"\B",
    "text_start": r"\A",
    "text_end": r"\Z",
    "line_start": r"(?:(?<=\n)|\A)",
    "line_end": r"(?:(?=\n)|\Z)",
}
_MIDSTREAM_LOOKS: Final[dict[p.Condition, str]] = {
    **_FINAL_LOOKS,
    "edge": r"(?:\b(?!\Z))",
    "no_edge": r"(?:\B(?!\Z))",
    "text_end": r"(?!)",
    "line_end": r"(?=\n)",
}


def spelled(node: p.Node, *, final: bool) -> str:
    """The source for `regex`, to be compiled with ASCII classes.

    >>> spelled(p.parse("[ab]x{2}$"), final=True)
    '[\\\\U00000061-\\\\U00000062]\\\\U00000078{2}\\\\Z'
    """
    match node:
        case p.Chars(ranges=((low, high),)) if low == high:
            return _point(low)
        case p.Chars():
            return f"[{''.join(_range(low, high) for low, high in node.ranges)}]"
        case p.Look():
            return (_FINAL_LOOKS if final else _MIDSTREAM_LOOKS)[node.condition]
        case p.Sequence():
            return "".join(spelled(item, final=final) for item in node.items)
        case p.Choice():
            return f"(?:{'|'.join(spelled(option, final=final) for option in node.options)})"
        case p.Repeat():
            item = spelled(node.item, final=final)
            group = item if isinstance(node.item, p.Chars) else f"(?:{item})"
            return f"{group}{_count(node)}{'?' if node.lazy else ''}"
        case _:
            assert_never(node)


def _count(node: p.Repeat) -> str:
    if node.least == node.most:
        return f"{{{node.least}}}"
    return f"{{{node.least},{'' if node.most is None else node.most}}}"


def _range(low: int, high: int) -> str:
    return _point(low) if low == high else f"{_point(low)}-{_point(high)}"


def _point(point: int) -> str:
    return f"\\U{point:08x}"
