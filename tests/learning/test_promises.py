"""What the gate promised: only its owner gives a pinned case up, and a case of another model is admitted anew."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from corrections_by_hand import RIGHT, TIERS, WRONG, answered, case, corrected, drafting, evidence, newest, works
from scripted_model import finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet.agents import revisions
from pocketlet.learning import cases, proving

Opener = Callable[..., Awaitable[Workshop]]
DATED = "It will be with you by Monday."


async def pinned(shop: Workshop, run: int) -> None:
    """The owner pins the run's case."""
    async with shop.database.api() as conn:
        await cases.pin(conn, shop.agent, await cases.of_run(conn, run), pinned=True)


async def test_a_pinned_case_that_the_newest_word_would_retire_asks(shop: Workshop) -> None:
    kept = await shop.stable("It is on its way.", "My order is late.")
    await pinned(shop, kept)
    number = await corrected(shop, await answered(shop))
    await shop.learn(works)
    found = await evidence(shop, 2)
    about = (await case(shop, kept))["id"]
    assert (found["rule"], found["proven"], found["retires"]) == ("pinned", True, [about])
    assert await shop.outcome(number) == (
        f"asked, revision 2 waits for your word: It contradicts case {about}, which you pinned."
    )
    assert (await case(shop, kept))["state"] == "stable"
    await shop.decide(2, "adopt")
    assert (await case(shop, kept))["state"] == "retired"


async def dated(shop: Workshop) -> tuple[int, int]:
    """A run by a lesson that wants a date, whose case is stable; and one whose work the owner is to take back."""
    names = {"topic": "Day", "body": "Name the day.", "expect": [{"kind": "contains", "text": "by Monday"}]}
    await corrected(shop, first := await answered(shop), *drafting(**names), said="Name the day.")
    await shop.learn(lambda trial: WRONG if trial["purpose"] == "before" else DATED)
    assert shop.agent.current == 2
    await shop.change("UPDATE pocketlet.cases SET state = 'stable', passes = 3 WHERE run_id = %s", first)
    return first, await answered(shop, DATED)


def never(trial: dict[str, object]) -> str:
    """No promise by the draft; what is in force makes it again."""
    return DATED if trial["purpose"] == "before" else "We call you."


NEVER = {"topic": "Promise", "body": "Never promise a date.", "expect": [{"kind": "absent", "text": "with you"}]}


async def test_a_contested_case_holds_nothing_up_and_retires_with_the_adoption(shop: Workshop) -> None:
    rests, run = await dated(shop)
    await corrected(shop, run, *drafting(**NEVER), said="Never promise a date.")
    await shop.learn(never)
    found = await evidence(shop, 3)
    assert (found["rule"], found["contested"]) == ("proven", [(await case(shop, rests))["id"]])
    assert [lesson.name for lesson in (await shop.playbook(shop.agent.current)).lessons] == ["promise"]
    assert (await case(shop, rests))["state"] == "retired"


async def test_a_pinned_case_that_is_contested_asks(shop: Workshop) -> None:
    rests, run = await dated(shop)
    await pinned(shop, rests)
    await corrected(shop, run, *drafting(**NEVER), said="Never promise a date.")
    await shop.learn(never)
    assert (await evidence(shop, 3))["rule"] == "pinned"
    assert shop.agent.current == 2
    assert (await case(shop, rests))["state"] == "stable"


async def test_a_stable_case_of_another_model_is_admitted_anew_and_the_draft_asks(open_shop: Opener) -> None:
    shop = await open_shop(TIERS)
    kept = await shop.stable(RIGHT, "My order is late.")
    await shop.learn(works)
    await shop.change("UPDATE pocketlet.cases SET model = 'openai:older' WHERE run_id = %s", kept)
    number = await corrected(shop, await answered(shop, text="My gold order is late."))
    done = await shop.learn(works)
    assert "regression" not in done
    about = (await case(shop, kept))["id"]
    found = await evidence(shop, 2)
    assert (found["rule"], found["proven"]) == ("other-model", True)
    why = f"The model has changed: case {about} is being tried on the one in use first."
    assert await shop.outcome(number) == f"asked, revision 2 waits for your word: {why}"
    row = await case(shop, kept)
    assert (row["state"], row["passes"], row["model"]) == ("stable", 3, f"openai:{shop.name}")


async def test_a_case_that_fails_on_the_model_in_use_stays_a_candidate(open_shop: Opener) -> None:
    shop = await open_shop(TIERS)
    kept = await shop.stable(RIGHT, "My order is late.")
    await shop.learn(works)
    await shop.change("UPDATE pocketlet.cases SET model = 'openai:older' WHERE run_id = %s", kept)
    await corrected(shop, await answered(shop, text="My gold order is late."))
    await shop.advance(await newest(shop))
    trial = await shop.row("SELECT run_id FROM pocketlet.trial WHERE agent_id = %s AND verdict = 'pending'"
                           " AND purpose = 'admission'", shop.agent.id)  # fmt: skip
    shop.says(finishes("No mail."))
    await shop.advance(trial["run_id"])
    assert (await case(shop, kept))["state"] == "candidate"


async def test_a_draft_that_changes_the_model_is_tried_on_the_new_one(shop: Workshop) -> None:
    kept = await shop.stable(RIGHT, "My order is late.")
    await shop.learn(works)
    other = f"{shop.name}-new"
    now = await shop.playbook(1)
    draft = replace(now, manifest_text=now.manifest_text.replace(f"openai:{shop.name}", f"openai:{other}"))
    shop.model.script(other, mails(CUSTOMER, RIGHT), finishes())
    async with shop.database.api() as conn:
        n = await revisions.add(conn, shop.agent, draft, revisions.Change("a model", "owner", 1))
        stored = await revisions.load(conn, shop.agent, n)
        await proving.begin(conn, shop.agent, proving.Draft(n, now, stored, None))
    assert await shop.learn() == ["regression"]
    query = "SELECT r.model FROM pocketlet.trial t JOIN pocketlet.run r ON r.id = t.run_id WHERE t.draft = %s"
    assert await shop.rows(f"{query} AND t.agent_id = %s", n, shop.agent.id) == [{"model": f"openai:{other}"}]
    found = await evidence(shop, n)
    assert (found["rule"], found["model"]) == ("power", f"openai:{other}")
    assert found["sample"] == [(await case(shop, kept))["id"]]
    await shop.decide(n, "adopt")
    run = await shop.run(mail())
    assert (await shop.row("SELECT model FROM pocketlet.run WHERE id = %s", run))["model"] == f"openai:{other}"
    row = await case(shop, kept)
    assert (row["model"], row["passes"]) == (f"openai:{other}", 1)
