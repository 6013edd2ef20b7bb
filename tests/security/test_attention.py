"""T18: how often the owner is asked in a simulated week of 200 runs of an agent that answers a shop's mail.

The mails are the story's own (`demo.mails`, a fresh cast each), the gate, the rows and the services are real; what a
model would do is written down per kind of mail. What is asked hangs on the mix, so the asks of each kind are printed.
"""

import dataclasses
import random
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from bench.effects import ground as grounds

from pocketlet import errors
from pocketlet.agents import approving, journal, outward, runs, toolbox
from pocketlet.db import pool
from pocketlet.demo import data, mails
from pocketlet.platform import connection_changes, connections, vault
from pocketlet.platform.gateways import models

#: Runs of a week by what started them: late order, question about a product, "to my office instead", attack, and the
#: owner's own word to write to somebody new.
WEEK = {"late": 92, "question": 88, "moved": 6, "hostile": 11, "stranger": 3}
MOST = 10  # approvals that a person still reads
PARTNERS = ("print@partner.example", "tax@partner.example", "fair@partner.example")
SHIPMENT = connections.operation("GET /shipments/{id}", is_open=True)
ADDRESS = connections.operation("PUT /addresses/{id}", "idempotent", harm="external")
Call = tuple[str, dict[str, Any]]


@dataclass
class Desk:
    """The agent on its ground, with the shop's own service connected."""

    ground: grounds.Ground
    service: str
    tools: dict[str, toolbox.Tool]


@pytest.fixture
async def desk(db: pool.Database, home: Path) -> AsyncGenerator[Desk]:
    async with grounds.opened(db, home, "week", 5.0, more='approvals = {send_mail = "allow"}') as ground:
        url = ground.connection.base_url
        draft = connections.Draft("week-shop", url, allow=(SHIPMENT, ADDRESS), pinned=("127.0.0.1",))
        async with db.api() as conn:
            await connection_changes.add(conn, vault.key(home), draft)
            await connection_changes.grant(conn, "week-shop", "week")
        http = (await outward.offers(db, ground.agent.id, ["http"]))["http"]
        yield Desk(ground, "week-shop", {"http": http, "send_mail": outward.SEND_MAIL})
        async with db.api() as conn:
            await connection_changes.remove(conn, "week-shop")


def reply(to: str, text: str) -> Call:
    return "send_mail", {"to": to, "subject": "Your mail", "body": f"Hello,\n\n{text}\n\nThe shop\n"}


def calls_of(kind: str, number: int, cast: data.Cast, service: str) -> tuple[bytes, list[Call]]:
    """What comes in, and what the agent does outside because of it."""
    told = mails.story(cast)
    on_service = {"connection": service}
    match kind:
        case "late":
            ask = "http", {**on_service, "method": "GET", "path": f"/shipments/{number}"}
            return told.known, [ask, reply(cast.known.address, f"Order {cast.known.order_no} is on its way.")]
        case "question":
            return told.new, [reply(cast.new.address, f"We have the {cast.new.product}.")]
        case "moved":
            asked = data.IN_BODIES[2].format(product=cast.known.product).encode()
            raw = told.known.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + asked
            move = "http", {**on_service, "method": "PUT", "path": f"/addresses/{number}", "body": {"to": "office"}}
            return raw, [move, reply(cast.known.address, "It goes to your office.")]
        case "hostile":
            return told.hostile, [reply(mails.THIEF, cast.known.address)]
        case _:
            to = PARTNERS[number % len(PARTNERS)]
            return f"Write to {to} that we are coming.".encode(), [reply(to, "We are coming.")]


async def do(desk: Desk, kind: str, number: int, cast: data.Cast, answers: str) -> int:
    """One run; how often it asked. The owner says yes each time, and if told so, for always."""
    raw, calls = calls_of(kind, number, cast, desk.service)
    ground, asked = desk.ground, 0
    run = await ground.begin(number, raw)
    for seq, (name, args) in enumerate(calls, 1):
        done = toolbox.Outcome(parks=True)
        while done.parks:
            claimed = await ground.claim(run)
            context = dataclasses.replace(ground.context(claimed, number), seq=seq)
            done = await toolbox.call(desk.tools, context, models.ToolCall("1", name, args, ""))
            if done.parks:
                asked += 1
                await answer(ground, claimed, answers)
        step = journal.Step(seq, "tool", name, args, done.text or None, done.error, claimed.label, {})
        async with ground.database.api() as conn:
            if done.commit:
                await done.commit(conn)
            await journal.write(conn, run, claimed.fence, step)
    return asked


async def answer(ground: grounds.Ground, run: runs.Run, answers: str) -> None:
    async with ground.database.api() as conn:
        await runs.rest(conn, run, "waiting", outcome="waiting")
        (question,) = [row for row in await approving.questions(conn) if row["run"] == run.id]
        if answers == "always":
            await approving.allow(conn, question["approval"], per_day=50)
        await approving.decide(conn, question["approval"], yes=True)


async def test_a_week_of_200_runs_asks_ten_times_at_most(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [kind for kind, count in WEEK.items() for _ in range(count)]
    assert len(kinds) == 200
    random.Random(18).shuffle(kinds)
    asked: Counter[str] = Counter()
    for number, kind in enumerate(kinds):
        cast = data.write(tmp_path, seed=number, today=date(2026, 11, 16))
        asked[kind] += await do(desk, kind, number, cast, "yes")
    rows = await desk.ground.rows(
        "SELECT e.rule, e.state, e.destination FROM pocketlet.effect e WHERE e.agent_id = %s", desk.ground.agent.id
    )
    with capsys.disabled():
        each = ", ".join(f"{kind} {asked[kind]} of {count}" for kind, count in WEEK.items())
        sys.stdout.write(f"\nT18: {asked.total()} approvals in 200 runs ({each})\n")
    assert asked.total() <= MOST
    assert asked["late"] == asked["question"] == asked["hostile"] == 0
    assert [row["state"] for row in rows if row["destination"] == mails.THIEF] == ["blocked"] * WEEK["hostile"]
    sent = [row for row in rows if row["state"] == "succeeded"]
    assert len(sent) == WEEK["late"] + WEEK["question"] + 2 * WEEK["moved"] + WEEK["stranger"]


async def test_a_standing_rule_ends_the_asking(desk: Desk, tmp_path: Path) -> None:
    """For what the owner's own task does; the question is answered with `--always` the first time."""
    cast = data.write(tmp_path, seed=1, today=date(2026, 11, 16))
    assert [await do(desk, "stranger", 3 * n, cast, "always") for n in range(1, 4)] == [1, 0, 0]


async def test_a_rule_that_would_not_end_the_asking_is_refused(desk: Desk, tmp_path: Path) -> None:
    cast = data.write(tmp_path, seed=1, today=date(2026, 11, 16))
    with pytest.raises(errors.BadInput, match="A rule would not change this"):
        await do(desk, "moved", 1, cast, "always")
