"""Cases: past runs that later revisions are tried on, and the assertions that judge a trial without a model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pocketlet.agents import agent as agents
from pocketlet.db import pool, queries

Q = queries.load("cases")
#: States of an effect that say the run wanted this mail to go out.
MEANT = ("planned", "approved", "dispatching", "succeeded", "unknown", "captured")
#: What the run drafted, whether or not the owner wanted it sent.
DRAFTED = (*MEANT, "refused")


@dataclass(frozen=True, slots=True)
class Assertion:
    """`kind`: contains or absent (a text of the mails, or of the result if there is none), effect (a mail to)."""

    kind: str
    expected: Mapping[str, str]

    def sentence(self) -> str:
        """As a person reads it."""
        match self.kind:
            case "contains":
                return f"the answer contains “{self.expected['text']}”"
            case "absent":
                return f"the answer does not contain “{self.expected['text']}”"
            case _:
                return f"a mail goes to {self.expected['to']}"


@dataclass(frozen=True, slots=True)
class Work:
    """What a run left: its mails (to, subject, body) and its result."""

    mails: tuple[Mapping[str, str], ...]
    result: str

    @property
    def text(self) -> str:
        """Where `contains` and `absent` look; blanks count as one."""
        parts = [f"{mail['subject']}\n{mail['body']}" for mail in self.mails] or [self.result]
        return " ".join("\n".join(parts).split()).casefold()


def holds(assertion: Assertion, work: Work) -> bool:
    """Whether the run's work is as the assertion says."""
    if assertion.kind == "effect":
        return any(mail["to"] == assertion.expected["to"] for mail in work.mails)
    found = " ".join(assertion.expected["text"].split()).casefold() in work.text
    return found if assertion.kind == "contains" else not found


def failing(assertions: Iterable[Assertion], work: Work) -> list[str]:
    """The assertions that do not hold, as sentences."""
    return [assertion.sentence() for assertion in assertions if not holds(assertion, work)]


async def keep(conn: pool.Conn, agent: agents.Agent, run: int) -> int:
    """The case of a run; made if there is none."""
    row = await (await conn.execute(Q["keep"], {"agent": agent.id, "run": run})).fetchone()
    return row["id"] if row else await of_run(conn, run)


async def of_run(conn: pool.Conn, run: int) -> int:
    """The case made of a run; 0 if there is none."""
    row = await (await conn.execute(Q["of_run"], {"run": run})).fetchone()
    return row["id"] if row else 0


async def add_assertion(
    conn: pool.Conn, case: int, assertion: Assertion, *, feedback: int | None = None, revision: int | None = None
) -> None:
    """With a `revision`, it counts for that draft and for what descends from it."""
    values = {"case": case, "kind": assertion.kind, "expected": pool.jsonb(dict(assertion.expected))}
    await conn.execute(Q["add_assertion"], values | {"feedback": feedback, "revision": revision})


async def assertions(conn: pool.Conn, case: int, revision: int) -> list[Assertion]:
    """What counts for a trial of `revision`: what was asserted, and that whoever the case's run wrote to gets a mail.

    The mails are looked up each time: a run that still waits may have its mail refused after the case was made.
    """
    meant = await (await conn.execute(Q["meant"], {"case": case, "states": list(MEANT)})).fetchall()
    rows = await (await conn.execute(Q["assertions"], {"case": case, "revision": revision})).fetchall()
    sent = [Assertion("effect", {"to": row["to"]}) for row in meant]
    return sent + [Assertion(row["kind"], row["expected"]) for row in rows]


async def work_of(conn: pool.Conn, run: int) -> Work:
    """What a run wanted to send, and its result."""
    result = await (await conn.execute(Q["result"], {"run": run})).fetchone()
    rows = await (await conn.execute(Q["mails"], {"run": run, "states": list(DRAFTED)})).fetchall()
    return Work(tuple(row["request"] for row in rows), (result["result"] if result else "") or "")


async def open_cases(conn: pool.Conn, agent: agents.Agent) -> list[dict[str, Any]]:
    """Cases that are not retired: case, run, and the run's input, raw, facts and label."""
    return list(await (await conn.execute(Q["open"], {"agent": agent.id})).fetchall())
