"""A wrong fact: a memory row is superseded by the owner's correction; no prompt changes, and no model is asked.

Rows are never changed in what they say: the old version ends where the new one begins, and leaves `memories` for
`memories_before`. So runs read only what counts, and a trial of an earlier run still reads what that run could read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.db import pool, queries
from pocketlet.learning import feedback

Q = queries.load("corrections")
MAX_BODY = 20_000
MAX_SUBJECT = 500
SWEPT = "forget-source"


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction made: the feedback, the row that was there, the one that is there now (None: none)."""

    feedback: int
    row: int
    new: int | None
    outcome: str

    @property
    def undo(self) -> int:
        """The row to name for taking it back."""
        return self.new or self.row


async def correct(conn: pool.Conn, agent: agents.Agent, row: int, comment: str, body: str | None = None) -> Corrected:
    """Puts the owner's words (`body`, else the comment) in the place of a row.

    Kind and entity stay, and the subject unless it came from outside: the owner vouches for no one else's words.
    Raises errors.NotFound, errors.Conflict (superseded already), errors.BadInput.
    """
    text = (body if body is not None else comment).strip()
    if not text:
        raise errors.BadInput("Say what is right.", hint="Give a TEXT, or `--forget` if nothing of it is.")
    if len(text) > MAX_BODY:
        raise errors.BadInput(f"The correction is longer than {MAX_BODY} characters.")
    version = await _next_version(conn, agent)
    old = await _supersede(conn, agent, row, version)
    outside = old["integrity"] == "outside"
    values = {
        "kind": old["kind"],
        "entity": old["entity"] if not outside or _names(old["entity"]) else None,
        "subject": text.partition("\n")[0][:MAX_SUBJECT] if outside else old["subject"],
        "body": text,
        "secrecy": old["secrecy"],
        "ref": f"memories {row}",
        "version": version,
    }
    made = await (await conn.execute(queries.named(Q["insert"], schema=agent.name), values)).fetchone()
    new = int(made["id"]) if made else 0
    said = feedback.Said("change", comment, body, {"act": "correct", "new": new})
    return await _noted(conn, agent, old, said, f"memory corrected: memories {new} in the place of {row}")


def _names(entity: str | None) -> bool:
    """Whether an entity from outside is a plain name of something: one word can't be an instruction."""
    return entity is not None and len(entity.split()) == 1 and len(entity) <= 254


async def forget(conn: pool.Conn, agent: agents.Agent, row: int, comment: str = "") -> Corrected:
    """Ends a row with nothing in its place. Raises errors.NotFound, errors.Conflict."""
    old = await _supersede(conn, agent, row, await _next_version(conn, agent))
    said = feedback.Said("change", comment, None, {"act": "forget"})
    return await _noted(conn, agent, old, said, f"memory corrected: memories {row} is forgotten")


async def undo(conn: pool.Conn, agent: agents.Agent, row: int, comment: str = "") -> Corrected:
    """Takes the correction that made `row` back, or that `row` was forgotten: what was there before is there again.

    It comes back as a new row with the old labels. Raises errors.NotFound, errors.Conflict (nothing to take back).
    """
    version = await _next_version(conn, agent)
    before = await _load(conn, agent, row)
    last = await (await conn.execute(Q["last"], {"agent": agent.id, "row": row})).fetchone()
    about: dict[str, Any] = last["about"] if last else {}
    if about.get("act") == "correct" and about["new"] == row:
        await _supersede(conn, agent, row, version)
        before = await _load(conn, agent, about["row"])
    elif about.get("act") != "forget":
        raise errors.Conflict(
            f"There is no correction of memories {row} to take back.",
            hint="Name the row that the correction made, or the one that was forgotten.",
        )
    values = {"id": before["id"], "version": version}
    made = await (await conn.execute(queries.named(Q["copy"], schema=agent.name), values)).fetchone()
    new = int(made["id"]) if made else 0
    said = feedback.Said("change", comment, None, {"act": "undo", "new": new, "from": row})
    return await _noted(conn, agent, before, said, f"memory corrected: memories {new}, as {before['id']} was")


async def last_word(conn: pool.Conn, agent: agents.Agent, row: int) -> dict[str, Any]:
    """The last correction that concerns a row: its `feedback` and `at`, and `act`, `row`, `new`, `from` or `version`.

    Empty if there is none.
    """
    here = await _load(conn, agent, row)
    values = {"agent": agent.id, "row": row, "version": here["v_to"]}
    found = await (await conn.execute(Q["word"], values)).fetchone()
    return {"feedback": found["id"], "at": found["at"], **found["about"]} if found else {}


@dataclass(frozen=True, slots=True)
class Sweep:
    """Memories of one source: those that were kept from mails of `sender`, and, if `about`, those about them."""

    sender: str
    about: bool = False


async def swept_by(conn: pool.Conn, agent: agents.Agent, sweep: Sweep) -> list[int]:
    """The memories that count and that forgetting this source would end. Raises errors.BadInput."""
    if not sweep.sender.strip() or len(sweep.sender) > 320:
        raise errors.BadInput("Say whose memories.", hint="Give the address that their mails came from.")
    values = {"agent": agent.id, "sender": sweep.sender.strip(), "about": sweep.about}
    query = queries.named(Q["of_source"], schema=agent.name)
    return [row["id"] for row in await (await conn.execute(query, values)).fetchall()]


async def forget_source(conn: pool.Conn, agent: agents.Agent, sweep: Sweep, expected: int) -> Corrected:
    """Ends all memories of a source at one version, with nothing in their place; `restore` takes it back.

    Raises errors.BadInput, errors.NotFound (there is none), errors.Conflict (they are not `expected` many any more).
    """
    version = await _next_version(conn, agent)
    rows = await swept_by(conn, agent, sweep)
    if not rows:
        raise errors.NotFound(f"{agent.name} remembers nothing of {sweep.sender}.")
    if len(rows) != expected:
        raise errors.Conflict(f"There are {len(rows)} memories now, not {expected}.", hint="Look again, then decide.")
    values = {"ids": rows, "version": version}
    await conn.execute(queries.named(Q["sweep"], schema=agent.name), values)
    about = {"table": "memories", "act": SWEPT, "sender": sweep.sender.strip(), "about": sweep.about}
    about |= {"version": version, "rows": len(rows)}
    outcome = f"memory corrected: {len(rows)} memories of {sweep.sender.strip()} are forgotten"
    return await _told(conn, agent, about, outcome)


async def swept(conn: pool.Conn, agent: agents.Agent, number: int) -> dict[str, Any]:
    """What a feedback forgot of a source (`about`), and whether that was `taken_back`. Raises errors.NotFound."""
    found = await (await conn.execute(Q["swept"], {"agent": agent.id, "id": number})).fetchone()
    if found is None:
        raise errors.NotFound(f"Feedback {number} forgot no source.")
    return dict(found)


async def restore(conn: pool.Conn, agent: agents.Agent, number: int) -> Corrected:
    """Takes back that a source was forgotten, by its feedback: new rows with the old labels.

    Raises errors.NotFound, errors.Conflict (that was taken back already).
    """
    version = await _next_version(conn, agent)
    found = await swept(conn, agent, number)
    if found["taken_back"]:
        raise errors.Conflict(f"What feedback {number} forgot is there again.", hint="Nothing was changed.")
    values = {"then": found["about"]["version"], "version": version}
    made = await conn.execute(queries.named(Q["copy_swept"], schema=agent.name), values)
    about = {"table": "memories", "act": "restore", "of": number, "version": version, "rows": made.rowcount}
    outcome = f"memory corrected: {made.rowcount} memories of {found['about']['sender']} are there again"
    return await _told(conn, agent, about, outcome)


async def _told(conn: pool.Conn, agent: agents.Agent, about: dict[str, Any], outcome: str) -> Corrected:
    number = await feedback.store(conn, agent, None, feedback.Said("change", "", None, about))
    await feedback.settle(conn, number, outcome)
    return Corrected(number, 0, None, outcome)


async def _load(conn: pool.Conn, agent: agents.Agent, row: int) -> dict[str, Any]:
    found = await (await conn.execute(queries.named(Q["get"], schema=agent.name), {"id": row})).fetchone()
    if found is None:
        raise errors.NotFound(f"{agent.name} has no memory {row}.", hint="`pocketlet sql` shows `memories` by id.")
    return dict(found)


async def _next_version(conn: pool.Conn, agent: agents.Agent) -> int:
    """First of all: the agent's row is locked from here on, so that memory writes come one after the other."""
    row = await (await conn.execute(Q["version"], {"agent": agent.id})).fetchone()
    return int(row["memory_version"]) if row else 0


async def _supersede(conn: pool.Conn, agent: agents.Agent, row: int, version: int) -> dict[str, Any]:
    old = await _load(conn, agent, row)
    done = await conn.execute(queries.named(Q["supersede"], schema=agent.name), {"id": row, "version": version})
    if not done.rowcount:
        raise errors.Conflict(
            f"Memory {row} of {agent.name} counts no more.",
            hint=f"What is in its place, if anything, has the origin_ref 'memories {row}'.",
        )
    return old


async def _noted(
    conn: pool.Conn, agent: agents.Agent, old: Mapping[str, Any], said: feedback.Said, outcome: str
) -> Corrected:
    """The feedback with its outcome, in the transaction of the correction; on the run that had remembered the row."""
    if len(said.comment) > feedback.MAX_COMMENT:
        raise errors.BadInput(f"The comment is longer than {feedback.MAX_COMMENT} characters.")
    run = old["origin_run"]
    if run is not None:
        here = await (await conn.execute(Q["run"], {"run": run, "agent": agent.id})).fetchone()
        run = run if here else None
    about: dict[str, Any] = {"table": "memories", "row": old["id"], **said.about}
    kept = feedback.Said(said.verdict, said.comment, said.edited, about)
    number = await feedback.store(conn, agent, run, kept)
    await feedback.settle(conn, number, outcome)
    return Corrected(number, old["id"], about.get("new"), outcome)


async def row_of(conn: pool.Conn, name: str) -> tuple[agents.Agent, int]:
    """`AGENT:ID` as an agent and the number of a memory. Raises errors.BadInput, errors.NotFound."""
    agent, _, number = name.rpartition(":")
    if not agent or not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise errors.BadInput(f"{name!r} names no memory.", hint="Write AGENT:ID, for instance crm:12.")
    return await agents.get(conn, agent), int(number)
