"""Tool-call fragments of one choice, numbered as the dialect promises.

Clients put the pieces of parallel calls together by `index` alone: calls need distinct numbers from 0 without gaps, and
an id, type and name in their first fragment only. Servers break each part of that (every call at index 0, no index, no
id, the id repeated, a number that starts at 1), and then clients glue the arguments of two calls together.

Rule: a fragment opens a call when it carries what only an opening has: an unseen index, or a name with a new id; where
the server sends no ids, a name after arguments that are already whole.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec


class Function(msgspec.Struct, gc=False):
    """The function part of a fragment."""

    name: str | None = None
    arguments: str | None = None


class Fragment(msgspec.Struct, gc=False):
    """One entry of `delta.tool_calls` as it came."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    type: str | msgspec.UnsetType | None = msgspec.UNSET
    """Told apart from null: the SDK's accumulator lets a later null overwrite the type."""


class Placed(msgspec.Struct, frozen=True, gc=False):
    """What the client must see of one fragment."""

    index: int
    opens: bool
    id: str | None
    """Set exactly when the fragment opens its call."""
    name: str | None
    """The whole name when it opens; later a further piece of it, hardly ever."""
    as_it_came: bool
    """The fragment already reads like this."""


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self, upstream_id: str, name: str) -> None:
        self.id = upstream_id
        self.name = name
        self.arguments: list[str] | None = None if upstream_id else []
        """The pieces so far, kept only where there is no id to tell calls apart."""

    def whole(self) -> bool:
        if not self.arguments:
            return False
        try:
            msgspec.json.decode("".join(self.arguments), type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


def synthetic_id(seed: str, choice: int, index: int) -> str:
    """A tool-call id where the server sent none: the same for the same answer, choice and place."""
    return "call_" + blake2b(f"{seed}/{choice}/{index}".encode(), digest_size=12).hexdigest()


class ToolCalls:
    """The calls of one choice so far."""

    __slots__ = ("_by_id", "_by_upstream", "_calls", "_choice", "_seed", "faithful", "last")

    def __init__(self, seed: str, choice: int) -> None:
        self._seed = seed
        self._choice = choice
        self._calls: list[_Call] = []
        self._by_upstream: dict[int, int] = {}
        self._by_id: dict[str, int] = {}
        self.last = -1
        """The call that the last fragment belonged to; -1 before the first."""
        self.faithful = 0
        """Below this number the upstream's index and ours are one: plain fragments of those calls need no look."""

    def __len__(self) -> int:
        return len(self._calls)

    def place(self, fragment: Fragment) -> Placed:
        """Where a fragment belongs. To be called once a fragment, in order."""
        upstream_id = fragment.id or ""
        name = (fragment.function and fragment.function.name) or ""
        arguments = (fragment.function and fragment.function.arguments) or ""
        if fragment.index is not None:
            known = self._by_upstream.get(fragment.index, -1)
        else:
            known = self._by_id.get(upstream_id, self.last)
        if self._opens(known, upstream_id, name):
            return self._open(fragment, upstream_id, name, arguments)
        self.last = known
        call = self._calls[known]
        if call.arguments is not None and arguments:
            call.arguments.append(arguments)
        further = name if name and name != call.name else None
        if further:
            call.name += further
        clean = (
            fragment.index == known
            and not fragment.id
            and name == (further or "")
            and (fragment.type is msgspec.UNSET or fragment.type == "function")
        )
        return Placed(known, False, None, further, clean)

    def _opens(self, known: int, upstream_id: str, name: str) -> bool:
        if known < 0:
            return True
        call = self._calls[known]
        if not name:
            return False
        if upstream_id:
            return upstream_id != call.id
        return call.whole()

    def _open(self, fragment: Fragment, upstream_id: str, name: str, arguments: str) -> Placed:
        index = len(self._calls)
        call = _Call(upstream_id, name)
        if call.arguments is not None and arguments:
            call.arguments.append(arguments)
        self._calls.append(call)
        given = fragment.index == index and bool(upstream_id)
        if fragment.index is not None:
            if fragment.index in self._by_upstream:
                self.faithful = min(self.faithful, fragment.index)
            elif given and self.faithful == index:
                self.faithful = index + 1
            self._by_upstream[fragment.index] = index
        if upstream_id:
            self._by_id[upstream_id] = index
        self.last = index
        clean = given and fragment.type == "function" and bool(name)
        return Placed(index, True, upstream_id or synthetic_id(self._seed, self._choice, index), name, clean)
