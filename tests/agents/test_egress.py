"""While the owner has cut all egress, what was approved is refused and not sent; afterwards agents act again."""

from scripted_model import finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet.platform import egress


async def test_what_was_approved_is_not_sent_while_all_is_cut(shop: Workshop) -> None:
    shop.says(mails(CUSTOMER), finishes())
    run = await shop.run(mail())
    async with shop.database.api() as conn:
        await egress.cut(conn)
    try:
        assert await shop.answer(run) == "done"
    finally:
        async with shop.database.api() as conn:
            await egress.restore(conn)
    effect = await shop.effect(run)
    assert (effect["state"], effect["response"]) == ("failed", egress.SAID)
    assert (shop.mail.taken(), shop.mail.connections) == ([], 0)
    told = [step.response for step in await shop.steps(run) if step.tool == "send_mail"]
    assert told == [f"failed: {egress.SAID}"]

    shop.says(mails(CUSTOMER), finishes())
    again = await shop.run(mail(number=2))
    assert await shop.answer(again) == "done"
    assert len(shop.mail.taken()) == 1
