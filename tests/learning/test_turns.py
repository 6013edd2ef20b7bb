"""Curations take turns, and a run of learning that is stopped or tried again keeps nobody waiting."""

import pytest
from corrections_by_hand import answered, corrected, drafting, unsettled, works
from scripted_model import Fault, finishes
from workshop import Workshop

from pocketlet import errors
from pocketlet.learning import kinds

NOTHING = (finishes("Nothing.", "no_change"),)
NEWEST = "SELECT max(id) AS id FROM pocketlet.run WHERE agent_id = %s"


async def newest(shop: Workshop) -> int:
    """The run that was made last."""
    return (await shop.row(NEWEST, shop.agent.id))["id"]


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
