"""What is measured: how late slots were begun, what processes use, who asked a model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pocketlet.db import pool

TICKS = os.sysconf("SC_CLK_TCK")
#: From when it was due to when its run was made, or it was known that there is nothing to do.
LATE = """
SELECT extract(epoch FROM coalesce(s.started_at, s.ended_at) - s.due_at)::float8 AS late, s.state
  FROM pocketlet.slot s WHERE s.due_at >= %s AND s.due_at < %s AND s.stands_for = 1 ORDER BY 1
"""
PAID = """
SELECT count(*) FILTER (WHERE model LIKE '%idle') AS idle, count(*) FILTER (WHERE model LIKE '%busy') AS busy
  FROM pocketlet.ledger
"""


@dataclass
class Process:
    """One process, looked at again and again: its memory (MB), and the seconds of processor that it has used."""

    pid: int
    name: str
    children: bool = False
    memory: list[float] = field(default_factory=list[float])
    used: list[float] = field(default_factory=list[float])

    def look(self) -> None:
        """One look. `children`: with all that it has started and waited for, or that still runs."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        self.memory.append(int(status.partition("VmRSS:")[2].split()[0]) / 1024)
        self.used.append(_used(self.pid, ended=self.children) + sum(map(_used, self._living())))

    def _living(self) -> list[int]:
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if self.children else []

    def share(self, seconds: float) -> float:
        """Of one processor, over the time of all looks."""
        return (self.used[-1] - self.used[0]) / seconds

    def thirds(self) -> tuple[float, float]:
        """Memory (MB) in the first and in the last third: the mean."""
        third = max(1, len(self.memory) // 3)
        return sum(self.memory[:third]) / third, sum(self.memory[-third:]) / third


def _used(pid: int, *, ended: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended since
        return 0.0
    return sum(map(int, fields[11:15] if ended else fields[11:13])) / TICKS


async def late(conn: pool.Conn, first: object, last: object) -> tuple[list[float], dict[str, int]]:
    """Seconds of each slot that was due in this time and was begun, and how many slots there are by state."""
    rows = await (await conn.execute(LATE.encode(), (first, last))).fetchall()
    states: dict[str, int] = {}
    for row in rows:
        states[row["state"]] = states.get(row["state"], 0) + 1
    return [row["late"] for row in rows if row["late"] is not None], states


def share(values: Sequence[float], part: float) -> float:
    """The value below which this part of the sorted ones lie."""
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0
