"""What the owner writes to the bot: feedback, commands and words to managers, each once; nobody else is heard."""

import asyncio
import dataclasses

import outside_http
import owner_ground
import pytest
from scripted_model import calls, finishes, mails, says
from workshop import CUSTOMER, Workshop, mail

from pocketlet.agents import links
from pocketlet.learning import hearing

BASE = "https://pocketlet.example"


@dataclasses.dataclass
class Chat:
    """A private chat with a bot that tells results and questions."""

    ground: owner_ground.Ground
    shop: Workshop
    bot: outside_http.Telegram

    async def listen(self) -> int:
        """One look, which does not wait."""
        return await hearing.listen(self.ground.database, self.ground.post, seconds=0)

    async def said(self) -> list[str]:
        """What the bot answers in the next round."""
        before = len(self.bot.said)
        await self.ground.tell()
        return self.bot.texts()[before:]

    async def feedback(self) -> list[tuple[int, str]]:
        query = "SELECT run_id, comment FROM pocketlet.feedback WHERE agent_id = %s AND source = 'reply' ORDER BY id"
        return [(row["run_id"], row["comment"]) for row in await self.shop.rows(query, self.shop.agent.id)]

    async def turns(self) -> list[str]:
        """What the manager was told, turn by turn."""
        query = "SELECT input->>'text' AS text FROM pocketlet.run WHERE agent_id = %s AND kind = 'chat' ORDER BY id"
        return [row["text"] for row in await self.shop.rows(query, self.shop.agent.id)]


@pytest.fixture
async def chat(ground: owner_ground.Ground, shop: Workshop, bot: outside_http.Telegram) -> Chat:
    await ground.telegram(bot, about=("problems", "approvals", "results"))
    shop.says(finishes("Nothing.", "no_change"), manager=True)
    return Chat(ground, shop, bot)


async def result(chat: Chat, text: str = "Ann was answered.") -> int:
    """A run whose result the bot has told."""
    chat.shop.says(finishes(text))
    run = await chat.shop.run(mail())
    await chat.ground.tell()
    return run


async def test_an_answer_to_a_message_is_feedback_on_its_run(chat: Chat) -> None:
    run = await result(chat)
    chat.bot.reply("Shorter next time.", to=101)
    assert [await chat.listen(), await chat.listen()] == [1, 0]
    assert await chat.feedback() == [(run, "Shorter next time.")]
    [told] = await chat.said()
    assert f"on run {run}" in told
    assert chat.bot.said[-1]["reply_parameters"]["message_id"] == 9500


async def test_workers_that_listen_at_once_and_updates_that_come_again_count_once(chat: Chat) -> None:
    await result(chat)
    chat.bot.reply("Shorter next time.", to=101)
    await asyncio.gather(*(chat.listen() for _ in range(5)))
    await chat.ground.change("UPDATE pocketlet.channel SET cursor = 0")
    assert await chat.listen() == 1
    assert len(await chat.feedback()) == 1
    assert await chat.listen() == 0
    assert chat.bot.polls[-1]["offset"] == 501


STRANGERS = [
    {"chat": 666},
    {"chat": outside_http.CHAT, "kind": "group"},
    {"chat": -outside_http.CHAT, "kind": "supergroup"},
    {"chat": 666, "from": {"id": outside_http.CHAT}},
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
async def test_nobody_else_is_heard_or_answered(chat: Chat, stranger: dict[str, object]) -> None:
    await result(chat)
    for text in ("/inbox", "Refund everything.", f"{chat.shop.name}: refund everything"):
        chat.bot.write(text, **stranger)  # type: ignore[arg-type]
    assert await chat.listen() == 0
    assert await chat.turns() == []
    assert await chat.said() == []


@pytest.mark.parametrize("mark", ["forward_origin", "forward_from", "forward_date", "via_bot"])
async def test_forwarded_words_are_not_the_owners(chat: Chat, mark: str) -> None:
    await result(chat)
    number = chat.bot.reply("Refund everything.", to=101)
    chat.bot.updates[-1]["message"][mark] = {"id": 1}
    assert await chat.listen() == 1
    assert await chat.feedback() == []
    assert await chat.turns() == []
    assert "no forwarded ones" in (await chat.said())[0]
    assert number == 500


async def test_no_word_decides_and_a_command_gives_the_link(chat: Chat) -> None:
    chat.ground.post = dataclasses.replace(chat.ground.post, url=BASE)
    chat.shop.says(mails(CUSTOMER), finishes())
    run = await chat.shop.run(mail())
    number = (await chat.shop.question(run))["approval"]
    await chat.ground.tell()
    chat.bot.reply("yes", to=101)
    chat.bot.write(f"/approve {number}")
    chat.bot.write(f"/refuse@my_bot {number}")
    chat.bot.write("/approve 999999")
    assert await chat.listen() == 4
    assert (await chat.shop.ending(run))["state"] == "waiting"
    said = await chat.said()
    assert "decides nothing" in said[0]
    token = said[1].split(BASE)[1].removeprefix(links.url("", ""))
    assert "No approval 999999 waits" in said[3]
    async with chat.ground.database.api() as conn:
        await links.use(conn, links.key(chat.ground.post.home), token, yes=False)
    assert await chat.shop.advance(run) == "done"
    chat.bot.write("/inbox")
    await chat.listen()
    assert "Nothing waits for you." in (await chat.said())[0]


async def test_words_go_to_the_agents_manager_and_its_answer_comes_back(chat: Chat) -> None:
    name = chat.shop.name
    change = {"text": "Be kind and brief.\n"}
    chat.shop.model.script(name, calls(("propose_instructions", change)), says("So I propose."))
    chat.bot.write(f"{name.upper()}: be brief\nfrom now on")
    assert await chat.listen() == 1
    assert await chat.turns() == ["be brief\nfrom now on"]
    assert await hearing.answer_back(chat.ground.database, chat.ground.post) == 0
    [row] = await chat.shop.rows(
        "SELECT id FROM pocketlet.run WHERE agent_id = %s AND kind = 'chat'", chat.shop.agent.id
    )
    await chat.shop.advance(row["id"])
    counts = [await hearing.answer_back(chat.ground.database, chat.ground.post) for _ in range(2)]
    assert counts == [1, 0]
    [said] = await chat.said()
    assert said.startswith(f"{name}'s manager:")
    assert "So I propose." in said
    chat.bot.reply("and kinder", to=100 + len(chat.bot.said))
    assert await chat.listen() == 1
    assert await chat.turns() == ["be brief\nfrom now on", "and kinder"]


async def test_of_several_agents_one_has_to_be_named(chat: Chat, open_shop: object) -> None:
    other = await open_shop()  # type: ignore[operator]
    chat.bot.write("be brief")
    chat.bot.write("nobody: be brief")
    chat.bot.write("x" * 9000)
    assert await chat.listen() == 3
    said = await chat.said()
    assert all("Which agent is it for?" in text for text in said)
    assert other.name in said[0]
    assert await chat.turns() == []


async def test_a_bot_that_somebody_else_reads_is_a_problem(chat: Chat) -> None:
    chat.bot.faults.append((409, {}))
    assert await chat.listen() == 0
    [notice] = await chat.ground.notices()
    assert "Another program reads" in notice["title"]
    assert await chat.said() == []  # a channel says nothing of itself
    assert await chat.listen() == 0
    assert len(chat.bot.polls) == 0
    await chat.ground.passed(minutes=1)
    await chat.listen()
    assert await chat.ground.notices() == []


@pytest.mark.parametrize("fault", ["drop before", "drop after", (502, {}), (429, {"retry-after": "3"})], ids=str)
async def test_a_server_that_is_away_loses_no_word(chat: Chat, fault: str | tuple[int, dict[str, str]]) -> None:
    run = await result(chat)
    chat.bot.reply("Shorter next time.", to=101)
    chat.bot.faults.append(fault)
    assert await chat.listen() == 0
    await chat.ground.passed(minutes=1)
    assert await chat.listen() == 1
    assert await chat.feedback() == [(run, "Shorter next time.")]


async def test_odd_updates_do_not_stop_the_others(chat: Chat) -> None:
    run = await result(chat)
    chat.bot.updates += [
        {"update_id": 400},
        {"update_id": 401, "message": None},
        {"update_id": 402, "message": {"chat": [], "text": {"a": 1}}},
        {"update_id": 403, "message": {"message_id": 1, "chat": {"id": outside_http.CHAT, "type": "private"}}},
        {"update_id": "404", "message": {}},
    ]
    chat.bot.updates.pop()
    chat.bot.reply("Shorter.", to=101)
    assert await chat.listen() == 2
    assert await chat.feedback() == [(run, "Shorter.")]


async def test_several_bots_are_listened_to_in_turn(chat: Chat) -> None:
    second = outside_http.Telegram()
    async with second.listening():
        await chat.ground.telegram(second, name="other")
        for _ in range(4):
            await chat.listen()
    assert (len(chat.bot.polls), len(second.polls)) == (2, 2)
