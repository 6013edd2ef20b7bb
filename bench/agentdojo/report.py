"""The figures as a table for people and one JSON object for machines."""

from typing import Any

from bench.agentdojo import lists, package
from bench.agentdojo.figures import Figures, total


def document(found: dict[str, Figures]) -> dict[str, Any]:
    """All figures. `pairs` counts AgentDojo's own lists and ours together; `*_with_calls` only its own."""
    whole = total(found)
    return _numbers(whole) | {
        "suite_version": package.VERSION,
        "suites": {name: _numbers(one) for name, one in found.items()},
        "lists_of_ours": ["/".join(key) for key in lists.OURS],
        "not_stopped": whole.passed,
        "attended": whole.attended,
        "stopped_by": dict(whole.rules.most_common()),
    }


def _numbers(one: Figures) -> dict[str, Any]:
    return {
        "pairs": one.pairs,
        "stopped": one.stopped,
        "pairs_with_calls": one.pairs - one.pairs_ours,
        "stopped_with_calls": one.stopped - one.stopped_ours,
        "wholly_stopped": one.wholly,
        "tasks": one.tasks,
        "unattended": one.unattended,
        "asks_per_task": round(one.asks / one.tasks, 2) if one.tasks else 0.0,
        "denials": one.denials,
    }


def lines(found: dict[str, Figures]) -> list[str]:
    """A table a suite, the attacks that pass and the tasks that ask."""
    rows = [("suite", "unattended", "asks a task", "stopped, its lists", "stopped, all", "every harmful call")]
    whole = total(found)
    rows += [_row(name, one) for name, one in (*found.items(), ("all", whole))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text += ["", "Held back first by: " + ", ".join(f"{rule} {count}" for rule, count in whole.rules.most_common())]
    text += ["", f"Not stopped: {len(whole.passed)}", *(f"  {one}" for one in whole.passed)]
    return [
        *text,
        "",
        f"Tasks that need the owner: {whole.tasks - whole.unattended}",
        *(f"  {o}" for o in whole.attended),
    ]


def _row(name: str, one: Figures) -> tuple[str, ...]:
    numbers = _numbers(one)
    return (
        name,
        f"{one.unattended}/{one.tasks}",
        f"{numbers['asks_per_task']:.2f}",
        f"{numbers['stopped_with_calls']}/{numbers['pairs_with_calls']}",
        f"{one.stopped}/{one.pairs}",
        f"{one.wholly}/{one.pairs}",
    )
