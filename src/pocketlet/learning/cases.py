"""Cases: past runs that later revisions are tried on, and what judges them.

A case is a candidate until it has passed three times in a row on what is in force; from then on it can hold a change
up. A fifth of all cases never does: they show whether a playbook only fits the cases that it is tried on.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.db import pool, queries
from pocketlet.learning import assertions as asserting

Q = queries.load("cases")
#: States of an effect that say the run wanted this mail to go out.
MEANT = ("planned", "approved", "dispatching", "succeeded", "unknown", "captured")
#: What the run drafted, whether or not the owner wanted it sent.
DRAFTED = (*MEANT, "refused")
PASSES = 3  # in a row; learning.md: a case that passed thrice fails its next trial in 9 % (once: 35 %)
MOST_A_SCOPE = 8
VOCABULARY = 50
AUDIT_SHARE = 5  # one case in so many


@dataclass(frozen=True, slots=True)
class Case:
    """A case with the input of its run. `passes` in a row on `model`; `accepted`: the owner called the run right.

    `model_in_use` is that of the agent's newest run, on which trials are made.
    """

    id: int
    run: int
    state: str
    accepted: bool
    passes: int
    pinned: bool
    model: str | None
    facts: Mapping[str, str]
    input: dict[str, Any]
    raw: bytes | None
    label: str
    model_in_use: str | None

    @property
    def audit(self) -> bool:
        """Whether it belongs to the share that never gates."""
        return audit(self.id)


def audit(case: int) -> bool:
    """Whether a case is of the audit share: a fifth, by the hash of its number."""
    return hashlib.sha256(str(case).encode()).digest()[0] % AUDIT_SHARE == 0


async def keep(conn: pool.Conn, agent: agents.Agent, run: int) -> int:
    """The case of a run; made if there is none."""
    row = await (await conn.execute(Q["keep"], {"agent": agent.id, "run": run})).fetchone()
    return row["id"] if row else await of_run(conn, run)


async def of_run(conn: pool.Conn, run: int) -> int:
    """The case made of a run; 0 if there is none."""
    row = await (await conn.execute(Q["of_run"], {"run": run})).fetchone()
    return row["id"] if row else 0


async def accept(conn: pool.Conn, case: int) -> None:
    """The owner called the run right: one pass, and its work vouches for the case."""
    await conn.execute(Q["accept"], {"case": case})


async def unaccept(conn: pool.Conn, case: int) -> None:
    """The owner corrected the run: its work vouches for nothing, and earlier passes do not count."""
    await conn.execute(Q["unaccept"], {"case": case})


async def tried(conn: pool.Conn, case: int, model: str, *, passed: bool) -> None:
    """A trial on what is in force: the third pass in a row makes a case stable, if its scope has room."""
    values = {"case": case, "model": model, "passed": passed, "needed": PASSES, "most": MOST_A_SCOPE}
    await conn.execute(Q["tried"], values)


async def rebase(conn: pool.Conn, case: int) -> None:
    """The passes were another model's: the case has to earn them again."""
    await conn.execute(Q["rebase"], {"case": case})


async def retire(conn: pool.Conn, case: int, reason: str, feedback: int | None, revision: int) -> None:
    """The case counts no more, because of this feedback, as long as this revision or one made of it counts."""
    values = {"case": case, "reason": reason, "feedback": feedback, "revision": revision}
    await conn.execute(Q["retire"], values)


async def come_back(conn: pool.Conn, agent: agents.Agent, revision: int) -> None:
    """What this revision retired counts again, to be admitted anew: its lesson was taken back."""
    await conn.execute(Q["come_back"], {"agent": agent.id, "revision": revision})


async def follow(conn: pool.Conn, agent: agents.Agent) -> None:
    """After going back or forward: cases are retired as the line of the current revision says."""
    await conn.execute(Q["follow"], {"agent": agent.id, "revision": agent.current})


async def quarantine(conn: pool.Conn, case: int, reason: str) -> None:
    """The case can't be tried at present: it blocks nothing."""
    await conn.execute(Q["quarantine"], {"case": case, "reason": reason})


async def pin(conn: pool.Conn, agent: agents.Agent, case: int, *, pinned: bool) -> None:
    """A pinned case is always tried. Raises errors.NotFound."""
    found = await conn.execute(Q["pin"], {"agent": agent.id, "case": case, "pinned": pinned})
    if not found.rowcount:
        raise errors.NotFound(f"{agent.name} has no case {case}.", hint=f"`pocketlet cases {agent.name}` lists them.")


async def add_assertion(
    conn: pool.Conn,
    case: int,
    assertion: asserting.Assertion,
    *,
    feedback: int | None = None,
    revision: int | None = None,
) -> None:
    """With a `revision`, it counts for that draft and for what descends from it."""
    values = {"case": case, "kind": assertion.kind, "expected": pool.jsonb(dict(assertion.expected))}
    await conn.execute(Q["add_assertion"], values | {"feedback": feedback, "revision": revision})


async def assertions(conn: pool.Conn, case: int, revision: int) -> list[asserting.Assertion]:
    """What counts for a trial of `revision`: that whoever the case's run wrote to gets a mail, what was asserted, and
    of accepted work what it says of every text that somebody cared about.

    The mails are looked up each time: a run that still waits may have its mail refused after the case was made.
    """
    meant = await (await conn.execute(Q["meant"], {"case": case, "states": list(MEANT)})).fetchall()
    rows = await (await conn.execute(Q["assertions"], {"case": case, "revision": revision})).fetchall()
    found = [asserting.Assertion("effect", {"to": row["to"]}) for row in meant]
    found += await _in_force(conn, case, rows)
    one = await (await conn.execute(Q["vouches"], {"case": case})).fetchone()
    if one and one["accepted"]:
        words = await (
            await conn.execute(Q["vocabulary"], {"case": case, "revision": revision, "most": VOCABULARY})
        ).fetchall()
        said = {asserting.folded(item.expected["text"]) for item in found if "text" in item.expected}
        texts = [row["text"] for row in words if asserting.folded(row["text"]) not in said]
        found += asserting.vocabulary(texts, await work_of(conn, one["run"]))
    return found


async def _in_force(conn: pool.Conn, case: int, rows: Sequence[Mapping[str, Any]]) -> list[asserting.Assertion]:
    """All but those that a text which the owner endorsed later (an edit, or the run itself) does not hold to.

    The newest word counts within a case, too.
    """
    last = await (await conn.execute(Q["endorsed"], {"case": case})).fetchone()
    found = [(row["feedback_id"] or 0, asserting.Assertion(row["kind"], row["expected"])) for row in rows]
    if last is None:
        return [item for _, item in found]
    edited = last["edited"]
    body = {"to": "", "subject": "", "body": edited or ""}
    work = asserting.Work((body,), "") if edited else await work_of(conn, last["run"])
    text_only = ("contains", "absent", "max_words")
    return [
        item
        for given, item in found
        if given >= last["id"] or item.kind not in text_only or asserting.holds(item, work)
    ]


async def words(conn: pool.Conn, case: int) -> str:
    """All that the owner said of the case's run, a line each."""
    row = await (await conn.execute(Q["words"], {"case": case})).fetchone()
    return row["words"] if row else ""


async def work_of(conn: pool.Conn, run: int) -> asserting.Work:
    """What a run wanted to send, its result, and its calls."""
    result = await (await conn.execute(Q["result"], {"run": run})).fetchone()
    rows = await (await conn.execute(Q["mails"], {"run": run, "states": list(DRAFTED)})).fetchall()
    calls = await (await conn.execute(Q["calls"], {"run": run})).fetchall()
    return asserting.Work(
        tuple(row["request"] for row in rows),
        (result["result"] if result else "") or "",
        tuple(asserting.call(row["tool"], row["request"]) for row in calls),
    )


async def open_cases(conn: pool.Conn, agent: agents.Agent) -> list[Case]:
    """Cases that are not retired, the newest first."""
    rows = await (await conn.execute(Q["open"], {"agent": agent.id})).fetchall()
    return [Case(**row) for row in rows]


async def listing(
    conn: pool.Conn, agent: agents.Agent, *, below: int | None = None, most: int | None = None
) -> list[dict[str, Any]]:
    """Cases as a person sees them: state, passes, scope, why one was retired, the assertions as sentences.

    The newest first, of those with a number below `below`; `most` of them.
    """
    values = {"agent": agent.id, "below": below, "most": most}
    rows = list(await (await conn.execute(Q["listing"], values)).fetchall())
    for row in rows:
        row["scope"] = json.loads(row["scope"] or "{}")
        row["audit"] = audit(row["case"])
        row["assertions"] = [item.sentence() for item in await assertions(conn, row["case"], agent.current)]
    return rows
