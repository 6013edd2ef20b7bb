"""Curations take turns, and a run of learning that is stopped or tried again keeps nobody waiting."""

import asyncio
from dataclasses import replace

import pytest
from corrections_by_hand import RIGHT, answered, corrected, drafting, newest, unsettled, works
from drafts import lesson
from scripted_model import Fault, finishes, mails
from workshop import CUSTOMER, Workshop

from pocketlet import errors
from pocketlet.agents import revisions
from pocketlet.learning import feedback, kinds

NOTHING = (finishes("Nothing.", "no_change"),)


@pytest.mark.parametrize(
    "nothing", [NOTHING, drafting(when={"intent": "other"})], ids=["no change", "discarded untried"]
)
async def test_after_a_curation_without_a_replay_the_next_has_its_turn(shop: Workshop, nothing: tuple) -> None:
    first, second = await answered(shop), await answered(shop)
    await corrected(shop, first)
    await corrected(shop, second)
    await shop.learn(works, nothing, drafting())
    assert await unsettled(shop) == 0


@pytest.mark.parametrize("begun", [False, True], ids=["manager", "trial"])
async def test_a_queued_run_that_is_stopped_keeps_nobody_waiting(shop: Workshop, *, begun: bool) -> None:
    number = await corrected(shop, await answered(shop))
    if begun:
        await shop.advance(await newest(shop))
    async with shop.database.api() as conn:
        assert await kinds.stop(conn, await newest(shop)) == "stopped"
    await shop.learn(works)
    outcome = await shop.outcome(number) or ""
    assert outcome.startswith("asked, " if begun else "not taken up: ")


async def test_a_curation_is_tried_again_when_it_is_its_turn(shop: Workshop) -> None:
    first, second = await answered(shop), await answered(shop)
    number = await corrected(shop, first)
    manager = await newest(shop)
    await corrected(shop, second)
    shop.model.faults[f"{shop.name}#manager"] += [Fault(401)]
    await shop.advance(manager)
    assert (await shop.outcome(number) or "").startswith("not taken up: ")
    async with shop.database.api() as conn:
        with pytest.raises(errors.Conflict, match="learns something else now"):
            await kinds.retry(conn, manager)
    await shop.learn(works, drafting())
    assert await unsettled(shop) == 0


async def test_a_curation_whose_words_another_has_taken_up_is_not_tried_again(shop: Workshop) -> None:
    run = await answered(shop)
    await corrected(shop, run)
    manager = await newest(shop)
    shop.model.faults[f"{shop.name}#manager"] += [Fault(401)]
    await shop.advance(manager)
    await corrected(shop, run, *NOTHING, said="And no hurry.")
    assert await newest(shop) != manager
    await shop.learn(works)
    assert await unsettled(shop) == 0
    async with shop.database.api() as conn:
        with pytest.raises(errors.Conflict, match="was taken up by another run"):
            await kinds.retry(conn, manager)


async def test_a_replay_that_is_tried_again_takes_its_draft_on(shop: Workshop) -> None:
    number = await corrected(shop, await answered(shop))
    await shop.advance(await newest(shop))
    trial = await newest(shop)
    shop.model.faults[shop.name] += [Fault(401)]
    await shop.advance(trial)
    assert (await shop.outcome(number) or "").endswith(f"`pocketlet retry {trial}` tries it again.")
    assert await shop.states() == {1: "current", 2: "asked"}
    async with shop.database.api() as conn:
        await kinds.retry(conn, trial)
        assert await feedback.under_way(conn, number) == [trial]  # whoever follows it waits for the end
    assert await shop.learn(works) == ["trigger", "trigger", "before", "before", "admission"]
    assert (await shop.outcome(number) or "").startswith("adopted as revision 2 (proven)")


async def test_four_words_at_once_are_four_feedbacks_and_one_curation(shop: Workshop) -> None:
    runs = [await answered(shop) for _ in range(4)]
    shop.says(*drafting(), manager=True)

    async def said(run: int) -> tuple[int, int | None]:
        async with shop.database.api() as conn:
            return await feedback.give(conn, run, feedback.Said("change", "Say sorry."))

    given = await asyncio.gather(*map(said, runs))
    assert len({number for number, _ in given}) == 4
    assert sum(manager is not None for _, manager in given) == 1
    queued = "SELECT kind, state FROM pocketlet.run WHERE agent_id = %s AND kind <> 'run'"
    assert await shop.rows(queued, shop.agent.id) == [{"kind": "manager", "state": "queued"}]
    await shop.learn(works, drafting(), NOTHING, NOTHING, NOTHING)
    assert await unsettled(shop) == 0


async def test_a_word_while_a_replay_ends_is_no_deadlock(shop: Workshop) -> None:
    first, second = await answered(shop), await answered(shop, RIGHT)
    await corrected(shop, first)
    await shop.advance(await newest(shop))
    shop.says(mails(CUSTOMER, RIGHT), finishes())
    trial = await newest(shop)

    async def said(verdict: str) -> None:
        async with shop.database.api() as conn:
            await feedback.give(conn, second, feedback.Said(verdict, "Sign with love."))

    await asyncio.gather(shop.advance(trial), said("change"), said("right"))
    await shop.learn(works, NOTHING)
    assert await unsettled(shop) == 0


async def test_two_drafts_of_one_topic_at_once_get_a_number_and_a_name_each(shop: Workshop) -> None:
    now = await shop.playbook(1)
    draft = replace(now, lessons=(*now.lessons, lesson(feedback=None, run=None)))

    async def add(reason: str) -> int:
        async with shop.database.api() as conn:
            return await revisions.add(conn, shop.agent, draft, revisions.Change(reason, "manager", 1))

    numbers = await asyncio.gather(add("one"), add("other"))
    assert sorted(numbers) == [2, 3]
    names = [[one.name for one in (await shop.playbook(n)).lessons] for n in (2, 3)]
    assert names == [["rule-0"], ["rule-0-2"]]
