"""A simulation as text: a table of rules, then the ways in which calls change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wardwright.cli.figures import counted
from wardwright.cli.output import columns
from wardwright.rehearsal.simulation import FLIPS, Changed, Sample, Simulation

_WORDS = {"new_fire": "fires now", "lost_fire": "is silent now", "changed_action": "does something else"}


def lines(found: Simulation) -> Iterable[str]:
    """What would come out otherwise, for people."""
    stopped = found.stopped
    if stopped is not None:
        yield f"{stopped.receipt} is not reproduced by its own policies: nothing was simulated"
        yield f"  the phase {stopped.phase} comes out as {stopped.replayed}, not {stopped.recorded}"
        yield "  `wardwright receipt replay` compares"
        return
    if found.rules:
        yield from columns(
            [
                ("RULE", "FIRES NOW", "SILENT NOW", "OTHERWISE", "SAME", "UNKNOWN"),
                *(
                    (
                        one.rule,
                        str(one.new_fire),
                        str(one.lost_fire),
                        str(one.changed_action),
                        str(one.same),
                        str(one.unknown),
                    )
                    for one in found.rules
                ),
            ]
        )
        yield ""
    moved = [one for one in found.matrix if one.after != one.before]
    for one in moved:
        yield (
            f"{one.phase}: {one.before} -> {one.after}, {one.count} times"
            if one.count > 1
            else (f"{one.phase}: {one.before} -> {one.after}, once")
        )
    if moved:
        yield ""
    for sample in found.samples:
        yield from _sample(sample)
        yield ""
    if found.unsampled:
        yield f"and {counted(found.unsampled, 'call')} that change in yet other ways"
        yield ""
    yield _sum(found)


def _sample(sample: Sample) -> Iterator[str]:
    yield f"{counted(sample.calls, 'call')}: {', '.join(sample.receipts)}"
    for changed in sample.changes:
        yield f"  {_changed(changed)}"


def _changed(changed: Changed) -> str:
    assert changed.change in FLIPS
    where = changed.phase if changed.attempt is None else f"{changed.phase} of attempt {changed.attempt + 1}"
    told = f"{where}: {changed.rule} {_WORDS[changed.change]}: "
    return (
        told
        + {
            "new_fire": changed.after,
            "lost_fire": f"it did {changed.before}",
            "changed_action": f"{changed.after}; it did {changed.before}",
        }[changed.change]
    )


def _sum(found: Simulation) -> str:
    said = f"simulated {counted(found.calls, 'call')}: {found.flipped} flipped"
    for count, words in (
        (found.speculative, "left out, behind a call of their session that goes another way"),
        (found.unasked, "under no policy"),
        (
            found.unreadable,
            "that cannot be read any more: a contract is not stored here, or the detectors have changed",
        ),
    ):
        if count:
            said += f", {count} {words}"
    return said
