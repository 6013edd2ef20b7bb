"""The owner's word on what waits: yes, no, no with a lesson, an edit, or a standing rule. Silence turns into no."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import effects, mailing, runs
from pocketlet.db import pool
from pocketlet.platform import audit, compose

Q = effects.Q
LONGEST = 100_000  # characters of an edited mail
REVIEW = 30  # days after which a standing rule no longer counts unless it is renewed


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on: the run that it wakes, the step, and where it would go."""

    run: int
    seq: int
    effect: int
    to: str


async def questions(conn: pool.Conn) -> list[dict[str, Any]]:
    """Everything that waits for the owner, oldest first, with the exact bytes; what is overdue is answered first."""
    await expire(conn)
    return list(await (await conn.execute(Q["questions"])).fetchall())


async def expire(conn: pool.Conn) -> int:
    """Answers every question whose time is over with no; how many."""
    overdue = [row["id"] for row in await (await conn.execute(Q["overdue"])).fetchall()]
    found = [await (await conn.execute(Q["question"], {"id": number})).fetchone() for number in overdue]
    rows = [row for row in found if row is not None]  # all locks first: the audit chain's is the last one
    for row in rows:
        if row["state"] == "pending":
            await _answer(conn, row, "expired", "nobody answered in time", actor="gate")
    return len(rows)


async def as_shown(conn: pool.Conn, approval: int, digest: str) -> None:
    """Holds the question and its effect for this transaction. `digest`: the request hash of what the owner was shown.

    Raises errors.NotFound, and errors.Conflict if other bytes than those would be sent.
    """
    row = await _locked(conn, approval)
    now = compose.digest(row["kind"], row["to"], bytes(row["message"] or b""))
    if not digest == row["request_hash"] == row["effect_hash"] == now:
        hint = "Nothing was decided. Look at it as it is now, and answer that."
        raise errors.Conflict(f"What approval {approval} asks about is not what you were shown.", hint=hint)


async def decide(conn: pool.Conn, approval: int, *, yes: bool, because: str = "") -> Decided:
    """The owner's word on one question; wakes the run. Raises errors.NotFound, errors.Conflict, errors.Refused."""
    row = await _open(conn, approval)
    return await _answer(conn, row, "approved" if yes else "refused", because)


async def edit(conn: pool.Conn, approval: int, body: str) -> Decided:
    """The owner's own text goes in the place of the mail's, and is thereby approved: a new effect with its own hash.

    Raises errors.NotFound, errors.Conflict, errors.BadInput.
    """
    row = await _open(conn, approval)
    if row["question"] != "send":
        raise errors.BadInput("It may have been sent already: only yes or no to the same bytes is possible.")
    if row["kind"] != "mail":
        raise errors.BadInput(
            "Only a mail can be edited here.", hint=f"`pocketlet refuse {approval} --because TEXT` says what to change."
        )
    if not body.strip() or len(body) > LONGEST:
        raise errors.BadInput(f"The text has to have 1 to {LONGEST} characters.", hint="Nothing was sent.")
    request = {**row["request"], "body": body}
    message = compose.with_body(bytes(row["message"]), body)
    values = {"id": row["effect"], "request": pool.jsonb(request), "message": message}
    await conn.execute(Q["set_state"], {"id": row["effect"], "state": "replaced"})
    digest = compose.digest("mail", row["to"], message)
    made = await (await conn.execute(Q["replace"], values | {"hash": digest})).fetchone()
    await conn.execute(Q["approve_edit"], {"effect": made["id"] if made else 0})
    await conn.execute(Q["answer"], {"id": approval, "state": "edited", "because": "the owner changed the text"})
    await runs.wake(conn, row["run"])
    decided = Decided(row["run"], row["seq"], made["id"] if made else 0, row["to"])
    await _record(conn, row, "edited", "owner", {"hash": digest})
    return decided


async def allow(conn: pool.Conn, approval: int, *, per_day: int, days: int = REVIEW) -> dict[str, Any]:
    """A standing rule for exactly this tool and destination; the rule. The question itself stays open.

    Raises errors.NotFound, errors.Conflict, errors.BadInput.
    """
    row = await _open(conn, approval)
    destination = rule_for(row)
    if not destination:
        hint = f"`pocketlet approve {approval}` allows it this once."
        raise errors.BadInput(
            f"A rule would not change this: it is asked for another reason ({row['rule']}).", hint=hint
        )
    values = {"agent": row["agent_id"], "tool": row["tool"], "kind": row["kind"], "to": destination}
    made = await (await conn.execute(Q["add_rule"], values | {"per_day": per_day, "days": days})).fetchone()
    rule = {"rule": made["id"] if made else 0, "agent": row["agent"], "tool": row["tool"], "to": destination}
    rule |= {"per_day": per_day, "review_on": made["review_on"] if made else None}
    await _record(conn, row, "rule", "owner", {key: str(value) for key, value in rule.items()})
    return rule


def rule_for(row: Mapping[str, Any]) -> str:
    """The destination that a standing rule made of this question would name; empty if a rule would not change it.

    `row` has the question's rule, kind and to.
    """
    if not row["rule"].endswith("-asks"):
        return ""
    destination = mailing.destination(row["to"]).value if row["kind"] == "mail" else row["to"]
    return destination.removeprefix("mcp:")


async def rules(conn: pool.Conn, agent: int | None = None) -> list[dict[str, Any]]:
    """Standing rules in force: number, agent, tool, kind, destination, per_day, left (today), review_on, stale."""
    return list(await (await conn.execute(Q["rules"], {"agent": agent})).fetchall())


async def remove_rule(conn: pool.Conn, number: int) -> str:
    """The rule counts no more; whose it was. Raises errors.NotFound."""
    row = await (await conn.execute(Q["remove_rule"], {"id": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no rule {number}.", hint="`pocketlet rule list` lists them.")
    await audit.write(conn, audit.Entry(actor="owner", action="rule.remove", subject=str(number), agent=row["agent"]))
    return row["agent"]


async def _open(conn: pool.Conn, approval: int) -> dict[str, Any]:
    """A question that can still be answered, its rows locked."""
    row = await _locked(conn, approval)
    if row["state"] == "pending" and row["late"]:
        raise errors.Conflict(f"Approval {approval} has expired: the answer is no.")
    if row["state"] != "pending":
        raise errors.Conflict(f"Approval {approval} was {row['state']} already.")
    if row["run_state"] == "stopped":
        raise errors.Conflict(f"Run {row['run']} was stopped.", hint=f"`pocketlet retry {row['run']}` lets it go on.")
    if row["request_hash"] != row["effect_hash"]:
        what = "mail" if row["kind"] == "mail" else "request"
        raise errors.Refused(f"The {what} has changed since the question was asked. Nothing was sent.")
    return row


async def _locked(conn: pool.Conn, approval: int) -> dict[str, Any]:
    row = await (await conn.execute(Q["question"], {"id": approval})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no approval {approval}.", hint="`pocketlet approvals` lists what waits.")
    return row


async def _answer(
    conn: pool.Conn, row: Mapping[str, Any], state: str, because: str, *, actor: str = "owner"
) -> Decided:
    await conn.execute(Q["answer"], {"id": row["id"], "state": state, "because": because})
    if state == "approved":
        await conn.execute(Q["set_state"], {"id": row["effect"], "state": "approved"})
    elif row["question"] == "send":
        await conn.execute(Q["set_state"], {"id": row["effect"], "state": "refused"})
    await runs.wake(conn, row["run"])
    await _record(conn, row, state, actor, {"because": because[:500]})
    return Decided(row["run"], row["seq"], row["effect"], row["to"])


async def _record(
    conn: pool.Conn, row: Mapping[str, Any], verdict: str, actor: str, details: Mapping[str, object]
) -> None:
    entry = audit.Entry(
        actor="owner" if actor == "owner" else "gate",
        action="approval.decide",
        subject=row["to"],
        agent_id=row["agent_id"],
        run_id=row["run"],
        step_seq=row["seq"],
        verdict=verdict,
        rule=row["rule"],
        details={"approval": row["id"], "hash": row["effect_hash"], **details},
    )
    await audit.write(conn, entry)
