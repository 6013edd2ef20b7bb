"""The brakes: twenty runs that go in circles end within twelve steps, and work that only looks alike goes on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pocketlet.agents import brakes, journal

#: A call and what it gave: tool, arguments, answer (an error if it begins with "error: ").
Said = tuple[str, dict[str, Any], str]
Script = Callable[[int], list[Said]]
NONE = "id\n(0 rows)"


def sql(query: str, answer: str) -> Said:
    return "sql", {"query": query}, answer


def mail(body: str, answer: str) -> Said:
    return "send_mail", {"to": "x@y.example", "subject": "s", "body": body}, answer


def remember(subject: str) -> Said:
    return "remember", {"kind": "note", "subject": subject}, "remembered"


def cycle(*calls: Said) -> Script:
    return lambda n: [calls[n % len(calls)]]


def steps_of(replies: Iterator[list[Said]]) -> Iterator[list[journal.Step]]:
    """The journal after each reply has been carried out."""
    steps: list[journal.Step] = []
    for calls in replies:
        steps.append(
            journal.Step(len(steps) + 1, "model", None, {"hash": "h"}, {"text": "", "calls": []}, None, "owner")
        )
        for tool, args, answer in calls:
            error = answer.removeprefix("error: ") if answer.startswith("error: ") else None
            said = None if error else answer
            steps.append(journal.Step(len(steps) + 1, "tool", tool, args, said, error, "owner"))
        yield list(steps)


def ends(script: Script) -> tuple[int, str]:
    """After how many steps the brakes stop the script, and what they say."""
    for steps in steps_of(script(n) for n in range(50)):
        if why := brakes.stuck(steps):
            return len(steps), why
    return 1000, ""


A, B, C = (sql(f"SELECT {name}", f"{name}\n{name}1\n(1 row)") for name in "abc")
LOOPS: dict[str, Script] = {
    "the same call": cycle(A),
    "the same search that finds nothing": cycle(("search", {"words": "late"}, "(0 rows)")),
    "two calls in turn": cycle(A, B),
    "three calls in turn": cycle(A, B, C),
    "two calls in turn, whose answers change": lambda n: [sql("ab"[n % 2], f"now\n{n}\n(1 row)")],
    "one call whose answer changes": lambda n: [sql("SELECT now()", f"now\n{n}\n(1 row)")],
    "three calls at once, in another order each time": lambda n: [*[A, B, C][n % 3 :], *[A, B, C][: n % 3]],
    "the same query with another comment": lambda n: [sql(f"SELECT a -- try {n}", A[2])],
    "the same result of another program": lambda n: [("code", {"code": f"print(42)  # {n}"}, "42")],
    "search after search that finds nothing": lambda n: [("search", {"words": f"word{n}"}, "(0 rows)")],
    "pages of the same table, larger each time, with no more rows": lambda n: [sql(f"SELECT b LIMIT {n + 9}", B[2])],
    "the same rows in another order": lambda n: [sql(f"ORDER BY {n}", "\n".join(["x", *("12" if n % 2 else "21")]))],
    "queries with a mistake": lambda n: [sql(f"SELEC {n}", f"error: syntax error at {n}")],
    "a tool that is not there": lambda n: [("shell", {"command": f"ls {n}"}, "error: there is no tool shell")],
    "arguments that do not fit": lambda n: [("read", {"table": "x", "id": n}, "error: one of memories, results")],
    "mails that are blocked, each with another text": lambda n: [
        mail(f"v{n}", "blocked: unbound: No. Nothing was sent.")
    ],
    "mails that the owner refuses, each with another text": lambda n: [mail(f"v{n}", f"refused by the owner: no {n}.")],
    "a page that is asked for with another number each time": lambda n: [
        ("http", {"connection": "shop", "method": "GET", "path": f"/o/{n}"}, "HTTP 404\n\nnone")
    ],
    "the same mail": cycle(mail("Hello", "sent to x@y.example")),
    "an error, a look, an error, a look": lambda n: [A if n % 2 else sql("SELEC", "error: syntax error")],
}


def test_there_are_twenty() -> None:
    assert len(LOOPS) == 20


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_ends_within_twelve_steps(name: str) -> None:
    steps, why = ends(LOOPS[name])
    assert steps <= 12
    assert why.endswith(": it is stuck.")


@pytest.mark.parametrize("length", [4, 5, 6])
def test_longer_cycles_end_in_their_second_round(length: int) -> None:
    calls = [sql(f"SELECT {n}", f"n\n{n}\n(1 row)") for n in range(length)]
    assert ends(cycle(*calls))[0] == 2 * (length + 3)


WORK: dict[str, list[list[Said]]] = {
    "twelve memories, one by one": [[remember(f"fact {n}")] for n in range(12)],
    "twelve orders over one connection": [
        [("http", {"connection": "shop", "method": "POST", "path": "/o", "body": {"n": n}}, "HTTP 201\n\nok")]
        for n in range(12)
    ],
    "twelve mails to one address": [[mail(f"part {n}", "sent to x@y.example")] for n in range(12)],
    "ten orders that are not there, asked for at once": [[sql(f"SELECT {n}", NONE) for n in range(10)]],
    "ten looks at different rows": [[sql(f"SELECT {n}", f"n\nrow {n}\n(1 row)")] for n in range(10)],
    "looking again after each of ten deeds": [
        call for n in range(10) for call in ([remember(f"{n}")], [sql("SELECT n", f"n\n{n}\n(1 row)")])
    ],
    "four mistakes, then right": [*([sql(f"SELEC {n}", "error: no")] for n in range(4)), [A]],
    "mistakes with something right between": [
        [sql(f"SELEC {n}", f"error: {n}"), sql(f"SELECT {n}", f"{n}")] for n in range(9)
    ],
    "all read twice": [[call] for call in (A, B, A, B)],
    "four searches that find nothing, then one that does": [
        *([("search", {"words": f"{n}"}, "(0 rows)")] for n in range(4)),
        [("search", {"words": "late"}, "subject\nlate\n(1 row)")],
    ],
    "nothing yet": [],
}  # fmt: skip


@pytest.mark.parametrize("name", WORK)
def test_work_goes_on(name: str) -> None:
    assert [brakes.stuck(steps) for steps in steps_of(iter(WORK[name]))] == [""] * len(WORK[name])


def test_calls_and_answers_that_differ_each_time_are_left_to_max_steps() -> None:
    assert ends(lambda n: [sql(f"SELECT {n}, now()", f"now\n{n}\n(1 row)")]) == (1000, "")


def test_a_verdict_stays_when_the_run_is_tried_again() -> None:
    journals = list(steps_of(LOOPS["two calls in turn"](n) for n in range(8)))
    verdicts = [bool(brakes.stuck(steps)) for steps in journals]
    assert verdicts == sorted(verdicts)
    assert verdicts.index(True) == 4
