"""Outside actions as rows: planned with the decision on them, dispatched once, and never repeated blindly.

What a break past the send means is said by the effect's class; a `Carrier` knows how bytes of one kind go out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pocketlet import errors
from pocketlet.agents import runs
from pocketlet.db import pool, queries
from pocketlet.platform import audit, compose, egress
from pocketlet.policy import calls, core

Q = queries.load("effects")
WINDOW = 24  # hours for which a service keeps an idempotency key (Stripe's v1); later nobody can know
ATTEMPTS = 3  # of a call that may be repeated, before the owner is asked
EXPIRE = 7  # days after which a question is answered with no
STATES = {"deny": "blocked", "ask": "planned", "allow": "approved"}


@dataclass(frozen=True, slots=True)
class Intent:
    """An outside action that a run wants: what the policy looks at, and the exact bytes.

    `kind`: mail, http or mcp. `effect_class`: read, idempotent, keyed, checkable or unsafe. `request` is the same for
    people.
    """

    kind: str
    effect_class: str
    call: calls.Call
    destination: str
    request: Mapping[str, Any]
    message: bytes


@dataclass(frozen=True, slots=True)
class Effect:
    """One outside action. `message` are the exact bytes; `rule` says what decided on it; `waits`: for the owner's word.

    `edited`: the owner changed it before it went. `in_window`: its key is still good. `approved_hash`: what the owner's
    yes is bound to, if they gave one.
    """

    id: int
    run_id: int
    step_seq: int
    tool: str
    kind: str
    effect_class: str
    destination: str
    request: dict[str, Any]
    message: bytes | None
    request_hash: str
    state: str
    rule: str
    response: str | None
    waits: bool
    because: str
    edited: bool
    attempt: int
    in_window: bool
    approved_hash: str | None


class Carrier(Protocol):
    """How bytes of one kind leave. Both methods know the effect by its id and bytes alone."""

    async def carry(self, effect: Effect) -> str:
        """Sends it; what the other side said.

        Raises errors.NoMailServer or errors.ServiceUnreachable if it surely was not sent, their subclasses
        errors.MailUncertain or errors.ServiceUncertain if nobody can know, errors.Rejected if it was refused there.
        """
        ...

    async def look(self, effect: Effect) -> bool | None:
        """Whether it was sent, after a break; None if nobody can know."""
        ...


UNSURE = (errors.MailUncertain, errors.ServiceUncertain)
GIVEN_UP = (errors.Rejected, errors.Refused, errors.EgressRefused)


async def find(conn: pool.Conn, run: int, seq: int) -> Effect | None:
    """The effect that this step asked for earlier, if it did."""
    row = await (await conn.execute(Q["find"], {"run": run, "seq": seq, "window": WINDOW})).fetchone()
    return Effect(**{("effect_class" if key == "class" else key): value for key, value in row.items()}) if row else None


async def plan(conn: pool.Conn, run: runs.Run, seq: int, intent: Intent, standing: calls.Standing) -> Effect:
    """Writes the effect with the decision on it, and the question to the owner if it asks."""
    decision = await _decided(conn, intent, standing)
    state = STATES[decision.verdict]
    if (run.kind == "trial" or run.dry) and state != "blocked":
        state = "captured"
    row = {
        "agent": run.agent_id,
        "run": run.id,
        "seq": seq,
        "tool": intent.call.sink.tool,
        "kind": intent.kind,
        "class": intent.effect_class,
        "to": intent.destination,
        "request": pool.jsonb(dict(intent.request)),
        "message": intent.message,
        "hash": compose.digest(intent.kind, intent.destination, intent.message),
        "state": state,
        "rule": decision.rule,
        "rule_id": decision.standing_rule or None if state == "approved" else None,
        "said": decision.why if state == "blocked" else None,
        "fence": run.fence,
    }
    await runs.hold(conn, run)
    made = await (await conn.execute(Q["plan"], row)).fetchone()
    if state == "planned" and made:
        await ask(conn, made["id"], "send", decision.why)
    await record(conn, run, seq, intent, decision)
    effect = await find(conn, run.id, seq)
    if effect is None:
        raise errors.Failed("The effect could not be planned.")
    return effect


def key(effect: Effect, instance: str = "") -> str:
    """An idempotency key: of this effect of this installation, with these bytes, and of no other."""
    return f"pocketlet-{instance}-{effect.id}-{effect.request_hash[:16]}"


async def give_up(conn: pool.Conn, run: runs.Run, effect: Effect, why: str) -> None:
    """An effect that was never sent and can't be any more; its question is answered with no."""
    await move(conn, run, effect, ("approved", "planned"), "failed", said=why)
    await conn.execute(Q["withdraw"], {"effect": effect.id, "because": why})


async def _decided(conn: pool.Conn, intent: Intent, standing: calls.Standing) -> calls.Decision:
    """The decision; of two runs that come for the last use of a standing rule, one gets it."""
    decision = core.decide(intent.call, standing)
    if not decision.standing_rule:
        return decision
    row = await (await conn.execute(Q["take_rule"], {"id": decision.standing_rule})).fetchone()
    if row and (await (await conn.execute(Q["rule_left"], {"id": row["id"]})).fetchall())[0]["left"] > 0:
        return decision
    others = tuple(rule for rule in standing.rules if rule.number != decision.standing_rule)
    return core.decide(intent.call, replace(standing, rules=others))


async def record(conn: pool.Conn, run: runs.Run, seq: int, intent: Intent, decision: calls.Decision) -> None:
    """The decision, in the audit chain."""
    details = {
        "tool": intent.call.sink.tool,
        "class": intent.effect_class,
        "why": decision.why,
        "run_kind": run.kind,
        "label": run.label,
    }
    await audit.write(
        conn,
        audit.Entry(
            actor="gate",
            action="effect.decide",
            subject=intent.destination,
            agent_id=run.agent_id,
            run_id=run.id,
            step_seq=seq,
            verdict=decision.verdict,
            rule=decision.rule,
            details=details,
        ),
    )


async def ask(conn: pool.Conn, effect: int, question: str, why: str) -> None:
    """One question to the owner on these bytes: send, or send-again."""
    await conn.execute(Q["ask"], {"effect": effect, "question": question, "why": why, "days": EXPIRE})


async def deliver(database: pool.Database, run: runs.Run, effect: Effect, carrier: Carrier) -> str | None:
    """Sends an approved effect once; what the other side said, or None if nobody can know and the owner was asked.

    Raises errors.NoMailServer or errors.ServiceUnreachable (the effect stays approved), errors.Rejected (it failed),
    errors.Tampered (the bytes are not those that were approved).
    """
    _check(effect)
    doubt = effect.state == "dispatching"  # an earlier try may have done it
    if doubt and not isinstance(known := await _after_break(database, run, effect, carrier), Again):
        return known
    for attempt in range(1, ATTEMPTS + 1):
        async with database.api() as conn:
            await move(conn, run, effect, ("approved", "dispatching"), "dispatching")
            cut = await egress.since(conn) is not None
        try:
            return await _carried(effect, carrier, cut=cut)
        except UNSURE:
            known = await _after_break(database, run, effect, carrier, last=attempt == ATTEMPTS)
            if not isinstance(known, Again):
                return known
            if effect.effect_class == "checkable":
                raise  # it may still turn up: the effect stays `dispatching`, and another try looks again first
            doubt = True
        except (errors.NoMailServer, errors.ServiceUnreachable, *GIVEN_UP) as error:
            if not await _surely_not(database, run, effect, error, doubt=doubt):
                return None
            raise
    return None


async def _carried(effect: Effect, carrier: Carrier, *, cut: bool) -> str:
    if cut:
        raise errors.Refused(egress.SAID, hint=egress.HINT)
    return await carrier.carry(effect)


async def _surely_not(
    database: pool.Database, run: runs.Run, effect: Effect, error: errors.PocketletError, *, doubt: bool
) -> bool:
    """After a try that surely did nothing: whether that is true of all tries. If not, the owner is asked."""
    if doubt and effect.effect_class != "checkable":
        await in_doubt(database, run, effect)
        return False
    if not doubt and not isinstance(error, GIVEN_UP):
        async with database.api() as conn:  # approved still stands, another try may send it
            await move(conn, run, effect, ("dispatching",), "approved")
    return True  # a checkable one stays `dispatching`, so that the next try looks again first


class Again:
    """It may be sent again."""


def _check(effect: Effect) -> None:
    """Raises errors.Tampered unless these are the bytes that were decided on, and those of the owner's yes."""
    digest = compose.digest(effect.kind, effect.destination, effect.message or b"")
    if effect.message is None or digest != effect.request_hash or effect.approved_hash not in (None, digest):
        raise errors.Tampered("It is not what was approved. Nothing was sent.")


async def _after_break(
    database: pool.Database, run: runs.Run, effect: Effect, carrier: Carrier, *, last: bool = False
) -> str | Again | None:
    """After bytes may have left: what is known by now, whether it may be sent again, None if the owner is asked."""
    match effect.effect_class:
        case "read" | "idempotent":
            again = True
        case "keyed":
            again = effect.in_window
        case "checkable":
            found = await carrier.look(effect)
            if found:
                return "found in the Sent folder"
            again, last = found is False, False
        case _:
            again = False
    if again and not last:
        return Again()
    return await in_doubt(database, run, effect)


async def in_doubt(database: pool.Database, run: runs.Run, effect: Effect) -> None:
    """Nobody can know whether it was done: the owner is asked."""
    why = "The connection or the worker broke while this was handed over. It may have been done. Do it again?"
    async with database.api() as conn:
        await move(conn, run, effect, ("dispatching",), "unknown")
        await ask(conn, effect.id, "send-again", why)


async def move(
    conn: pool.Conn, run: runs.Run, effect: Effect, states: tuple[str, ...], new: str, *, said: str | None = None
) -> None:
    """One transition, under the fence. Raises errors.LostRun, errors.Conflict."""
    said = said and said.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    values = {"id": effect.id, "fence": run.fence, "states": list(states), "new": new, "said": said}
    await conn.execute(Q["move"], values)


async def of_run(conn: pool.Conn, run: int) -> list[dict[str, Any]]:
    """Every effect of a run, in order, without the bytes."""
    return list(await (await conn.execute(Q["of_run"], {"run": run})).fetchall())
