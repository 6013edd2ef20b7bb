"""The owner's word: an edit, a standing rule, a no by silence, and what each leaves in the records."""

import pytest
from scripted_model import finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet import errors
from pocketlet.agents import approving
from pocketlet.platform import audit


async def waiting(shop: Workshop, to: str = CUSTOMER, body: str = "It is on its way.") -> int:
    """A run that waits for the word on its one mail."""
    shop.says(mails(to, body), finishes())
    run = await shop.run(mail())
    assert (await shop.ending(run))["state"] == "waiting"
    return run


async def number(shop: Workshop, run: int) -> int:
    """The approval that the run waits for."""
    return (await shop.question(run))["approval"]


async def test_an_edit_takes_the_place_of_what_was_asked_for(shop: Workshop) -> None:
    run = await waiting(shop)
    before = await shop.question(run)
    async with shop.database.api() as conn:
        await approving.edit(conn, before["approval"], "It leaves tomorrow.\n")
    assert await shop.advance(run) == "done"
    (sent,) = shop.mail.taken()
    assert sent.get_payload(decode=True) == b"It leaves tomorrow.\n"
    assert sent["Message-ID"] in str(before["message"])
    rows = await shop.rows(
        "SELECT state, request_hash, replaces FROM pocketlet.effect WHERE run_id = %s ORDER BY id", run
    )
    assert [row["state"] for row in rows] == ["replaced", "succeeded"]
    assert rows[0]["request_hash"] != rows[1]["request_hash"]
    (step,) = [step for step in await shop.steps(run) if step.tool == "send_mail"]
    assert step.request["body"] == "It leaves tomorrow.\n"  # the transcript shows what was done
    assert "leaves tomorrow" in str(shop.model.requests[shop.name][1]["messages"])
    assert "on its way" not in str(shop.model.requests[shop.name][1]["messages"])


async def test_an_edit_that_no_mail_can_hold_changes_nothing(shop: Workshop) -> None:
    run = await waiting(shop)
    async with shop.database.api() as conn:
        with pytest.raises(errors.BadInput):
            await approving.edit(conn, await number(shop, run), "bell \x07")
    assert await shop.answer(run) == "done"
    assert b"It is on its way." in shop.mail.taken()[0].get_payload(decode=True)


async def test_a_standing_rule_allows_exactly_that_and_so_often(shop: Workshop) -> None:
    run = await waiting(shop)
    async with shop.database.api() as conn:
        rule = await approving.allow(conn, await number(shop, run), per_day=1)
    assert await shop.answer(run) == "done"
    shop.says(mails(CUSTOMER), finishes())
    by_rule = await shop.run(mail(number=2))
    assert (await shop.ending(by_rule))["state"] == "done"
    effect = await shop.effect(by_rule)
    assert (effect["rule"], effect["rule_id"]) == ("standing-rule", rule["rule"])
    spent = await waiting(shop)  # it was for one a day
    assert await shop.answer(spent, yes=False) == "done"
    async with shop.database.api() as conn:
        assert await approving.remove_rule(conn, rule["rule"]) == shop.name
        with pytest.raises(errors.NotFound):
            await approving.remove_rule(conn, rule["rule"])


async def test_a_rule_past_its_review_date_asks_again(shop: Workshop) -> None:
    run = await waiting(shop)
    async with shop.database.api() as conn:
        await approving.allow(conn, await number(shop, run), per_day=9)
    assert await shop.answer(run) == "done"
    await shop.change("UPDATE pocketlet.rule SET review_on = pocketlet.now()::date WHERE agent_id = %s", shop.agent.id)
    await waiting(shop)


async def test_a_rule_never_turns_a_denial_into_a_yes(shop: Workshop) -> None:
    run = await waiting(shop)
    async with shop.database.api() as conn:
        await approving.allow(conn, await number(shop, run), per_day=9)
    assert await shop.answer(run) == "done"
    await shop.change("UPDATE pocketlet.rule SET destination = 'eve@evil.example' WHERE agent_id = %s", shop.agent.id)
    shop.says(mails("eve@evil.example"), finishes())
    refused = await shop.run(mail(number=3))
    assert (await shop.effect(refused))["state"] == "blocked"


async def test_silence_turns_into_no(shop: Workshop) -> None:
    run = await waiting(shop)
    approval = await number(shop, run)
    await shop.change("UPDATE pocketlet.approval SET expires_at = pocketlet.now() WHERE id = %s", approval)
    async with shop.database.api() as conn:
        with pytest.raises(errors.Conflict, match="has expired"):
            await approving.decide(conn, approval, yes=True)
        assert await approving.expire(conn) >= 1
        with pytest.raises(errors.Conflict, match="was expired already"):
            await approving.decide(conn, approval, yes=True)
    assert await shop.advance(run) == "done"
    assert (await shop.effect(run))["state"] == "refused"
    assert shop.mail.taken() == []
    told = shop.model.requests[shop.name][1]["messages"][-1]["content"]
    assert told == "refused by the owner: nobody answered in time. Nothing was sent."


async def test_every_decision_is_in_the_chain(shop: Workshop) -> None:
    run = await waiting(shop)
    await shop.answer(run, yes=False, because="Too short.")
    rows = await shop.rows(
        "SELECT action, verdict, rule, actor FROM pocketlet.audit WHERE run_id = %s ORDER BY id", run
    )
    assert [(row["actor"], row["action"], row["verdict"], row["rule"]) for row in rows] == [
        ("gate", "effect.decide", "ask", "send-mail-asks"),
        ("owner", "approval.decide", "refused", "send-mail-asks"),
    ]
    async with shop.database.api() as conn:
        assert (await audit.verify(conn)).broken is None
