"""After adoption: two wrong runs of the first three that follow a new lesson take it back."""

from collections.abc import Awaitable, Callable

from corrections_by_hand import LATE, RIGHT, WRONG, answered, corrected, decisions, drafting, unsettled, works
from scripted_model import calls, finishes
from workshop import Workshop

from pocketlet.learning import canary

Opener = Callable[..., Awaitable[Workshop]]
NOTHING = (finishes("Nothing.", "no_change"),)


async def taught(shop: Workshop) -> None:
    """A lesson that has been adopted."""
    await corrected(shop, await answered(shop))
    await shop.learn(works)
    assert shop.agent.current == 2
    shop.says(*NOTHING, manager=True)


async def called(shop: Workshop, verdict: str, body: str = RIGHT) -> int:
    """A run on what is in force, and the owner's word on it; the revision in force then."""
    run = await answered(shop, body)
    await shop.feedback(run, verdict, "" if verdict == "right" else "Not like this.")
    await shop.learn()
    return shop.agent.current


async def test_two_wrong_runs_take_a_lesson_back(shop: Workshop) -> None:
    await taught(shop)
    before = (await shop.playbook(1)).digest
    assert await called(shop, "wrong") == 2
    assert await called(shop, "wrong") == 3
    assert (await shop.playbook(3)).digest == before
    assert (await decisions(shop))[-1] == (3, "revert", "gate")
    row = await shop.row("SELECT because, evidence FROM pocketlet.decision WHERE verdict = 'revert' ORDER BY id DESC")
    assert row["because"] == "2 of the first 2 judged runs did what lesson late says and were wrong."
    assert row["evidence"]["thresholds"] == {"canary_runs": 3, "canary_wrong": 2}
    case = await shop.row(
        "SELECT state, reason, retired_in FROM pocketlet.cases WHERE agent_id = %s ORDER BY id", shop.agent.id
    )
    rests = "it rests on lesson late, which was taken back"
    assert (case["state"], case["reason"], case["retired_in"]) == ("retired", rests, 3)
    assert await unsettled(shop) == 0


async def test_one_wrong_run_of_three_does_not(shop: Workshop) -> None:
    await taught(shop)
    for verdict in ("right", "wrong", "right"):
        assert await called(shop, verdict) == 2


async def test_a_run_that_needs_a_change_is_not_a_wrong_one(shop: Workshop) -> None:
    await taught(shop)
    for _ in range(3):
        assert await called(shop, "change") == 2


async def test_a_wrong_run_that_did_not_follow_the_lesson_says_nothing_of_it(shop: Workshop) -> None:
    await taught(shop)
    for _ in range(3):
        assert await called(shop, "wrong", WRONG) == 2


async def test_of_a_lesson_that_expects_nothing_every_wrong_run_counts(shop: Workshop) -> None:
    await corrected(shop, await answered(shop), *drafting(expect=[]))
    await shop.learn(works)
    assert await shop.states() == {1: "current", 2: "asked"}  # no replay can prove it
    await shop.decide(2, "adopt")
    shop.says(*NOTHING, manager=True)
    assert await called(shop, "wrong", WRONG) == 2
    assert await called(shop, "wrong", RIGHT) == 3
    assert (await decisions(shop))[-1] == (3, "revert", "gate")


async def test_after_its_first_three_runs_a_lesson_is_no_longer_watched(shop: Workshop) -> None:
    await taught(shop)
    for verdict in ("right", "right", "wrong", "wrong", "wrong"):
        assert await called(shop, verdict) == 2


async def test_the_first_three_are_watched_whenever_they_are_judged(shop: Workshop) -> None:
    await taught(shop)
    runs = [await answered(shop, RIGHT) for _ in range(5)]
    for run in reversed(runs[1:]):
        assert shop.agent.current == 2
        await shop.feedback(run, "wrong", "Not like this.")
        await shop.learn()
    assert shop.agent.current == 3


async def test_a_lesson_that_loses_more_than_it_wins_later_on_is_asked_about_once(shop: Workshop) -> None:
    await taught(shop)
    for verdict in ["right"] * 4 + ["wrong"] * 5:
        await called(shop, verdict)
    assert await shop.states() == {1: "adopted", 2: "current"}
    for _ in range(2):
        await called(shop, "wrong")
    assert await shop.states() == {1: "adopted", 2: "current", 3: "asked"}
    assert (await shop.playbook(3)).lessons == ()
    await shop.decide(3, "adopt")
    assert shop.agent.current == 3


async def test_what_the_lesson_had_taken_the_place_of_comes_back(open_shop: Opener) -> None:
    rule = "---\ntopic: Greeting\nwhen: {intent: late_order}\n---\nSay sorry first."
    shop = await open_shop(lessons__greeting=rule)
    run = await answered(shop)
    retires = calls(("retire_lesson", {"lesson": "greeting", "reason": "Said otherwise."}))
    await corrected(shop, run, *drafting(retires, when=LATE))
    await shop.learn(works)
    assert await shop.states() == {1: "current", 2: "asked"}  # a person wrote it
    await shop.decide(2, "adopt")
    await shop.learn(works)
    assert [lesson.name for lesson in (await shop.playbook(2)).lessons] == ["late"]
    shop.says(*NOTHING, manager=True)
    for _ in range(2):
        await called(shop, "wrong")
    assert [lesson.name for lesson in (await shop.playbook(shop.agent.current)).lessons] == ["greeting"]


async def test_how_new_lessons_stand(shop: Workshop) -> None:
    await taught(shop)
    await called(shop, "wrong")
    run = await shop.row("SELECT max(run_id) AS id FROM pocketlet.feedback WHERE agent_id = %s", shop.agent.id)
    async with shop.database.api() as conn:
        (row,) = await canary.standing(conn, shop.agent, run["id"])
    assert (row["name"], row["revision"], row["cited"], row["judged"], row["wrong"]) == ("late", 2, 1, 1, 1)
    assert row["watched"]
