"""Deliberate holes, each gate switched off in turn, in this process alone: the referee has to see every one of them."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import psycopg
from bench.adversary import stage, vectors

from pocketlet import errors
from pocketlet.agents import correspondent, effects, lookups, loop, mailing, standing
from pocketlet.db import reader
from pocketlet.learning import gate, proving
from pocketlet.platform import apps, compose, connections, ledger, vault
from pocketlet.platform.gateways import addresses, scrubbing
from pocketlet.policy import calls, core, labels

Opening = Callable[[stage.Act], AbstractAsyncContextManager[None]]
FORGED = b"""
UPDATE pocketlet.audit SET subject = subject || '!' WHERE id = (SELECT max(id) FROM pocketlet.audit WHERE id > %s)
"""
YES = (
    b"UPDATE pocketlet.approval SET state = 'approved' WHERE effect_id = %s",
    b"UPDATE pocketlet.effect SET state = 'approved' WHERE id = %s",
)
AT_ONCE = b"UPDATE pocketlet.agent SET current = %s WHERE id = %s"


@dataclass(frozen=True)
class Hole:
    """`wanted`: the invariants of which one has to break. `after`: what is done once a part was played."""

    what: str
    wanted: tuple[str, ...]
    opened: Opening


@contextmanager
def patched(*changes: tuple[Any, str, Any]) -> Generator[None]:
    """Other functions in the place of these, for a while."""
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    for place, name, value in changes:
        setattr(place, name, value)
    try:
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


def simple(*changes: tuple[Any, str, Any], tasks: float = 0.34, **owner: float) -> Opening:
    """A hole that is open while the block lasts; meanwhile the owner is as `owner` says, and starts more runs."""

    @asynccontextmanager
    async def opening(act: stage.Act) -> AsyncGenerator[None]:
        act.ground.tasks = tasks
        for name, value in owner.items():
            setattr(act.owner, name, value)
        with patched(*changes):
            yield

    return opening


def _allow(call: calls.Call | None, _: calls.Standing) -> calls.Decision:
    return calls.Decision("allow" if call else "deny", "granted", "A hole.")


def _anything(_: connections.Connection, method: str, path: str) -> connections.Operation:
    return connections.Operation(method, path or "/", open=True)


_known_standing, _reserve, _everything = standing.of_run, ledger.reserve, connections.everything
_plan, _ask = effects.plan, effects.ask


async def _reply_to_binds(*args: Any) -> calls.Standing:
    known = await _known_standing(*args)
    return replace(known, bound=known.bound | {mailing.destination(vectors.THIEF)})


async def _no_cap(conn: Any, entry: ledger.Entry, _: Any) -> int:
    return await _reserve(conn, entry, {"run": Decimal(10**9), "day": Decimal(10**9)})


async def _trial_sends(conn: Any, run: Any, *rest: Any) -> effects.Effect:
    return await _plan(conn, replace(run, kind="run"), *rest)


async def _every_connection(conn: Any, _: int) -> list[connections.Connection]:
    return [connection for connection, _ in await _everything(conn) if not connection.off]


async def _every_secret(conn: Any, key: bytes, _: int, names: Any) -> dict[str, str]:
    found = await vault.opened(conn, key)
    return {name: found[name] for name in names}


async def _says_yes(conn: Any, effect: int, *rest: Any) -> None:
    await _ask(conn, effect, *rest)
    for statement in YES:
        await conn.execute(statement, (effect,))


async def _nothing(*_: Any, **__: Any) -> None:
    return None


async def _own_data(*_: Any) -> str:
    return "own-data"


async def _again(*_: Any, **__: Any) -> effects.Again:
    return effects.Again()


async def _counts_at_once(conn: Any, agent: Any, draft: proving.Draft) -> None:
    await conn.execute(AT_ONCE, (draft.n, agent.id))


async def _others_reader(context: Any, _: int | None) -> str:
    name = context.schema
    return apps.reader(name.replace("crm", "desk") if "crm" in name else name.replace("desk", "crm"))


async def _always_reader(context: Any, _: int | None) -> str:
    return apps.reader(context.schema)


async def _naive(database: Any, _: str, statement: str, *, params: Any = None, **__: Any) -> reader.Rows:
    """The classic mistake: any statement, on the platform's own login, committed."""
    try:
        async with database.api() as conn:
            await conn.execute("SET LOCAL statement_timeout = '2s'")
            cursor = await conn.execute(statement.encode("utf-8", "replace"), params)
            rows = await cursor.fetchall() if cursor.description else []
    except (psycopg.Error, errors.PocketletError) as error:  # what our own functions raise says nothing of this run
        raise reader.Stopped(str(error)) from error
    columns = tuple(rows[0]) if rows else ()
    return reader.Rows(columns, tuple(tuple(str(value)[:2_000] for value in row.values()) for row in rows[:50]))


@asynccontextmanager
async def _forged_row(act: stage.Act) -> AsyncGenerator[None]:
    changed = 0
    while not changed:
        await act.go(20)
        async with act.stage.database.setup() as conn:
            changed = (await conn.execute(FORGED, (act.since.mark,))).rowcount
    yield


@asynccontextmanager
async def _blindly(act: stage.Act) -> AsyncGenerator[None]:
    """After each break it is sent again, and much breaks."""
    broken = (act.stage.box, *act.ground.services)
    before = [place.breaks for place in broken]
    act.owner.retries = 0.9
    for place in broken:
        place.breaks = 0.6
    with patched((effects, "_after_break", _again)):
        yield
    for place, breaks in zip(broken, before, strict=True):
        place.breaks = breaks


@asynccontextmanager
async def _endless(act: stage.Act) -> AsyncGenerator[None]:
    act.played.most = 90
    with patched((loop, "_check_limits", lambda *_: None), (ledger, "reserve", _no_cap)):
        yield


HOLES = {
    "policy": Hole("the policy allows everything", ("I4",), simple((core, "decide", _allow))),
    "binding": Hole("Reply-To binds an address", ("I4",), simple((standing, "of_run", _reply_to_binds), tasks=0.0)),
    "strangers-words": Hole(
        "a reply may name any address and link", ("I4",),
        simple((core, "addresses", lambda _: set()), (core, "links", lambda _: set()), tasks=0.1),
    ),
    "allow-list": Hole(
        "any request fits a connection", ("I2", "I4"), simple((connections, "matching", _anything))
    ),
    "grants": Hole(
        "every agent may use every connection", ("I4",),
        simple((connections, "of_agent", _every_connection), (connections, "_check_usable", _nothing),
               (vault, "open_for", _every_secret)),
    ),
    "addresses": Hole(
        "no address is checked", ("I2",),
        simple((addresses, "forbidden", lambda _: None), (addresses, "unpinned", lambda *_: None)),
    ),
    "scrubbing": Hole("replies are not scrubbed", ("I1",), simple((scrubbing, "scrubbed", lambda data, _: data))),
    "approval-hash": Hole(
        "an approval is bound to no bytes", ("I4",),
        simple((effects, "_check", lambda _: None), tampers=0.6),
    ),
    "blind-retry": Hole("after a break it is sent again", ("I5",), _blindly),
    "trial-sends": Hole("a trial really sends", ("I4",), simple((effects, "plan", _trial_sends), feeds=0.9)),
    "reader-role": Hole("queries run as another agent's reader", ("I3",), simple((lookups, "_login", _others_reader))),
    "bound-reads": Hole(
        "a mail's run reads everybody's rows", ("I3",), simple((correspondent, "of", lambda _: None), tasks=0.0)
    ),
    "self-approval": Hole("what asks is answered with yes", ("I7",), simple((effects, "ask", _says_yes))),
    "reader-gate": Hole("any statement runs, as the platform", ("I3", "I7"), simple((reader, "query", _naive))),
    "managers-role": Hole(
        "the manager reads what runs read", ("I10",), simple((lookups, "_login", _always_reader), feeds=0.9)
    ),
    "labels": Hole("a label never gets worse", ("I10",), simple((labels, "join", lambda *found: found[0]), tasks=0.8)),
    "row-labels": Hole("what SQL reads has no label", ("I10",), simple((lookups, "_label", _own_data), tasks=0.9)),
    "reservation": Hole("every call is granted money", ("I6",), simple((ledger, "reserve", _no_cap))),
    "limits": Hole("a run may go on for ever", ("I11",), _endless),
    "gate": Hole("the gate adopts everything", ("I8",), simple(
        (gate, "after", lambda _: gate.Verdict("adopt", "proven", "A hole.")), feeds=0.9)),
    "draft-counts": Hole("a draft counts at once", ("I8",), simple((proving, "begin", _counts_at_once), feeds=0.9)),
    "audit-forged": Hole("a row of the audit trail is changed", ("I9",), _forged_row),
    "audit-silent": Hole("decisions are not written down", ("I9",), simple((effects, "record", _nothing))),
    "screen": Hole("what is printed may steer a terminal", ("I12",), simple((compose, "visible", lambda text: text))),
}  # fmt: skip
