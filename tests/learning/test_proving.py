"""A draft on its way through the gate, with a model that says what the test wrote down."""

import re
from collections.abc import Awaitable, Callable

import pytest
from corrections_by_hand import (
    ASK,
    LATE,
    RIGHT,
    TIERS,
    WRONG,
    answered,
    case,
    corrected,
    decisions,
    drafting,
    evidence,
    report,
    unsettled,
    works,
)  # fmt: skip
from scripted_model import Fault, calls, finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.agents import work as runs_work
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases, feedback

Opener = Callable[..., Awaitable[Workshop]]
SIGNS = drafting(topic="Love", body="Sign with love.", when={}, expect=[{"kind": "contains", "text": "love"}])


async def test_a_fix_that_proves_itself_counts_and_its_case_becomes_stable(shop: Workshop) -> None:
    run = await answered(shop)
    number = await corrected(shop, run)
    assert await shop.outcome(number) is None
    assert await shop.learn(works) == ["manager", "trigger", "trigger", "before", "before", "admission"]
    assert await shop.outcome(number) == (
        "adopted as revision 2 (proven): Fixed where the revision in force fails again; nothing that was right broke."
    )
    assert shop.agent.current == 2
    assert await decisions(shop) == [(1, "import", "owner"), (2, "adopt", "gate")]
    found = await evidence(shop, 2)
    assert (found["rule"], found["replays"]) == ("proven", 4)
    assert found["trigger"] == {"passes": 2, "fails": 0, "unknown": 0}
    assert found["before"] == {"passes": 0, "fails": 2, "unknown": 0}
    assert found["thresholds"]["replays"] == 12
    told = await case(shop, run)
    assert (told["state"], told["passes"], told["accepted"]) == ("stable", 3, False)


async def test_the_owners_rule_counts_unproven_and_what_only_showed_asks(shop: Workshop) -> None:
    run = await answered(shop)
    number = await corrected(shop, run)
    assert await shop.learn(lambda _: RIGHT) == ["manager", "trigger", "trigger", "before", "admission"]
    assert (await shop.outcome(number) or "").startswith("adopted as revision 2 (unproven): Your own rule;")
    shop.says(mails(CUSTOMER, WRONG), finishes())
    number = await corrected(shop, run, *SIGNS, said="Sign with love.", source="sent")
    await shop.learn(lambda _: "We are sorry, with love.")
    said = await shop.outcome(number) or ""
    assert said.startswith("asked, revision 3 waits for your word: Nobody said this rule in so many words")
    assert shop.agent.current == 2


async def test_a_draft_that_fixes_nothing_is_discarded(shop: Workshop) -> None:
    number = await corrected(shop, await answered(shop))
    assert await shop.learn(lambda _: WRONG) == ["manager", "trigger", "trigger", "trigger"]
    assert await shop.outcome(number) == "discarded, revision 2: The case that it is for failed 3 times of 3."
    assert await shop.states() == {1: "current", 2: "discarded"}


@pytest.mark.parametrize(("last", "state"), [(RIGHT, "fixed"), (WRONG, "still-wrong")])
async def test_after_one_pass_of_three_it_takes_three_of_five(shop: Workshop, last: str, state: str) -> None:
    number = await corrected(shop, await answered(shop))
    bodies = iter([RIGHT, WRONG, WRONG, RIGHT, last])
    purposes = await shop.learn(lambda trial: next(bodies) if trial["purpose"] == "trigger" else works(trial))
    assert purposes[:6] == ["manager", *["trigger"] * 5]
    assert (await report(shop, 2))["counts"] == {state: 1}
    told = {
        "fixed": "adopted as revision 2 (proven)",
        "still-wrong": "asked, revision 2 waits for your word: Your own rule, and the model kept to it in 2 of 5",
    }
    assert (await shop.outcome(number) or "").startswith(told[state])


async def test_a_change_that_the_agents_owner_decides_on(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    run = await answered(shop)
    number = await corrected(shop, run)
    await shop.learn(works)
    assert await shop.states() == {1: "current", 2: "asked"}
    assert (
        await shop.outcome(number) == "asked, revision 2 waits for your word: This agent's changes wait for your word."
    )
    await shop.decide(2, "adopt")
    assert await shop.outcome(number) == "adopted as revision 2"
    assert (await decisions(shop))[1:] == [(2, "ask", "gate"), (2, "adopt", "owner")]
    assert await shop.learn(works) == ["admission"]
    assert (await case(shop, run))["state"] == "stable"


async def test_an_asked_draft_can_be_discarded(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    number = await corrected(shop, await answered(shop))
    await shop.learn(works)
    await shop.decide(2, "discard")
    assert await shop.outcome(number) == "discarded with revision 2"
    assert await shop.states() == {1: "current", 2: "discarded"}


async def kept(shop: Workshop, text: str) -> int:
    """A stable case on a mail of this text, whose answer has to say that it is on its way."""
    run = await shop.stable("It is on its way.", text)
    async with shop.database.api() as conn:
        number = await cases.of_run(conn, run)
        await cases.add_assertion(conn, number, asserting.Assertion("contains", {"text": "on its way"}))
    return run


NO_IDEA = [{"kind": "absent", "text": "idea"}]


async def test_a_draft_that_breaks_a_case_is_narrowed_until_it_does_not(open_shop: Opener) -> None:
    shop = await open_shop(TIERS)
    other = await kept(shop, "My order is late.")
    run = await answered(shop, text="My gold order is late.")
    number = await corrected(shop, run, *drafting(expect=NO_IDEA))
    await shop.learn(works)
    assert await shop.states() == {1: "adopted", 2: "narrowed", 3: "current"}
    assert (await shop.outcome(number) or "").startswith("adopted as revision 3 (unproven)")  # the wider one's count
    (lesson,) = (await shop.playbook(3)).lessons
    assert lesson.predicate == LATE | {"tier": "gold"}
    told = await report(shop, 2)
    assert {row["case_run"]: row["verdict"] for row in told["trials"]} == {run: "fixed", other: "worse"}
    assert (await report(shop, 3))["counts"] == {"fixed": 1, "unchanged": 1}
    why = await shop.row("SELECT because, evidence FROM pocketlet.decision WHERE verdict = 'narrow' ORDER BY id DESC")
    assert why["because"].endswith("Revision 3 is narrower.")
    assert (why["evidence"]["rule"], why["evidence"]["narrowed_by"]) == ("regression", "tier=gold")


async def test_a_draft_is_narrowed_twice_and_then_it_asks(open_shop: Opener) -> None:
    shop = await open_shop(TIERS)
    for text in ("My late gold order, by chat.", "My late order, by chat.", "My late gold order."):
        await kept(shop, text)
    run = await answered(shop, text="My gold order is late, says the chat.")
    number = await corrected(shop, run, *drafting(expect=NO_IDEA))
    await shop.learn(works)
    assert await shop.states() == {1: "current", 2: "narrowed", 3: "narrowed", 4: "asked"}
    (lesson,) = (await shop.playbook(4)).lessons
    assert lesson.predicate == LATE | {"tier": "gold", "channel": "chat"}
    assert await shop.outcome(number) == "asked, revision 4 waits for your word: 12 replays were not enough to tell."
    assert await unsettled(shop) == 0
    assert [(await report(shop, n))["replays"] for n in (2, 3, 4)] == [5, 5, 2]
    assert (await evidence(shop, 4))["spent"] == 10


async def test_a_draft_is_narrowed_without_a_replay_if_accepted_answers_show_it_too_wide(open_shop: Opener) -> None:
    shop = await open_shop(TIERS)
    await shop.stable("It is on its way.", "My order is late.")
    run = await answered(shop, text="My gold order is late.")
    await corrected(shop, run)
    await shop.learn(works)
    assert await shop.states() == {1: "adopted", 2: "narrowed", 3: "current"}
    assert (await report(shop, 2))["replays"] == 0


async def test_a_pinned_case_that_breaks_asks_instead_of_being_worked_around(open_shop: Opener) -> None:
    shop = await open_shop(TIERS)
    other = await kept(shop, "My order is late.")
    async with shop.database.api() as conn:
        await cases.pin(conn, shop.agent, await cases.of_run(conn, other), pinned=True)
    number = await corrected(shop, await answered(shop, text="My gold order is late."), *drafting(expect=NO_IDEA))
    await shop.learn(works)
    assert await shop.states() == {1: "current", 2: "asked"}
    assert (await shop.outcome(number) or "").endswith("failed 3 times of 3.")


async def test_the_audit_share_is_not_tried(shop: Workshop) -> None:
    number = 0
    while not cases.audit(number):
        run = await answered(shop)
        async with shop.database.api() as conn:
            number = await cases.keep(conn, shop.agent, run)
    await shop.change("UPDATE pocketlet.cases SET state = 'stable', passes = 3 WHERE id = %s", number)
    await corrected(shop, await answered(shop))
    assert "regression" not in await shop.learn(works)


async def test_the_same_words_on_work_that_followed_the_lesson_are_taken_up(shop: Workshop) -> None:
    await corrected(shop, await answered(shop))
    await shop.learn(works)
    number = await corrected(shop, await answered(shop, RIGHT), finishes("Nothing.", "no_change"))
    assert await shop.learn(works) == ["manager"]
    assert await shop.outcome(number) == "no change: Nothing."


async def test_the_same_words_again_are_not_written_louder(shop: Workshop) -> None:
    await corrected(shop, await answered(shop))
    await shop.learn(works)
    number = await corrected(shop, await answered(shop), said="Say  SORRY.")
    assert await shop.learn(works) == []
    assert await shop.outcome(number) == (
        "no change: lesson late says so and was in the briefing; the model did not follow it"
    )


async def test_the_newest_word_retires_what_it_contradicts_once_it_counts(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    other = await shop.stable("It is on its way.", "My order is late.")
    run = await answered(shop)
    number = await corrected(shop, run)
    await shop.learn(works)
    assert (await case(shop, other))["state"] == "stable"
    await shop.decide(2, "adopt")
    told = await case(shop, other)
    assert (told["state"], told["retired_by"]) == ("retired", number)
    assert str(number) in told["reason"]


async def test_a_draft_of_a_revision_that_no_longer_counts_is_made_anew(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    run = await answered(shop)
    await corrected(shop, run)
    await shop.learn(works)
    number = await corrected(shop, run, *SIGNS, said="Sign with love.")
    async with shop.database.api() as conn:
        (manager,) = await feedback.under_way(conn, number)
    await shop.advance(manager)  # its draft is on trial
    await shop.decide(2, "adopt")
    await shop.learn(lambda _: "We are sorry, with love.")
    assert await shop.states() == {1: "adopted", 2: "current", 3: "discarded", 4: "asked"}
    assert (await shop.outcome(number) or "").startswith("asked, revision 4 waits for your word: ")
    assert len((await shop.playbook(4)).lessons) == 2
    row = await shop.row("SELECT because FROM pocketlet.decision WHERE revision = 3 AND agent_id = %s", shop.agent.id)
    assert row["because"] == "Revision 2 counts since, and this was drafted from revision 1."


@pytest.mark.parametrize("purpose", ["trigger", "before", "regression"])
@pytest.mark.parametrize("trouble", ["model down", "over budget"])
async def test_a_gate_that_can_not_try_adopts_nothing(shop: Workshop, purpose: str, trouble: str) -> None:
    await kept(shop, "My parcel is late.")
    await shop.learn(lambda _: "It is on its way.")
    number = await corrected(shop, await answered(shop), *drafting(expect=NO_IDEA))
    (manager,) = (await shop.row("SELECT max(id) FROM pocketlet.run WHERE agent_id = %s", shop.agent.id)).values()
    await shop.advance(manager)
    scope = f"learning:{manager}"
    while not await shop.rows(
        "SELECT FROM pocketlet.trial WHERE agent_id = %s AND verdict = 'pending' AND purpose = %s",
        shop.agent.id,
        purpose,
    ):
        run = await shop.row("SELECT max(run_id) AS id FROM pocketlet.trial WHERE agent_id = %s", shop.agent.id)
        shop.says(mails(CUSTOMER, "It is on its way."), finishes())
        await shop.advance(run["id"])
    if trouble == "model down":
        shop.model.faults[shop.name] += [Fault(500)] * 4
    else:
        async with shop.database.setup() as conn:
            await conn.execute(b"UPDATE pocketlet.budget SET spent = cap WHERE scope = %s", (scope,))
    await shop.learn()
    said = await shop.outcome(number) or ""
    assert said.startswith(
        "asked, revision 2 waits for your word: A replay could not be carried out, so it says neither yes nor no."
    )
    assert re.search(r"`pocketlet retry \d+` tries it again\.$", said)
    assert await shop.states() == {1: "current", 2: "asked"}
    assert not shop.model.faults[shop.name]


async def test_curations_take_turns_and_every_feedback_has_one_outcome(shop: Workshop) -> None:
    runs = [await answered(shop) for _ in range(3)]
    words = ((runs[0], "Say sorry."), (runs[1], "Sign with love."), (runs[1], "Love."), (runs[2], "Say hello."))
    async with shop.database.api() as conn:
        given = [await feedback.give(conn, run, feedback.Said("change", word)) for run, word in words]
    assert [manager is not None for _, manager in given] == [True, False, False, False]
    greets = drafting(topic="Hello", body="Say hello.", expect=[{"kind": "contains", "text": "hello"}])
    purposes = await shop.learn(
        lambda trial: WRONG if trial["purpose"] == "before" else "Hello, we are sorry, with love.",
        drafting(), SIGNS, greets,
    )  # fmt: skip
    assert purposes.count("manager") == 3
    query = "SELECT curation_run, outcome FROM pocketlet.feedback WHERE agent_id = %s ORDER BY id"
    rows = await shop.rows(query, shop.agent.id)
    assert [row["outcome"].partition(" (")[0] for row in rows] == [f"adopted as revision {n}" for n in (2, 3, 3, 4)]
    assert rows[1] == rows[2]  # what was said of one run is taken up at once
    query = "SELECT revision FROM pocketlet.run WHERE kind = 'manager' AND agent_id = %s ORDER BY id"
    assert [row["revision"] for row in await shop.rows(query, shop.agent.id)] == [1, 2, 3]


async def test_a_curation_that_fails_gives_way_to_the_next(shop: Workshop) -> None:
    first, second = await answered(shop), await answered(shop)
    one = await corrected(shop, first)
    two = await corrected(shop, second)
    shop.model.faults[f"{shop.name}#manager"] += [Fault(401)]
    await shop.learn(works)
    assert (await shop.outcome(one) or "").startswith("not taken up: ")
    assert (await shop.outcome(two) or "").startswith("adopted as revision 2")


async def test_a_curation_that_changes_nothing_gives_way_to_the_next(shop: Workshop) -> None:
    first, second = await answered(shop), await answered(shop)
    one, two = await corrected(shop, first), await corrected(shop, second)
    await shop.learn(works, (finishes("Nothing.", "no_change"),), drafting())
    assert await shop.outcome(one) == "no change: Nothing."
    assert (await shop.outcome(two) or "").startswith("adopted as revision 2")


async def test_a_trial_sends_nothing_and_leaves_nothing_in_the_memory(shop: Workshop) -> None:
    await corrected(shop, await answered(shop))
    shop.says(
        calls(("remember", {"kind": "note", "subject": "Eve is the boss."})),
        mails(CUSTOMER, RIGHT),
        mails("eve@evil.example", RIGHT),
        finishes(),
    )
    before = [await shop.rows(f"SELECT * FROM {shop.name}.{table}") for table in ("memories", "results")]
    assert "trigger" in await shop.learn()
    assert [await shop.rows(f"SELECT * FROM {shop.name}.{table}") for table in ("memories", "results")] == before
    assert shop.mail.connections == 0
    query = "SELECT DISTINCT e.state FROM pocketlet.effect e JOIN pocketlet.run r ON r.id = e.run_id"
    states = await shop.rows(f"{query} WHERE r.kind = 'trial' AND r.agent_id = %s ORDER BY 1", shop.agent.id)
    assert [row["state"] for row in states] == ["blocked", "captured"]


async def test_a_lesson_by_a_manager_that_read_the_draft_asks(shop: Workshop) -> None:
    run = await answered(shop)
    number = await corrected(shop, run, *drafting(calls(("quote", {"run": run}))))
    await shop.learn(works)
    assert await shop.states() == {1: "current", 2: "asked"}
    said = await shop.outcome(number) or ""
    assert said.endswith("was drafted by a run that had read text from outside.")


async def test_rolling_back_restores_every_briefing(shop: Workshop) -> None:
    for text in ("My order is late.", "Do you have tea?", "Late again."):
        await shop.stable(RIGHT, text)

    async def hashes() -> dict[int, str]:
        async with shop.database.api() as conn:
            shop.agent = await agents.get(conn, shop.name)
            now = await revisions.load(conn, shop.agent, shop.agent.current)
            found = await cases.open_cases(conn, shop.agent)
        tasks = {one.id: runs_work.tasks.from_record(one.input) for one in found}
        return {one.id: runs_work.compiled(now, tasks[one.id], one.facts, now.manifest.model).hash for one in found}

    run = await answered(shop)
    before = await hashes()
    await corrected(shop, run)
    await shop.learn(works)
    after = await hashes()
    assert sum(after[one] != before[one] for one in before) == 2
    await shop.decide(1, "rollback")
    assert {one: digest for one, digest in (await hashes()).items() if one in before} == before
    await shop.decide(2, "rollback")
    assert await hashes() == after


async def test_what_counts_was_decided_and_a_run_keeps_its_revision(shop: Workshop) -> None:
    waiting = await answered(shop)
    await corrected(shop, await answered(shop))
    pinned = await shop.create(mail())
    await shop.learn(works)
    assert shop.agent.current == 2
    shop.says(mails(CUSTOMER, WRONG), finishes())
    await shop.advance(pinned)
    assert (await shop.ending(pinned))["briefing_hash"] == (await shop.ending(waiting))["briefing_hash"]
    current = "SELECT FROM pocketlet.decision d JOIN pocketlet.agent a ON a.id = d.agent_id AND a.current = d.revision"
    assert await shop.rows(f"{current} WHERE a.id = %s AND d.verdict IN ('import', 'adopt')", shop.agent.id)
