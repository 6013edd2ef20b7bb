"""The loop: what a model may say, what it is told then, and where a run ends."""

import dataclasses
import json

import pytest
from scripted_model import calls, finishes, mails, says
from workshop import Workshop, mail

from pocketlet import errors
from pocketlet.agents import journal, revisions, runs


async def test_a_text_reply_ends_the_run(shop: Workshop) -> None:
    shop.says(says("Nothing to do here."))
    run = await shop.run(b"Just saying hello.")
    ending = await shop.ending(run)
    assert (ending["state"], ending["outcome"], ending["result"]) == ("done", "done", "Nothing to do here.")
    async with shop.database.login(shop.name) as conn:
        kept = await (await conn.execute("SELECT run, summary, integrity FROM results")).fetchall()
    assert kept == [{"run": run, "summary": "Nothing to do here.", "integrity": "owner"}]


async def test_several_calls_of_one_reply_are_done_in_order(shop: Workshop) -> None:
    shop.says(
        calls(
            ("remember", {"kind": "note", "subject": "Ann is nice"}),
            ("sql", {"query": "SELECT subject FROM memories"}),
            ("finish", {"outcome": "done", "summary": "Noted."}),
            ("sql", {"query": "SELECT 1"}),
        )
    )
    run = await shop.run(b"Ann is nice.")
    steps = await shop.steps(run)
    assert [(step.seq, step.kind, step.tool) for step in steps] == [
        (1, "model", None),
        (2, "tool", "remember"),
        (3, "tool", "sql"),
        (4, "tool", "finish"),
    ]
    assert steps[2].response == "subject\nAnn is nice\n(1 row)"
    assert (await shop.ending(run))["state"] == "done"


MISTAKES = [
    ("sql", '{"query": ', "not a JSON object"),
    ("sql", "[1]", "not a JSON object"),
    ("sql", {}, "sql needs query"),
    ("sql", {"query": 7}, "query of sql must be a string, not 7"),
    ("sql", {"query": "SELECT 1", "limit": 3}, "sql has no argument limit; it has query"),
    ("read", {"table": "memories", "id": True}, "id of read must be an integer"),
    ("read", {"table": "secrets", "id": 1}, "one of memories, results"),
    ("read", {"table": "memories", "id": 10**6}, "memories has no row 1000000"),
    ("shell", {"command": "ls"}, "there is no tool shell; there are sql, search"),
    ("send_mail", {"to": "Ann <a@b.example>", "subject": "s", "body": "b"}, "not one plain mail address"),
    ("send_mail", {"to": "a@b.example", "subject": "s\nBcc: x@y.example", "body": "b"}, "subject contains"),
    ("sql", {"query": "DELETE FROM memories"}, "Not allowed: permission denied"),
    ("skill", {"name": "none"}, "There is no skill 'none'"),
    ("attachment", {"name": "x.pdf"}, "There is no attachment 'x.pdf'"),
]


@pytest.mark.parametrize(("tool", "args", "said"), MISTAKES, ids=[said for _, _, said in MISTAKES])
async def test_a_mistake_of_the_model_is_an_observation(shop: Workshop, tool: str, args: object, said: str) -> None:
    shop.says(calls((tool, args)), finishes())  # type: ignore[arg-type]
    run = await shop.run(b"Go on.")
    step = (await shop.steps(run))[1]
    assert said in (step.error or "")
    assert step.response is None
    told = shop.model.requests[shop.name][1]["messages"][-1]
    assert (told["role"], told["content"]) == ("tool", f"error: {step.error}")
    assert (await shop.ending(run))["state"] == "done"
    assert await shop.rows("SELECT FROM pocketlet.effect WHERE run_id = %s", run) == []


async def test_a_run_ends_after_max_steps(open_shop) -> None:
    shop = await open_shop("max_steps = 6")
    shop.says(*(calls(("sql", {"query": f"SELECT {number}"})) for number in range(10)))
    run = await shop.run(b"Count.")
    ending = await shop.ending(run)
    assert (ending["state"], ending["exit_code"]) == ("failed", 1)
    assert ending["error"] == "The run took 6 steps and did not finish."
    assert f"pocketlet show {run}" in ending["hint"]
    assert "`pocketlet agent import --replace DIR`, and start a new run" in ending["hint"]
    assert len(await shop.steps(run)) == 6


async def test_a_run_that_gets_the_same_answer_three_times_is_stuck(shop: Workshop) -> None:
    shop.says(*[calls(("sql", {"query": "SELECT 1"}))] * 10)
    run = await shop.run(b"Loop.")
    assert (await shop.ending(run))["error"] == "The run called sql 3 times with the same result: it is stuck."
    assert len(shop.model.requests[shop.name]) == 3


async def test_a_run_stops_before_its_next_act(shop: Workshop) -> None:
    shop.says(mails("ann@customer.example"), finishes())
    run = await shop.create(mail())
    await shop.change(
        "UPDATE pocketlet.run SET state = 'running', worker_id = %s WHERE id = %s", shop.engine.worker, run
    )
    async with shop.database.api() as conn:
        assert await runs.stop(conn, run) == "running"
    assert await shop.advance(run) == "stopped"
    assert await shop.steps(run) == []
    assert shop.model.requests[shop.name] == []
    assert await shop.retry(run) == "waiting"


async def test_a_run_that_nobody_works_on_stops_at_once(shop: Workshop) -> None:
    shop.says(mails("ann@customer.example"), finishes())
    run = await shop.run(mail())
    async with shop.database.api() as conn:
        assert await runs.stop(conn, run) == "stopped"
    with pytest.raises(errors.Conflict):
        async with shop.database.api() as conn:
            await runs.stop(conn, run)
    assert await shop.advance(run) == "stopped"
    assert shop.mail.taken() == []


async def test_a_worker_whose_run_was_taken_over_can_not_write(shop: Workshop) -> None:
    run = await shop.create(b"Whose is it?")
    async with shop.database.api() as conn:
        first = await runs.claim(conn, run, shop.engine.worker)
        second = await runs.claim(conn, run, shop.engine.worker)
    assert first
    assert second
    step = journal.Step(1, "tool", "sql", {}, "x", None, "owner")
    for write in (
        lambda conn: journal.write(conn, run, first.fence, step),
        lambda conn: runs.rest(conn, first, "done", outcome="done"),
        lambda conn: runs.hold(conn, first),
    ):
        with pytest.raises(errors.LostRun):
            async with shop.database.api() as conn:
                await write(conn)
    async with shop.database.api() as conn:
        await journal.write(conn, run, second.fence, step)


async def test_outside_text_that_was_read_back_keeps_its_label(shop: Workshop) -> None:
    shop.says(calls(("remember", {"kind": "note", "subject": "zebra crossing"})), finishes("From a mail."))
    await shop.run(mail())
    shop.says(calls(("search", {"words": "zebra"})), finishes("Read a note."))
    run = await shop.run(b"What do we know?")
    labels = [step.label for step in await shop.steps(run)]
    assert labels == ["owner", "outside", "outside", "outside"]
    assert (await shop.ending(run))["label"] == "outside"


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ("SELECT 1", "own-data"),
        ("SELECT count(*) FROM results", "outside"),
        ('SELECT subject FROM U&"mem\\006fries"', "outside"),
        ("WITH m AS (SELECT * FROM memories) SELECT 1 FROM m WHERE body <> ''", "outside"),
    ],
)
async def test_a_query_that_reads_outside_text_gets_its_label(shop: Workshop, query: str, label: str) -> None:
    shop.says(calls(("remember", {"kind": "note", "subject": "zebra"})), finishes("From a mail."))
    await shop.run(mail())
    shop.says(calls(("sql", {"query": query})), finishes("Looked."))
    run = await shop.run(b"What do we know?")
    assert [step.label for step in await shop.steps(run)][1] == label


@pytest.mark.parametrize("text", ["", "  "])
async def test_a_reply_of_nothing_is_no_success(shop: Workshop, text: str) -> None:
    shop.says(says(text))
    ending = await shop.ending(await shop.run(mail()))
    assert (ending["state"], ending["exit_code"]) == ("failed", 7)
    assert "retry" not in ending["hint"]  # it would read the same reply from the journal


async def test_the_briefing_is_pinned_with_the_revision(shop: Workshop) -> None:
    shop.says(mails("ann@customer.example"), finishes())
    run = await shop.run(mail())
    before = await shop.ending(run)
    async with shop.database.api() as conn:
        other = dataclasses.replace(await revisions.load(conn, shop.agent, 1), instructions="Be rude.\n")
        await revisions.decide(
            conn, shop.agent, await revisions.add(conn, shop.agent, other, revisions.Change("by hand")), "import"
        )
    await shop.answer(run)
    assert (await shop.ending(run))["state"] == "done"
    assert (await shop.ending(run))["briefing_hash"] == before["briefing_hash"]
    first, second = shop.model.requests[shop.name]
    assert json.dumps(second["messages"][:2]) == json.dumps(first["messages"])
