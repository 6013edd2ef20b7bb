"""Whether a run only goes in circles: told from its steps alone, before the next model call is paid for.

Pure. What these brakes do not see (other arguments and another answer each time) ends at `max_steps` and at the budget.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pocketlet.agents import journal
from pocketlet.db import pool

SAME_CALLS = 3  # the same call with the same answer, wherever in the run
#: The same calls in a row, whatever they gave: how often, by the length of the cycle.
CYCLES = {1: 5, 2: 3, 3: 3}
IDLE = 5  # points: 1 for a reply whose calls told nothing new, 2 if it had made them before
ERRORS = 5  # replies in a row of which no call worked
#: Tools that only look: another question with an answer that was read before is nothing new. Any other call is a deed.
LOOKS = frozenset(("sql", "search", "read", "skill", "attachment", "code"))
#: How the answer of a deed begins that was not done.
UNDONE = ("blocked:", "refused", "failed:")
HINT = (
    "See what it keeps doing: `pocketlet show RUN`. Say in the instructions what to do when a look-up finds nothing, "
    "and start a new run: this one would stop here again."
)
Call = tuple[str, str]


def stuck(steps: Sequence[journal.Step]) -> str:
    """Why the run is stuck, in a sentence; empty if it is not. `steps` are all of a run's, in order."""
    done = [step for step in steps if step.kind == "tool"]
    return _same(done) or _cycle([_call(step) for step in done]) or _failing(steps) or _idle(steps)


def _call(step: journal.Step) -> Call:
    return step.tool or "", pool.canonical(step.request)


def _same(done: Sequence[journal.Step]) -> str:
    counted = Counter((*_call(step), pool.canonical(step.response)) for step in done)
    for (tool, _, _), times in counted.most_common(1):
        if times >= SAME_CALLS:
            return f"The run called {tool} {times} times with the same result: it is stuck."
    return ""


def _cycle(calls: list[Call]) -> str:
    for length, times in CYCLES.items():
        tail = calls[-length * times :]
        if len(tail) == length * times and tail == tail[:length] * times:
            named = " and ".join(tool for tool, _ in tail[:length])
            return f"The run made the same calls ({named}) {times} times in a row: it is stuck."
    return ""


def _failing(steps: Sequence[journal.Step]) -> str:
    in_a_row = 0
    for round_ in reversed(_rounds(steps)):
        if not all(_undone(step) for step in round_):
            break
        in_a_row += 1
    if in_a_row < ERRORS:
        return ""
    return f"No call of the run's last {in_a_row} replies worked, the last one {steps[-1].tool}: it is stuck."


def _looks(step: journal.Step) -> bool:
    asked = cast("Mapping[str, Any]", step.request)
    return step.tool in LOOKS or (step.tool == "http" and str(asked.get("method")).upper() in ("GET", "HEAD"))


def _undone(step: journal.Step) -> bool:
    return bool(step.error) or (not _looks(step) and str(step.response).startswith(UNDONE))


def _idle(steps: Sequence[journal.Step]) -> str:
    calls: set[Call] = set()
    lines: set[str] = set()
    points = replies = 0
    for round_ in _rounds(steps):
        repeated, new = True, False
        for step in round_:
            call, said = _call(step), set(journal.content(step).splitlines() or [""])
            deed = not _looks(step) and call not in calls and not _undone(step)
            new |= deed or not said <= lines
            repeated &= call in calls
            calls.add(call)
            lines |= said
        points = 0 if new else points + 1 + repeated
        replies = 0 if new else replies + 1
    return f"The run's last {replies} replies brought nothing that it had not read before: it is stuck." * (
        points >= IDLE
    )


def _rounds(steps: Sequence[journal.Step]) -> list[list[journal.Step]]:
    """The calls of each reply: what was asked for at once counts as one try."""
    rounds: list[list[journal.Step]] = []
    for step in steps:
        if step.kind == "model":
            rounds.append([])
        elif rounds:
            rounds[-1].append(step)
    return [round_ for round_ in rounds if round_]
