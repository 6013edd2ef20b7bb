"""What a draft's adoption means for other drafts and for cases, and what going back to an earlier revision does."""

from collections.abc import Awaitable, Callable

import pytest
from corrections_by_hand import ASK, RIGHT, TIERS, WRONG, answered, case, corrected, drafting, evidence, works
from scripted_model import finishes
from workshop import Workshop

from pocketlet import errors
from pocketlet.learning import feedback

Opener = Callable[..., Awaitable[Workshop]]
LOVE = "We are sorry, with love."
SIGNS = drafting(topic="Love", body="Sign with love.", when={}, expect=[{"kind": "contains", "text": "love"}])
FIGURES = {
    "explicit", "owner_decides", "pinned", "contested", "sample", "overhead", "spent", "retires", "touched",
    "unchanged", "findings", "model", "narrowings", "rule", "proven", "counts", "replays", "cost_usd", "trigger",
    "before", "stable", "thresholds",
}  # fmt: skip
THRESHOLDS = {
    "needed": 2, "attempts": 3, "majority": 3, "wavering": 5, "before": 2, "sampled": 4, "many": 8, "aim": 8,
    "replays": 12, "narrowings": 2, "overhead": 3_000, "canary_runs": 3, "canary_wrong": 2,
}  # fmt: skip


def lovingly(trial: dict[str, object]) -> str:
    """Right by both rules; what is in force is wrong again."""
    return WRONG if trial["purpose"] == "before" else LOVE


async def two_asked(shop: Workshop) -> tuple[int, int]:
    """Two drafts of revision 1 that wait for the owner's word; the feedback of each."""
    first = await corrected(shop, await answered(shop))
    await shop.learn(works)
    second = await corrected(shop, await answered(shop), *SIGNS, said="Sign with love.")
    await shop.learn(lovingly)
    assert await shop.states() == {1: "current", 2: "asked", 3: "asked"}
    return first, second


async def test_adopting_one_draft_takes_the_others_feedback_up_again(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    first, second = await two_asked(shop)
    await shop.decide(2, "adopt")
    assert await shop.states() == {1: "adopted", 2: "current", 3: "discarded"}
    assert await evidence(shop, 3) == {"rule": "stale"}
    assert (await shop.outcome(first), await shop.outcome(second)) == ("adopted as revision 2", None)
    with pytest.raises(errors.Conflict):
        await shop.decide(3, "adopt")
    assert (await shop.learn(lovingly))[0:2] == ["admission", "manager"]
    assert await shop.states() == {1: "adopted", 2: "current", 3: "discarded", 4: "asked"}
    assert sorted(lesson.name for lesson in (await shop.playbook(4)).lessons) == ["late", "love-2"]
    await shop.decide(4, "adopt")
    assert await shop.outcome(second) == "adopted as revision 4"


async def test_discarding_one_draft_leaves_the_others_waiting(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    await two_asked(shop)
    await shop.decide(2, "discard")
    assert await shop.states() == {1: "current", 2: "discarded", 3: "asked"}
    await shop.decide(3, "adopt")
    assert shop.agent.current == 3


async def test_what_the_gate_adopts_overtakes_what_waits_too(shop: Workshop) -> None:
    run = await answered(shop, RIGHT)
    waits = await corrected(shop, run, *SIGNS, said="Sign with love.", source="sent")
    await shop.learn(lambda _: LOVE)
    assert await shop.states() == {1: "current", 2: "asked"}
    await corrected(shop, await answered(shop), *drafting())
    await shop.learn(works, drafting(), (finishes("Nothing.", "no_change"),))
    assert await shop.states() == {1: "adopted", 2: "discarded", 3: "current"}
    assert await shop.outcome(waits) == "no change: Nothing."


async def test_going_back_brings_cases_back_and_going_forward_retires_them_again(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    gone = await shop.stable("It is on its way.", "My order is late.")
    await corrected(shop, await answered(shop))
    await shop.learn(works)
    await shop.decide(2, "adopt")
    assert ((await case(shop, gone))["state"], (await case(shop, gone))["retired_in"]) == ("retired", 2)
    await shop.decide(1, "rollback")
    back = await case(shop, gone)
    assert (back["state"], back["passes"]) == ("candidate", 1)  # it has to be admitted anew
    await shop.decide(2, "rollback")
    assert (await case(shop, gone))["state"] == "retired"
    await shop.decide(1, "rollback")
    assert (await case(shop, gone))["state"] == "candidate"


async def test_a_case_that_an_earlier_revision_retired_stays_retired(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    gone = await shop.stable("It is on its way.", "My order is late.")
    await corrected(shop, await answered(shop))
    await shop.learn(works)
    await shop.decide(2, "adopt")
    await corrected(shop, await answered(shop, RIGHT), *SIGNS, said="Sign with love.")
    await shop.learn(lovingly)
    await shop.decide(3, "adopt")
    await shop.decide(2, "rollback")
    assert (await case(shop, gone))["state"] == "retired"


async def test_every_figure_that_a_decision_rests_on_is_kept(open_shop: Opener) -> None:
    shop = await open_shop(f"{TIERS}\n{ASK}")
    other = await shop.stable(RIGHT, "My order is late.")
    await corrected(shop, await answered(shop, text="My gold order is late."))
    await shop.learn(works)
    gate_said = await evidence(shop, 2)
    assert gate_said.keys() == FIGURES
    assert gate_said["thresholds"] == THRESHOLDS
    sampled = (await case(shop, other))["id"]
    assert (gate_said["explicit"], gate_said["owner_decides"], gate_said["sample"]) == (True, True, [sampled])
    assert (gate_said["pinned"], gate_said["contested"], gate_said["spent"]) == ([], [], 0)
    assert gate_said["overhead"] > 0
    assert (gate_said["rule"], gate_said["proven"], gate_said["replays"]) == ("owner-decides", True, 5)
    await shop.decide(2, "adopt")
    assert await evidence(shop, 2) == gate_said  # the owner's word rests on what they were shown


async def test_the_owners_no_keeps_what_the_gate_had_found(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    await corrected(shop, await answered(shop))
    await shop.learn(works)
    gate_said = await evidence(shop, 2)
    await shop.decide(2, "discard")
    assert await evidence(shop, 2) == gate_said


async def test_an_edit_alone_has_to_be_proven(shop: Workshop) -> None:
    async def edited() -> int:
        shop.says(*drafting(), manager=True)
        run = await answered(shop)
        async with shop.database.api() as conn:
            number, _ = await feedback.give(conn, run, feedback.Said("change", edited=f"{WRONG}\nSay sorry."))
        return number

    number = await edited()
    await shop.learn(lambda _: "Say sorry.")
    assert (await evidence(shop, 2))["explicit"] is False
    said = await shop.outcome(number) or ""
    assert said.startswith("asked, revision 2 waits for your word: Nobody said this rule in so many words")
    number = await edited()
    await shop.learn(lambda trial: WRONG if trial["purpose"] == "before" else "Say sorry.")
    assert (await shop.outcome(number) or "").startswith("adopted as revision 3 (proven)")


async def test_an_edit_with_a_comment_is_the_owners_rule(shop: Workshop) -> None:
    number = await corrected(shop, await answered(shop), edited=f"{WRONG}\nSay sorry.")
    await shop.learn(lambda _: "Say sorry.")
    assert (await evidence(shop, 2))["explicit"] is True
    assert (await shop.outcome(number) or "").startswith("adopted as revision 2 (unproven)")
