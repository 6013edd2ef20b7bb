"""Stored cases: how they come to gate, how they stop to, and what judges them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from corrections_by_hand import RIGHT, WRONG, answered, case, corrected, drafting, newest, works
from scripted_model import calls, finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import loop, toolbox, work
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases, cassette, kinds

MODEL = "openai:small"


async def right(shop: Workshop, body: str = RIGHT) -> int:
    """A run that the owner called right."""
    run = await answered(shop, body)
    await shop.feedback(run, "right")
    return run


async def tried(shop: Workshop, run: int, *outcomes: bool, model: str = "") -> dict[str, object]:
    """Trials of the run's case on what is in force; its row then."""
    row = await case(shop, run)
    for passed in outcomes:
        async with shop.database.api() as conn:
            await cases.tried(conn, row["id"], model or row["model"] or MODEL, passed=passed)
    return await case(shop, run)


async def test_a_right_run_is_a_candidate_with_one_pass_and_stable_after_three(shop: Workshop) -> None:
    run = await right(shop)
    row = await case(shop, run)
    assert (row["state"], row["passes"], row["accepted"]) == ("candidate", 1, True)
    assert (await tried(shop, run, True))["state"] == "candidate"
    row = await tried(shop, run, True)
    assert (row["state"], row["passes"]) == ("stable", 3)
    assert row["model"] == f"openai:{shop.name}"


async def test_passes_count_in_a_row_and_with_one_model(shop: Workshop) -> None:
    run = await right(shop)
    row = await tried(shop, run, True, False)
    assert (row["state"], row["passes"]) == ("candidate", 0)
    assert (await tried(shop, run, True, True))["state"] == "candidate"
    assert (await tried(shop, run, True))["state"] == "stable"
    row = await tried(shop, run, False)  # one failure of a stable case says little
    assert (row["state"], row["passes"]) == ("stable", 0)
    row = await tried(shop, run, True, model="openai:other")
    assert (row["state"], row["passes"], row["model"]) == ("candidate", 1, "openai:other")


async def test_a_run_that_is_corrected_vouches_for_nothing_any_more(shop: Workshop) -> None:
    run = await right(shop)
    await tried(shop, run, True, True)
    await corrected(shop, run)
    row = await case(shop, run)
    assert (row["state"], row["passes"], row["accepted"]) == ("candidate", 0, False)


async def test_a_retired_case_stays_so_and_a_quarantined_one_comes_back(shop: Workshop) -> None:
    gone, ill = await right(shop), await right(shop)
    async with shop.database.api() as conn:
        await cases.retire(conn, (await case(shop, gone))["id"], "a newer word", None, 1)
        await cases.quarantine(conn, (await case(shop, ill))["id"], "not recorded")
        found = [one.run for one in await cases.open_cases(conn, shop.agent)]
    assert found == [ill]
    assert (await tried(shop, gone, True, True, True))["state"] == "retired"
    await shop.feedback(gone, "right")
    assert (await case(shop, gone))["state"] == "retired"
    assert (await tried(shop, ill, True))["state"] == "candidate"


async def test_a_scope_has_room_for_eight_and_for_those_that_are_pinned(shop: Workshop) -> None:
    runs = [await right(shop) for _ in range(cases.MOST_A_SCOPE + 1)]
    states = [(await tried(shop, run, True, True))["state"] for run in runs]
    assert states == ["stable"] * cases.MOST_A_SCOPE + ["candidate"]
    last = await case(shop, runs[-1])
    async with shop.database.api() as conn:
        await cases.pin(conn, shop.agent, last["id"], pinned=True)
        with pytest.raises(errors.NotFound, match="has no case"):
            await cases.pin(conn, shop.agent, 10**9, pinned=True)
    assert (await tried(shop, runs[-1], True))["state"] == "stable"
    shop.says(mails(CUSTOMER, RIGHT), finishes())
    other = await shop.run(mail("Do you have tea?", subject="Tea"))
    await shop.feedback(other, "right")
    assert (await tried(shop, other, True, True))["state"] == "stable"  # another scope


def test_a_fifth_of_all_cases_never_gates() -> None:
    assert 0.18 < sum(map(cases.audit, range(10_000))) / 10_000 < 0.22
    assert [cases.audit(number) for number in range(50)] == [cases.audit(number) for number in range(50)]


async def judged_by(shop: Workshop, run: int, revision: int) -> list[str]:
    """The sentences that a trial of the revision has to live up to."""
    async with shop.database.api() as conn:
        found = await cases.assertions(conn, (await case(shop, run))["id"], revision)
    return [one.sentence() for one in found]


async def test_what_a_draft_came_with_counts_for_it_and_for_what_descends_from_it(shop: Workshop) -> None:
    run = await answered(shop)
    await corrected(shop, run)
    mailed = f"a mail goes to {CUSTOMER}"
    assert await judged_by(shop, run, 1) == [mailed]
    await shop.learn(works)
    assert await judged_by(shop, run, 1) == [mailed]
    assert await judged_by(shop, run, 2) == [mailed, "the answer contains “sorry”"]
    love = drafting(topic="Love", body="Sign with love.", when={}, expect=[{"kind": "contains", "text": "love"}])
    other = await answered(shop)
    await corrected(shop, other, *love, said="Sign with love.")
    await shop.learn(lambda trial: WRONG if trial["purpose"] == "before" else "We are sorry, with love.")
    assert shop.agent.current == 3
    assert await judged_by(shop, run, 3) == [mailed, "the answer contains “sorry”"]
    assert await judged_by(shop, other, 3) == [mailed, "the answer contains “love”"]


async def test_accepted_work_is_asked_about_every_text_that_somebody_cared_about(shop: Workshop) -> None:
    run = await right(shop)
    assert await judged_by(shop, run, 1) == [f"a mail goes to {CUSTOMER}"]
    async with shop.database.api() as conn:
        other = await cases.keep(conn, shop.agent, await answered(shop))
        for text in ("sorry", "10 % off"):
            await cases.add_assertion(conn, other, asserting.Assertion("contains", {"text": text}))
        await cases.add_assertion(
            conn, (await case(shop, run))["id"], asserting.Assertion("contains", {"text": "SORRY"})
        )
    assert (await judged_by(shop, run, 1))[1:] == [
        "the answer contains “SORRY”",
        "the answer does not contain “10 % off”",
    ]


async def test_the_texts_of_a_draft_that_never_counted_are_not_asked_about(shop: Workshop) -> None:
    kept = await right(shop)
    await corrected(shop, await answered(shop, "Hello."), *drafting(expect=[{"kind": "absent", "text": "hello"}]))
    await shop.learn(lambda _: "Hello.")
    assert await shop.states() == {1: "current", 2: "discarded"}
    assert await judged_by(shop, kept, 1) == [f"a mail goes to {CUSTOMER}"]
    await corrected(shop, await answered(shop))
    await shop.learn(works)
    assert shop.agent.current == 3
    assert await judged_by(shop, kept, 3) == [f"a mail goes to {CUSTOMER}", "the answer contains “sorry”"]
    assert await judged_by(shop, kept, 1) == [f"a mail goes to {CUSTOMER}"]


async def test_there_is_no_pattern_to_match(shop: Workshop) -> None:
    run = await right(shop)
    async with shop.database.api() as conn:
        number = await cases.of_run(conn, run)
        with pytest.raises(psycopg.errors.CheckViolation):
            await cases.add_assertion(conn, number, asserting.Assertion("regex", {"pattern": "(a+)+"}))


async def unrecorded(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    """What a trial may not do: it goes to no recorded run."""
    raise AssertionError


async def test_a_trial_with_a_call_that_was_not_recorded_quarantines_its_case(shop: Workshop) -> None:
    run = await answered(shop)
    number = await corrected(shop, run)
    abroad = toolbox.Tool("abroad", "Reads something outside.", unrecorded, {})
    trial = replace(
        kinds.KINDS["trial"], tools=lambda found: cassette.tools(found, {**work.tools(found), "abroad": abroad})
    )
    await shop.advance(await newest(shop))
    shop.says(calls(("abroad", {})), mails(CUSTOMER, RIGHT), finishes())
    await loop.advance(shop.engine, {**kinds.KINDS, "trial": trial}, await newest(shop))
    row = await case(shop, run)
    assert row["state"] == "quarantined"
    assert row["reason"].endswith("abroad was not recorded")
    assert await shop.states() == {1: "current", 2: "asked"}
    assert "could not be carried out" in (await shop.outcome(number) or "")


async def test_an_edit_becomes_assertions_of_its_case_with_the_draft_that_is_made_of_it(shop: Workshop) -> None:
    run = await answered(shop, "Dear Ann,\nit comes by Monday.")
    mailed = f"a mail goes to {CUSTOMER}"
    number = await corrected(shop, run, said="Say sorry.", edited="Dear Ann,\nwe are sorry.")
    await shop.learn(lambda trial: WRONG if trial["purpose"] == "before" else RIGHT)
    assert await judged_by(shop, run, 1) == [mailed]
    assert await judged_by(shop, run, 2) == [
        mailed,
        "the answer contains “sorry”",
        "the answer contains “we are sorry.”",
        "the answer does not contain “it comes by Monday.”",
    ]
    query = "SELECT DISTINCT feedback_id, revision FROM pocketlet.assertion WHERE feedback_id = %s"
    assert await shop.rows(query, number) == [{"feedback_id": number, "revision": 2}]
    async with shop.database.api() as conn:
        shop.agent = await agents.get(conn, shop.name)
        (listed,) = await cases.listing(conn, shop.agent)
    assert shop.agent.current == 2
    assert listed["assertions"] == await judged_by(shop, run, 2)
    assert (listed["run"], listed["audit"]) == (run, cases.audit(listed["case"]))


async def test_an_edit_that_taught_nothing_judges_nothing(shop: Workshop) -> None:
    run = await answered(shop, "Dear Ann,\nit comes by Monday.")
    shop.says(finishes("Nothing.", "no_change"), manager=True)
    number, _ = await shop.feedback(run, "change", "", "Dear Ann,\nwe are sorry.")
    assert await judged_by(shop, run, 1) == [f"a mail goes to {CUSTOMER}"]
    assert await shop.outcome(number) == "no change: Nothing."


async def test_the_newest_text_that_the_owner_stood_for_counts_within_a_case_too(shop: Workshop) -> None:
    run = await answered(shop)
    await corrected(shop, run)
    await shop.learn(works)
    assert await judged_by(shop, run, 2) == [f"a mail goes to {CUSTOMER}", "the answer contains “sorry”"]
    shop.says(finishes("Nothing.", "no_change"), manager=True)
    await shop.feedback(run, "change", "", "No excuse.")
    assert await judged_by(shop, run, 2) == [f"a mail goes to {CUSTOMER}"]
