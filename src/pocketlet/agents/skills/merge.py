"""Three states of a skill's files made into one, file by file, so that your edits survive an update."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Merged:
    """`kept`: files that stay as you edited them. `conflicts`: changed here and there, and not the same way.

    `settled`: it was said which side wins.
    """

    files: Mapping[str, str]
    kept: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    settled: bool = False

    @property
    def undecided(self) -> tuple[str, ...]:
        """The conflicts that nobody settled."""
        return () if self.settled else self.conflicts


def three_way(
    before: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str], *, prefer: str = ""
) -> Merged:
    """`before` is what both sides began with. A conflict is resolved by `prefer` (ours, theirs), else it stays ours.

    Unchanged by us: theirs. Unchanged by them: ours. A file that is gone counts as changed.
    """
    merged: dict[str, str] = {}
    kept: list[str] = []
    conflicts: list[str] = []
    for path in sorted(before.keys() | ours.keys() | theirs.keys()):
        was, mine, new = before.get(path), ours.get(path), theirs.get(path)
        if mine in (new, was):
            taken = new
        elif new == was:
            taken = mine
            kept.append(path)
        else:
            taken = new if prefer == "theirs" else mine
            conflicts.append(path)
        if taken is not None:
            merged[path] = taken
    return Merged(merged, tuple(kept), tuple(conflicts), bool(prefer))
