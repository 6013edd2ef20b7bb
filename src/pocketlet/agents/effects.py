"""Outside actions as rows: planned, decided on, dispatched once, and never repeated blindly after a crash."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import policy, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.platform import compose
from pocketlet.platform.gateways import submission

Q = queries.load("effects")


@dataclass(frozen=True, slots=True)
class Effect:
    """One outside action. `message` are the exact bytes; `rule` says what decided on it."""

    id: int
    run_id: int
    step_seq: int
    tool: str
    kind: str
    destination: str
    request: dict[str, Any]
    message: bytes | None
    request_hash: str
    state: str
    rule: str
    response: str | None
    waits: bool
    because: str


@dataclass(frozen=True, slots=True)
class Sender:
    """What a run needs to send mail: who it is, and the server, if there is one."""

    agent: agents.Agent
    manifest: manifests.Manifest
    task: tasks.Task
    server: submission.Submission | None
    instance: str

    @property
    def address(self) -> str:
        """The agent's own address: the one of agent.toml, else the one that the task's mail came to."""
        first = self.task.to.split(",")[0].strip()
        return self.manifest.mail_address or first or f"{self.agent.name}@localhost.localdomain"

    def standing(self, label: str) -> policy.Standing:
        """What the policy may rely on for this run."""
        bound = {self.task.sender.lower(), *self.manifest.recipients} - {""}
        own = frozenset({self.address.lower()})
        return policy.Standing(label, self.task.label == "owner", frozenset(bound), own, self.manifest.approvals)


async def find(conn: pool.Conn, run: int, seq: int) -> Effect | None:
    """The effect that this step asked for earlier, if it did."""
    row = await (await conn.execute(Q["find"], {"run": run, "seq": seq})).fetchone()
    return Effect(**row) if row else None


async def get(conn: pool.Conn, number: int) -> Effect:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["get"], {"id": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no effect {number}.")
    return Effect(**row)


async def plan(conn: pool.Conn, run: runs.Run, seq: int, mail: policy.Mail, sender: Sender) -> Effect:
    """Writes the effect with the decision on it, and the question to the owner if it asks."""
    decision = policy.on_mail(mail, sender.standing(run.label))
    states = {"deny": "blocked", "ask": "planned", "allow": "approved"}
    state = states[decision.verdict]
    if run.kind == "trial" and state != "blocked":
        state = "captured"
    message = _message(run, seq, mail, sender)
    server = sender.server
    row = {
        "agent": sender.agent.id,
        "run": run.id,
        "seq": seq,
        "class": "checkable" if server and server.sent else "unsafe",
        "to": mail.to,
        "request": pool.jsonb({"to": mail.to, "subject": mail.subject, "body": mail.body}),
        "message": message,
        "hash": compose.digest("mail", mail.to, message),
        "state": state,
        "rule": decision.rule,
        "said": decision.why if state == "blocked" else None,
        "fence": run.fence,
    }
    await runs.hold(conn, run)
    made = await (await conn.execute(Q["plan"], row)).fetchone()
    if state == "planned" and made:
        await conn.execute(Q["ask"], {"effect": made["id"], "question": "send", "why": decision.why})
    effect = await find(conn, run.id, seq)
    if effect is None:
        raise errors.Failed("The effect could not be planned.")
    return effect


def _message(run: runs.Run, seq: int, mail: policy.Mail, sender: Sender) -> bytes:
    answer = mail.to.lower() == sender.task.sender.lower() and bool(sender.task.message_id)
    return compose.compose(
        compose.Draft(
            sender=sender.address,
            sender_name=sender.manifest.mail_name,
            to=mail.to,
            subject=mail.subject,
            body=mail.body,
            message_id=message_id(run.id, seq, sender.instance),
            in_reply_to=sender.task.message_id if answer else "",
            references=sender.task.references if answer else (),
            date=clock.now(),
        )
    )


def message_id(run: int, seq: int, instance: str) -> str:
    """The Message-ID of the mail that this step sends: the same however often it is tried."""
    return f"<effect-{run}-{seq}@{instance}.pocketlet>"


async def deliver(database: pool.Database, run: runs.Run, effect: Effect, sender: Sender) -> str | None:
    """Sends an approved mail once; what the server said, or None if nobody can know and the owner was asked.

    Raises errors.NoMailServer (the effect stays approved), errors.MailRejected (it failed).
    """
    server = sender.server
    if server is None:
        raise errors.NoMailServer("The mail is approved, but no mail server is set.")
    if effect.message is None or compose.digest("mail", effect.destination, effect.message) != effect.request_hash:
        raise errors.Refused("The mail is not the one that was approved. Nothing was sent.")
    sent_as = message_id(run.id, effect.step_seq, sender.instance)
    if effect.state == "dispatching" and (found := await server.was_sent(sent_as)) is not False:
        return await _looked_up(database, run, effect, found=found)
    async with database.api() as conn:
        await move(conn, run, effect, ("approved", "dispatching"), "dispatching")
    try:
        return await server.send(effect.message, sender.address, effect.destination)
    except errors.NoMailServer as error:
        if not isinstance(error, errors.MailUncertain):
            async with database.api() as conn:  # certainly not sent: approved still stands, another try may send it
                await move(conn, run, effect, ("dispatching",), "approved")
            raise
        if (found := await server.was_sent(sent_as)) is not False:
            return await _looked_up(database, run, effect, found=found)
        raise  # it may still turn up: the effect stays `dispatching`, and another try looks again first


async def _looked_up(database: pool.Database, run: runs.Run, effect: Effect, *, found: bool | None) -> str | None:
    """After a break: it was sent, or (`found` is None) nobody can know and the owner is asked."""
    if found:
        return "found in the Sent folder"
    why = "The connection or the worker broke while this mail was handed over. It may have been sent. Send it again?"
    async with database.api() as conn:
        await move(conn, run, effect, ("dispatching",), "unknown")
        await conn.execute(Q["ask"], {"effect": effect.id, "question": "send-again", "why": why})
    return None


async def move(
    conn: pool.Conn, run: runs.Run, effect: Effect, states: tuple[str, ...], new: str, *, said: str | None = None
) -> None:
    """One transition, under the fence. Raises errors.LostRun, errors.Conflict."""
    values = {"id": effect.id, "fence": run.fence, "states": list(states), "new": new, "said": said}
    await conn.execute(Q["move"], values)


async def questions(conn: pool.Conn) -> list[dict[str, Any]]:
    """Everything that waits for the owner, oldest first, with the exact bytes."""
    return list(await (await conn.execute(Q["questions"])).fetchall())


async def of_run(conn: pool.Conn, run: int) -> list[dict[str, Any]]:
    """Every effect of a run, in order, without the bytes."""
    return list(await (await conn.execute(Q["of_run"], {"run": run})).fetchall())


async def decide(conn: pool.Conn, approval: int, *, yes: bool, because: str = "") -> Mapping[str, Any]:
    """The owner's word on one question; wakes the run. Raises errors.NotFound, errors.Conflict."""
    row = await (await conn.execute(Q["question"], {"id": approval})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no approval {approval}.", hint="`pocketlet approvals` lists what waits.")
    if row["state"] != "pending":
        raise errors.Conflict(f"Approval {approval} was {row['state']} already.")
    if row["run_state"] == "stopped":
        raise errors.Conflict(f"Run {row['run']} was stopped.", hint=f"`pocketlet retry {row['run']}` lets it go on.")
    if row["request_hash"] != row["effect_hash"]:
        raise errors.Refused("The mail has changed since the question was asked. Nothing was sent.")
    answer = {"id": approval, "state": "approved" if yes else "refused", "because": because}
    await conn.execute(Q["answer"], answer)
    if yes:
        await conn.execute(Q["set_state"], {"id": row["effect"], "state": "approved"})
    elif row["question"] == "send":
        await conn.execute(Q["set_state"], {"id": row["effect"], "state": "refused"})
    await runs.wake(conn, row["run"])
    return row
