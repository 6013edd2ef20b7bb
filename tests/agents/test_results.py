"""Results of one agent start runs of others: with the transaction that writes them, with their label, not for ever."""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
import workshop as workshops
from looked import slots_of
from scripted_model import finishes

from pocketlet import errors
from pocketlet.agents import journal, loop, portable, runs, toolbox, work
from pocketlet.agents.waking import beginning, results, rounds
from pocketlet.db import pool
from pocketlet.learning import kinds

Opener = Callable[..., Awaitable[workshops.Workshop]]


async def finish(conn: pool.Conn, did: loop.Work, steps: Sequence[journal.Step], end: toolbox.Finish) -> None:
    """The end of a run, with its result published; harmless where `work.finish` does that itself."""
    await work.finish(conn, did, steps, end)
    subject = did.task.subject or did.task.text.partition("\n")[0][:200]
    told = {"outcome": end.outcome, "entity": did.task.sender or None, "subject": subject, "summary": end.summary}
    await results.publish(conn, did.agent, did.run, told)


KINDS: Mapping[str, loop.Kind] = {**kinds.KINDS, "run": dataclasses.replace(kinds.KINDS["run"], finish=finish)}


async def ran(shop: workshops.Workshop, number: int, summary: str = "Counted.", outcome: str = "done") -> None:
    shop.says(finishes(summary, outcome))
    await loop.advance(shop.engine, KINDS, number)


def listens(name: str, more: str = "") -> str:
    return f'[triggers.after]\nresult_of = "{name}"\ntask = "Go on."\n{more}'


async def started(shop: workshops.Workshop) -> int | None:
    """The run of the agent's newest slot."""
    await rounds.begin_due(shop.database)
    return (await slots_of(shop))[-1]["run_id"]


async def test_a_result_starts_a_run_that_reads_it_with_its_label(open_shop: Opener) -> None:
    first = await open_shop()
    second = await open_shop(listens(first.name))
    third = await open_shop(listens(first.name, 'outcome = "blocked"\n'))
    run = await first.create(workshops.mail("How much tea?"))
    await ran(first, run, "42 boxes.")
    [slot] = await slots_of(second)
    told = json.loads(bytes(slot["body"]))
    assert told == {"agent": first.name, "run": run, "outcome": "done", "summary": "42 boxes.",
                    "subject": "Where is it?", "entity": workshops.CUSTOMER}  # fmt: skip
    assert (slot["key"], slot["about"]["label"], await slots_of(third)) == (f"run:{run}", "outside", [])
    number = await started(second)
    row = await second.row("SELECT input, label FROM pocketlet.run WHERE id = %s", number)
    assert (row["label"], row["input"]["order"], row["input"]["sender"]) == ("outside", "Go on.", "")
    calm = await first.create(b"Count the tea.")
    await ran(first, calm)
    assert [slot["about"]["label"] for slot in await slots_of(second)] == ["outside", "own-data"]


async def test_a_run_that_ends_twice_or_not_at_all_is_heard_once_or_not(open_shop: Opener) -> None:
    first = await open_shop()
    second = await open_shop(listens(first.name))
    run = await first.create(b"Count.")
    async with first.database.api() as conn:
        assert await results.publish(conn, first.agent, await runs.load(conn, run), {"outcome": "done"}) == 1
        await conn.rollback()
    assert await slots_of(second) == []
    await ran(first, run)
    async with first.database.api() as conn:
        assert await results.publish(conn, first.agent, await runs.load(conn, run), {"outcome": "done"}) == 0
    assert len(await slots_of(second)) == 1


async def test_nobody_hears_of_a_dry_run(open_shop: Opener) -> None:
    first = await open_shop("dry_run = true")
    second = await open_shop(listens(first.name))
    await ran(first, await first.create(b"Count."))
    assert await slots_of(second) == []


async def test_agents_that_start_each_other_stop_after_three(open_shop: Opener, tmp_path: Any) -> None:
    first = await open_shop()
    second = await open_shop(listens(first.name))
    folder = workshops.write_folder(tmp_path / "again", first.name, listens(second.name))
    await portable.renew(first.database, folder)
    number: int | None = await first.create(b"Begin.")
    shops = [first, second]
    for turn in range(4):
        assert number
        await ran(shops[turn % 2], number)
        number = await started(shops[(turn + 1) % 2])
    assert number is None
    states = [(slot["state"], slot["reason"]) for shop in shops for slot in await slots_of(shop)]
    assert states == [("claimed", ""), ("skipped", results.STOPPED), ("claimed", ""), ("claimed", "")]


async def test_an_agent_can_not_start_itself(open_shop: Opener, tmp_path: Any) -> None:
    shop = await open_shop()
    with pytest.raises(errors.BadAgent, match="for ever"):
        await portable.renew(shop.database, workshops.write_folder(tmp_path / "own", shop.name, listens(shop.name)))
    with pytest.raises(errors.BadAgent, match="not available"):
        await portable.renew(
            shop.database, workshops.write_folder(tmp_path / "chat", shop.name, '[triggers.talk]\nchat = "phone"\n')
        )


async def test_what_comes_while_a_listener_is_paused_waits(open_shop: Opener) -> None:
    first = await open_shop()
    second = await open_shop(listens(first.name))
    await second.change("UPDATE pocketlet.trigger SET paused = 'holiday' WHERE agent_id = %s", second.agent.id)
    await ran(first, await first.create(b"Count."))
    [slot] = await slots_of(second)
    async with second.database.api() as conn:
        assert await beginning.at_once(conn, slot["id"]) is None
