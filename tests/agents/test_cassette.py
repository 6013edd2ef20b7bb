"""Trials read what the recorded run read, and else the memory of then; a run's record is enough to retell it."""

import asyncio
import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from scripted_model import Fault, Reply, calls, finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet.agents import briefing as briefings
from pocketlet.agents import journal, lookups, loop, runs, toolbox, work
from pocketlet.db import pool, queries, reader
from pocketlet.learning import cassette, corrections
from pocketlet.platform import apps

COUNT = ("sql", {"query": "SELECT count(*) AS n FROM memories"})
NOTE = ("remember", {"kind": "note", "subject": "a heron"})
HERON = ("search", {"words": "heron"})


async def _abroad(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    raise AssertionError


ABROAD = toolbox.Tool("abroad", "Reads something outside.", _abroad, {})


async def nothing(conn: pool.Conn, found: loop.Work, steps: Sequence[journal.Step], end: toolbox.Finish) -> None:
    """What the end of a trial means here."""


def tools(found: loop.Work) -> Mapping[str, toolbox.Tool]:
    """A trial's tools, with one that nobody recorded."""
    return cassette.tools(found, {**work.tools(found), "abroad": ABROAD})


KINDS = {"run": loop.Kind(work.tools, work.brief, work.finish), "trial": loop.Kind(tools, work.brief, nothing)}


async def record(shop: Workshop, *replies: Reply, raw: bytes | None = None) -> int:
    """A run that says so, taken to its end; its number."""
    shop.says(*replies)
    number = await shop.create(raw or mail())
    await loop.advance(shop.engine, KINDS, number)
    return number


async def begin_trial(shop: Workshop, recorded: int) -> int:
    """A trial of the current revision on a case made of that run; its number."""
    async with shop.database.api() as conn:
        made = await conn.execute(
            "INSERT INTO pocketlet.cases (agent_id, run_id) VALUES (%s, %s)"
            " ON CONFLICT (run_id) DO UPDATE SET passes = 0 RETURNING id",
            (shop.agent.id, recorded),
        )
        case = ((await made.fetchone()) or {})["id"]
        run = await runs.load(conn, recorded)
        values = {"agent": shop.agent.id, "kind": "trial", "revision": shop.agent.current, "case": case}
        return await runs.insert(conn, values | {"input": run.input, "facts": run.facts, "label": run.label})


async def attempt(shop: Workshop, recorded: int, *replies: Reply) -> list[journal.Step]:
    """The tool steps of a trial of that run, but for its end."""
    shop.says(*replies, finishes())
    number = await begin_trial(shop, recorded)
    await loop.advance(shop.engine, KINDS, number)
    return looks(await shop.steps(number))


def looks(steps: list[journal.Step]) -> list[journal.Step]:
    """The tool steps but for the end."""
    return [step for step in steps if step.kind == "tool" and step.tool != "finish"]


async def add(shop: Workshop, subject: str) -> None:
    """A memory of another run, about the customer: the runs here are on her mails."""
    values = {"agent_id": shop.agent.id, "kind": "note", "subject": subject, "body": "", "entity": CUSTOMER}
    values |= {"label": "own-data", "run": 0, "step": 1, "ref": None}
    async with shop.database.api() as conn:
        await conn.execute(queries.named(lookups.Q["remember"], schema=shop.name), values)


def told(steps: list[journal.Step]) -> list[tuple[str | None, str, bool | None]]:
    """What the model was told, the label, and whether it was replayed."""
    return [(step.error or step.response, step.label, step.meta.get("replayed")) for step in steps]


def test_every_tool_is_recorded_or_as_it_is() -> None:
    assert set(lookups.READS) | cassette.AS_THEY_ARE == set(lookups.TOOLS) | {"send_mail", "finish", "code"}


async def test_a_read_tells_the_version_that_it_saw(shop: Workshop) -> None:
    read = ("read", {"table": "memories", "id": 1})
    wrong = [
        ("sql", {"query": "SELECT 1 / 0"}),
        ("sql", {"query": "nonsense"}),
        ("read", {"table": "results", "id": 9}),
    ]
    number = await record(shop, calls(COUNT, NOTE, COUNT, HERON, read, *wrong), finishes())
    versions = [step.meta["memory_version"] for step in looks(await shop.steps(number)) if step.tool != "remember"]
    assert versions == [0, 1, 1, 1, 1, 1, 1]


async def test_equal_calls_come_back_in_order(shop: Workshop) -> None:
    recorded = await record(shop, calls(COUNT, NOTE, COUNT), finishes())
    await add(shop, "a crane")
    first, second, third = await attempt(shop, recorded, calls(COUNT), calls(COUNT), calls(COUNT))
    assert [step.response.split()[:2] for step in (first, second, third)] == [["n", "0"], ["n", "1"], ["n", "1"]]
    assert [step.meta["replayed"] for step in (first, second, third)] == [True, True, False]


async def test_the_order_of_arguments_is_none(shop: Workshop) -> None:
    one, other = {"words": "heron", "entity": "x"}, {"entity": "x", "words": "heron"}
    recorded = await record(shop, calls(("search", one)), finishes())
    (step,) = await attempt(shop, recorded, calls(("search", other)))
    assert step.meta["replayed"] is True


async def test_an_error_is_replayed_as_an_error(shop: Workshop) -> None:
    asked = calls(("sql", {"query": "SELECT * FROM letters"}), ("read", {"table": "memories", "id": 1}))
    recorded = await record(shop, asked, finishes())
    async with shop.database.login(shop.name) as conn:
        await conn.execute("CREATE TABLE letters (body text)")
    await add(shop, "a heron")
    steps = await attempt(shop, recorded, asked)
    before = looks(await shop.steps(recorded))
    assert told(steps) == [(step.error, step.label, True) for step in before]
    assert all(step.error and step.response is None for step in steps)


async def test_what_never_reached_the_memory_is_not_replayed(shop: Workshop) -> None:
    recorded = await record(shop, calls(("search", {"word": "heron"})), calls(HERON), finishes())
    wrong, right = await attempt(shop, recorded, calls(("search", {"word": "heron"})), calls(HERON))
    assert (wrong.meta.get("replayed"), right.meta["replayed"]) == (None, True)


@pytest.mark.parametrize("raw", [mail(), b"What do we know of herons?"])
async def test_another_query_sees_the_memory_of_then(shop: Workshop, raw: bytes) -> None:
    await add(shop, "a heron")
    recorded = await record(shop, calls(COUNT), finishes("Saw a heron."), raw=raw)
    for _ in range(3):
        await add(shop, "another heron")
    read = [("read", {"table": "memories", "id": number}) for number in (1, 2)]
    results = ("sql", {"query": "SELECT count(*) FROM results"})
    found = await attempt(shop, recorded, calls(HERON, *read, results))
    assert [step.meta["replayed"] for step in found] == [False] * 4
    assert [step.meta["memory_version"] for step in found] == [1] * 4
    assert found[0].response.count("heron") == 1
    assert found[1].response.startswith("a heron")
    assert found[2].error == "memories has no row 2."
    assert found[3].response.split()[1] == "0"


async def test_as_of_that_point_of_the_run(shop: Workshop) -> None:
    recorded = await record(shop, calls(COUNT), calls(NOTE), calls(COUNT), finishes())
    found = await attempt(shop, recorded, calls(HERON), calls(COUNT), calls(COUNT), calls(COUNT))
    assert [(step.meta["memory_version"], step.meta["replayed"]) for step in found] == [
        (0, False), (0, True), (1, True), (1, False),
    ]  # fmt: skip


async def test_of_a_run_that_read_nothing_the_memory_before_its_result(shop: Workshop) -> None:
    await add(shop, "a heron")
    recorded = await record(shop, finishes("A heron."))
    await add(shop, "a heron")
    heron, count = await attempt(shop, recorded, calls(HERON, COUNT))
    assert (heron.response.count("heron"), count.response.split()[1]) == (1, "1")


async def test_a_run_without_a_result_has_the_memory_that_its_trial_began_with(shop: Workshop) -> None:
    recorded = await record(shop, Reply(""))
    assert (await shop.ending(recorded))["state"] == "failed"
    number = await begin_trial(shop, recorded)
    shop.says(calls(COUNT), calls(HERON), finishes())
    shop.model.faults[shop.name] += [None, Fault(400)]
    await loop.advance(shop.engine, KINDS, number)
    await add(shop, "a heron")
    async with shop.database.api() as conn:
        await runs.retry(conn, number)
    await loop.advance(shop.engine, KINDS, number)
    assert [step.meta["memory_version"] for step in looks(await shop.steps(number))] == [0, 0]


async def test_what_was_not_recorded_and_is_no_read_is_not_carried_out(shop: Workshop) -> None:
    recorded = await record(shop, finishes())
    (step,) = await attempt(shop, recorded, calls(("abroad", {})))
    assert (step.error, step.meta["unknown"]) == ("not recorded, so not carried out in a trial", True)


async def test_a_trial_leaves_nothing_in_the_memory(shop: Workshop) -> None:
    recorded = await record(shop, calls(COUNT), finishes())
    note, sent = await attempt(shop, recorded, calls(NOTE), mails(CUSTOMER))
    assert (note.response, sent.response) == ("remembered", f"sent to {CUSTOMER}")
    assert await shop.rows(f"SELECT FROM {shop.name}.memories") == []
    assert await shop.rows("SELECT FROM pocketlet.past") == await shop.rows("SELECT FROM pocketlet.scope") == []


async def test_a_resumed_trial_is_the_same(shop: Workshop) -> None:
    recorded = await record(shop, calls(COUNT, NOTE, COUNT), finishes())
    await add(shop, "a crane")
    script = [calls(COUNT), calls(COUNT, HERON), calls(COUNT)]
    whole = await attempt(shop, recorded, *script)
    number = await begin_trial(shop, recorded)
    for _ in range(3):
        shop.model.faults[shop.name] += [None, Fault(400)]
        await loop.advance(shop.engine, KINDS, number)
        await add(shop, "a heron")
        async with shop.database.api() as conn:
            await runs.retry(conn, number)
    await loop.advance(shop.engine, KINDS, number)
    assert told(looks(await shop.steps(number))) == told(whole)


async def test_the_requests_of_a_run_are_told_by_its_record(shop: Workshop) -> None:
    bad = ("sql", "{broken")
    number = await record(shop, calls(COUNT, NOTE, bad), calls(HERON, ("nobody", {})), calls(COUNT), finishes("Zoë 🙂"))
    run = await shop.row("SELECT briefing FROM pocketlet.run WHERE id = %s", number)
    steps = await shop.steps(number)
    asked = [step.request["hash"] for step in steps if step.kind == "model"]
    briefing = briefings.from_record(run["briefing"])
    assert journal.replay(briefing, steps) == asked
    assert len(set(asked)) == 4
    other = dataclasses.replace(steps[1], response="something else")
    assert journal.replay(briefing, [steps[0], other, *steps[2:]])[1:] != asked[1:]


ASKED = (
    ("SELECT id, subject, v_from, v_to FROM memories ORDER BY id DESC", None),
    ("SELECT count(*), max(v_from), count(v_to) FROM memories", None),
    ("SELECT md5(string_agg(m::text, '|' ORDER BY id)) FROM memories m", None),
    ("SELECT r.run, m.subject FROM results r JOIN memories m ON m.v_from = r.v_from - 1 ORDER BY m.id", None),
    (lookups.Q["search"], {"words": "heron", "entity": None}),
)
OLDEST = "SELECT id FROM {schema}.memories WHERE entity = %(entity)s ORDER BY id LIMIT 1"


class _TakenBackError(Exception):
    """Not what was wanted after all."""


async def change_one(conn: pool.Conn, shop: Workshop, entity: str, chance: random.Random) -> None:
    """The owner corrects or forgets the oldest memory of that entity, and at times takes that back."""
    found = await (await conn.execute(queries.named(OLDEST, schema=shop.name), {"entity": entity})).fetchone()
    if found is None:
        return
    if chance.random() < 0.5:
        done = await corrections.forget(conn, shop.agent, found["id"])
    else:
        done = await corrections.correct(conn, shop.agent, found["id"], "A crane.")
    if chance.random() < 0.3:
        await corrections.undo(conn, shop.agent, done.undo)


async def write(shop: Workshop, writer: int, done: asyncio.Event) -> int:
    """Remembers, corrects and gives results, one in ten taken back, until it is done; how many."""
    chance = random.Random(writer)
    count = 0
    values: dict[str, Any] = {"agent_id": shop.agent.id, "kind": "note", "body": "seen", "entity": f"w{writer}"}
    values |= {"label": "own-data", "run": 0, "step": 1, "ref": None}
    result = {"outcome": "done", "entity": None, "subject": "heron", "summary": "seen", "agent_id": shop.agent.id}
    while not done.is_set():
        count += 1
        try:
            async with shop.database.api() as conn:
                if chance.random() < 0.4:
                    await change_one(conn, shop, f"w{writer}", chance)
                else:
                    values["subject"] = f"heron {writer} {count}"
                    await conn.execute(queries.named(lookups.Q["remember"], schema=shop.name), values)
                if chance.random() < 0.3:
                    row = result | {"run": writer * 10**6 + count, "label": "own-data"}
                    await conn.execute(queries.named(runs.Q["add_result"], schema=shop.name), row)
                if chance.random() < 0.1:
                    raise _TakenBackError
        except _TakenBackError:
            continue
    return count


async def test_reads_beside_writers_can_be_repeated(shop: Workshop) -> None:
    done = asyncio.Event()
    writers = [asyncio.create_task(write(shop, number, done)) for number in range(1, 5)]
    seen: list[tuple[int, reader.Rows]] = []
    for number in range(210):
        statement, params = ASKED[number % len(ASKED)]
        found = await reader.query(shop.database, apps.reader(shop.name), statement, params=params)
        seen.append((number % len(ASKED), found))
    done.set()
    assert min(await asyncio.gather(*writers)) > 0
    assert len({rows.version for _, rows in seen}) > 20
    ended = f"SELECT FROM {shop.name}.memories_before WHERE v_to <= %s"
    assert len(await shop.rows(ended, max(rows.version for _, rows in seen))) > 20
    for asked, rows in seen:
        statement, params = ASKED[asked]
        trial = apps.trial(shop.name)
        again = await reader.query(shop.database, trial, statement, params=params, as_of=rows.version)
        assert dataclasses.replace(again, tables=again.tables - {"memories_before"}, cost=rows.cost) == rows


@pytest.mark.parametrize("kind", ["sql", "search"])
async def test_the_label_is_that_of_then(shop: Workshop, kind: str) -> None:
    recorded = await record(shop, calls(COUNT), finishes())
    outside = "(subject, entity, integrity, v_from) VALUES ('a heron', %s, 'outside', 9)"
    await shop.change(f"INSERT INTO {shop.name}.memories {outside}", CUSTOMER)
    asked = HERON if kind == "search" else ("sql", {"query": "SELECT subject FROM memories"})
    await shop.change("UPDATE pocketlet.run SET label = 'owner' WHERE id = %s", recorded)
    (step,) = await attempt(shop, recorded, calls(asked))
    assert step.label == "own-data"


@pytest.mark.parametrize("kind", ["sql", "search", "read", "error"])
async def test_of_a_memory_that_was_corrected_a_trial_sees_the_text_and_the_label_of_then(
    shop: Workshop, kind: str
) -> None:
    wrong = (
        f"INSERT INTO {shop.name}.memories (subject, entity, integrity) VALUES ('a heron', %s, 'outside') RETURNING id"
    )
    number = (await shop.row(wrong, CUSTOMER))["id"]
    recorded = await record(shop, calls(COUNT), finishes())
    await shop.change("UPDATE pocketlet.run SET label = 'owner' WHERE id = %s", recorded)
    async with shop.database.api() as conn:
        await corrections.correct(conn, shop.agent, number, "A crane.")
    calls_of = {
        "sql": ("sql", {"query": "SELECT subject FROM memories"}),
        "search": HERON,
        "read": ("read", {"table": "memories", "id": number}),
        "error": ("sql", {"query": "SELECT subject::int FROM memories"}),
    }
    (then,) = await attempt(shop, recorded, calls(calls_of[kind]))
    assert then.meta["replayed"] is False
    assert ("a heron" in (then.error or then.response), then.label) == (True, "outside")
    now = looks(await shop.steps(await record(shop, calls(calls_of[kind]), finishes())))[0]
    assert "a heron" not in (now.error or now.response)
