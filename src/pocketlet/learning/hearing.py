"""What the owner writes in a chat: answers to our messages, a few commands, and words to the managers of agents.

The chat's cursor moves in one transaction with what a message meant, so that nothing is heard twice or not at all.
"""

import re
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import approving, news, report, runs, telling
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import cards, chat, replies
from pocketlet.platform import notices
from pocketlet.platform.channels import definitions, opening

Q = queries.load("channels")
DELIVERIES = queries.load("deliveries")
SECONDS = 25  # that a look waits for something to be said
GRACE = 90.0  # seconds that a listener may take beyond that
PAUSE = 30.0  # seconds after a look that failed
COMMAND = re.compile(r"/(\w{1,32})(?:@\w{1,64})?(?:\s+(\d{1,18}))?\s*")
TO_AGENT = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]{0,40})\s*:\s*(.+)", re.DOTALL)
HELP = (
    "Answer one of my messages to give feedback on what it is about. Anything else goes to an agent's manager: "
    "`NAME: what you want`. /inbox says what waits; /approve N gives you the link or command that answers."
)


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that the owner said on a chat, with the chat's row and class."""

    channel: definitions.Definition
    effect_class: str
    said: definitions.Incoming

    def reply(self, delivery: dict[str, Any] | None = None, words: str = "") -> replies.Reply:
        """As an answer to a message of ours, or to none."""
        key, words = f"update:{self.said.key}", words or self.said.text.replace("\x00", "").strip()
        found = delivery or {"kind": "", "approval_id": None, "run_id": None, "id": None}
        return replies.Reply(self.channel, self.effect_class, found, key, words, self.said.reference)


async def listen(database: pool.Database, post: opening.Post, *, seconds: int = SECONDS) -> int:
    """One look at one chat, for so long; how many messages were taken in. With no chat to listen to, 0 at once."""
    async with database.api() as conn:
        row = await (await conn.execute(Q["listen"], {"seconds": seconds + GRACE})).fetchone()
    if row is None:
        return 0
    channel, pause, count = definitions.read(row), 0.0, 0
    failed: errors.PocketletError | None = None
    try:
        async with database.api() as conn:
            way = await opening.channel(conn, channel, post)
        if isinstance(way, definitions.Listener):
            for said in await way.receive(channel.cursor, seconds):
                count += await _take_in(database, Heard(channel, way.effect_class, said))
        async with database.api() as conn:
            await notices.resolve(conn, _problem(channel), "it can be heard again")
    except (errors.Unreachable, errors.Rejected, errors.NotFound, errors.BadSetting, errors.GateRefusal) as error:
        pause, failed = PAUSE, error
    async with database.api() as conn:
        is_there = (await conn.execute(Q["let_go"], {"id": channel.id, "pause": pause})).rowcount
        if failed and is_there:  # a notice of a channel that was removed meanwhile would stay for good
            await _deaf(conn, channel, failed)
    return count


async def answer_back(database: pool.Database, post: opening.Post) -> int:
    """Passes on what managers have answered; how many answers were queued for the next round of telling."""
    async with database.api() as conn:
        await conn.execute(Q["forgotten"])
        rows = await (await conn.execute(Q["asked"])).fetchall()
    count = 0
    for row in rows:
        async with database.api() as conn:
            if not await report.resting(conn, row["run"]):
                continue
            if await (await conn.execute(Q["answered"], {"id": row["id"]})).fetchone() is None:
                continue
            found = await (await conn.execute(Q["by_id"], {"id": row["channel"]})).fetchone()
            if found:
                channel = definitions.read(found)
                way = await opening.channel(conn, channel, post)
                await telling.answer(conn, channel, way.effect_class, await _answer_of(conn, row))
                count += 1
    return count


async def _take_in(database: pool.Database, heard: Heard) -> int:
    """One message, once: whoever moves the cursor past it also does what it means."""
    async with database.api() as conn:
        values = {"id": heard.channel.id, "key": heard.said.key}
        if await (await conn.execute(Q["move_on"], values)).fetchone() is None or not heard.said.ours:
            return 0
        await _mean(conn, heard)
    return 1


async def _mean(conn: pool.Conn, heard: Heard) -> None:
    said = heard.said
    if not said.text.strip() or not said.own:
        await _say(conn, heard, "Only words that you write yourself are taken: no forwarded ones, pictures or files.")
        return
    if command := COMMAND.fullmatch(said.text.strip()):
        await _command(conn, heard, command[1].lower(), int(command[2] or 0))
        return
    delivery = await _answered(conn, heard)
    if delivery is not None and (delivery["kind"] != "answer" or delivery["run_id"]):
        told = await replies.take(conn, heard.reply(delivery))
        if told and told.startswith("That is feedback"):
            await _say(conn, heard, told, taken=True)
        return
    name = str(delivery["facts"].get("agent") or "") if delivery else ""
    await _to_manager(conn, heard, name)


async def _answered(conn: pool.Conn, heard: Heard) -> dict[str, Any] | None:
    """The message of ours that this answers."""
    if not heard.said.replies_to:
        return None
    values = {"channel": heard.channel.id, "reference": heard.said.replies_to}
    return await (await conn.execute(DELIVERIES["by_reference"], values)).fetchone()


async def _command(conn: pool.Conn, heard: Heard, name: str, number: int) -> None:
    """No command decides: a chat does not show the bytes. /approve and /refuse give the link, or name the command."""
    if name == "inbox":
        waiting, wrong = await approving.questions(conn), await notices.standing(conn)
        lines = [f"Approval {row['approval']}: {row['agent']} asks for {row['tool']}" for row in waiting]
        lines += [f"Notice {row['notice']}: {news.line(row['title'])}" for row in wrong]
        await _say(conn, heard, "\n".join(lines[:30]) or "Nothing waits for you.")
    elif name in ("approve", "refuse"):
        found = [row for row in await approving.questions(conn) if row["approval"] == number]
        if found:
            text = (
                f"`pocketlet approve {number}` or `pocketlet refuse {number}` answers it, or the link if there is one."
            )
            await _say(conn, heard, text, approval=number)
        else:
            await _say(conn, heard, f"No approval {number} waits. /inbox says what does.")
    else:
        await _say(conn, heard, HELP)


async def _to_manager(conn: pool.Conn, heard: Heard, name: str) -> None:
    """A turn of the talk with an agent's manager; its answer is passed on when there is one."""
    known = {agent.name: agent for agent in await agents.everyone(conn)}
    match = TO_AGENT.fullmatch(heard.said.text)
    text = heard.said.text.strip()
    if match and match[1].lower() in known:
        name, text = match[1].lower(), match[2].strip()
    elif name not in known and len(known) == 1:
        [name] = known
    if name not in known:
        there = f"There are: {', '.join(known)}." if known else "There is no agent yet."
        await _say(conn, heard, f"Which agent is it for? Write `NAME: …`. {there}")
        return
    text = text.replace("\r\n", "\n").replace("\x00", "")
    if len(text) > chat.MAX_MESSAGE:
        await _say(conn, heard, f"A message has at most {chat.MAX_MESSAGE} characters.")
        return
    agent = known[name]
    task = tasks.Task("text", text, "owner")
    row = {"agent": agent.id, "kind": "chat", "revision": agent.current, "input": task.record(), "label": "owner"}
    run = await runs.insert(conn, row)
    await replies.take_in(conn, heard.reply(words=text), "asked", "chat", run=run)


async def _answer_of(conn: pool.Conn, row: dict[str, Any]) -> news.News:
    ending = await runs.ending(conn, row["run"])
    agent = await agents.by_id(conn, (await runs.load(conn, row["run"])).agent_id)
    text = news.paragraph(ending["result"] or "")
    if ending["state"] != "done":
        text = f"That did not work: {ending['error'] or ending['state']} {ending['hint'] or ''}"
    card = await cards.of_run(conn, row["run"])
    if card:
        ways = ", ".join(f"`{command}`" for command in card.commands.values())
        seen = f"`pocketlet diff {agent.name} {card.parent} {card.revision}` shows it"
        text += f"\n\nIt proposes revision {card.revision}: {seen}; {ways}."
    return news.News(
        f"answer:{row['id']}",
        1,
        "answer",
        await telling.now(conn),
        f"{agent.name}'s manager:",
        text,
        {"agent": agent.name},
        answers=row["answers"],
    )


async def _say(conn: pool.Conn, heard: Heard, text: str, *, approval: int | None = None, taken: bool = False) -> None:
    """An answer, in the next round; what it answers is in the records, unless it is there already."""
    reply = heard.reply()
    if not taken and await replies.take_in(conn, reply, "taken", "command") is None:
        return
    what = news.News(
        f"answer:{reply.key}",
        1,
        "answer",
        await telling.now(conn),
        "Pocketlet",
        news.paragraph(text),
        approval=approval,
    )
    await replies.answer(conn, reply, what)


async def _deaf(conn: pool.Conn, channel: definitions.Definition, error: errors.PocketletError) -> None:
    """What does not pass by itself is a problem to be told."""
    if isinstance(error, errors.Unreachable):
        return
    title = f"Nothing that you write on {channel.name} is heard: {news.line(str(error))}"
    await notices.report(conn, notices.Notice(_problem(channel), title, error.hint))


def _problem(channel: definitions.Definition) -> str:
    return definitions.problem(channel.id, "deaf")
