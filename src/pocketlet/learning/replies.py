"""What an answer of the owner to one of our messages means: feedback on the run that the message was about.

No answer decides an approval: who answers a mail or a chat has not seen the exact bytes. Answers by mail count when the
sender's domain vouches for the owner's address and the code of our Message-ID is there; with the code and the mere name
of the owner they wait for the owner to confirm them; a name alone is nothing.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pocketlet import errors
from pocketlet.agents import news, runs, telling
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import feedback, thread
from pocketlet.platform import identity, installation, messages, notices
from pocketlet.platform.channels import definitions, mail, opening

Q = queries.load("channels")
DELIVERIES = queries.load("deliveries")
DECIDING = frozenset({
    "accept", "approve", "approved", "ja", "nein", "no", "non", "ok", "okay", "oui", "refuse", "refused", "reject",
    "send", "send it", "si", "sí", "yes",
})  # fmt: skip
PROVEN, UNPROVEN = "feedback", "unproven"
BARE_ID = re.compile(r"[!-;=?-~]{1,250}")
DECIDES_NOTHING = (
    "An answer decides nothing here, as it may be anybody's, and does not show the exact bytes. "
    "The link in the message does, or `pocketlet approve {0}` and `pocketlet refuse {0}`."
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to the message `delivery`. `words` are the writer's own; `key` makes it one; `answers` is what the
    other side calls it. `meaning`: PROVEN (it is the owner's) or UNPROVEN.
    """

    channel: definitions.Definition
    effect_class: str
    delivery: Mapping[str, Any]
    key: str
    words: str
    answers: str = ""
    about: str = ""
    meaning: str = PROVEN


async def knows(conn: pool.Conn, address: str) -> bool:
    """Whether a mail channel takes answers at this address."""
    wanted = address.strip("<>").lower()
    return any(one.kind == "mail" and one.sender.lower() == wanted for one in await definitions.everything(conn))


async def from_mail(conn: pool.Conn, post: opening.Post, raw: bytes, verdict: identity.Verdict) -> bool:
    """Takes in a mail that answers one of our messages, and whether it was one: every other mail is not for us.

    `verdict`: what was found out about the mail when it was received. Raises errors.BadInput if it can't be read.
    """
    letter = messages.parse(raw)
    key, instance = opening.derived(post.home, "mail"), await installation.identity(conn)
    ids = [("in-reply-to", letter.in_reply_to), *(("references", one) for one in reversed(letter.references))]
    named = ((mail.answered(key, instance, one), field) for field, one in ids)
    number, field = next((found for found in named if found[0] is not None), (None, ""))
    delivery = await _delivery(conn, number)
    if delivery is None or delivery["channel_kind"] != "mail":
        return False
    row = await (await conn.execute(Q["by_id"], {"id": delivery["channel_id"]})).fetchone()
    if row is None:
        return False
    channel = definitions.read(row)
    way = await opening.channel(conn, channel, post)
    ours = _answered_at(way)
    # What the owner wrote to somebody else is no word to us, so without an address of ours nothing is proven.
    proven = bool(ours) and identity.owner(verdict, (channel.address,), to=ours, vouched=(field, "content-type"))
    if not proven and letter.sender.lower() != channel.address.lower():
        return False
    if letter.auto_submitted:
        return True  # an absence notice says nothing, and answering it could start a loop
    said = Reply(
        channel,
        way.effect_class,
        delivery,
        key="mail:" + hashlib.sha256(letter.message_id.encode() or raw).hexdigest(),
        words=await _own(conn, delivery, letter.text),
        answers=letter.message_id if BARE_ID.fullmatch(letter.message_id) else "",
        about=letter.message_id,
        meaning=PROVEN if proven else UNPROVEN,
    )
    await take(conn, said)
    return True


async def take(conn: pool.Conn, said: Reply) -> str:
    """Takes an answer in, once; what came of it in a sentence, or nothing if it was taken in before.

    What can't be taken is answered with the reason.
    """
    said, delivery = replace(said, words=tasks.without_links(said.words)), said.delivery
    if _decides(said):
        if await take_in(conn, said, "ignored", "decision"):
            await _answer(conn, said, f"answer:approval:{delivery['approval_id']}", _undecided(said))
        return DECIDES_NOTHING.format(delivery["approval_id"] or "ID")
    why = _unusable(said)
    if why:
        if number := await take_in(conn, said, "ignored", "nothing"):
            await _answer(conn, said, f"answer:{number}", why)
        return why
    if said.meaning == UNPROVEN:
        if await take_in(conn, said, "unproven", UNPROVEN):
            await _held(conn, said)
        return ""
    number = await take_in(conn, said, "taken", "feedback")
    return await _given(conn, said, number) if number else ""


async def take_in(conn: pool.Conn, said: Reply, state: str, meaning: str, *, run: int | None = None) -> int | None:
    """The row of what came in; None if it is there already."""
    values: dict[str, Any] = {"channel": said.channel.id, "key": said.key, "state": state, "meaning": meaning}
    values |= {"words": said.words, "answers": said.answers}
    values |= {"run": run or said.delivery.get("run_id"), "delivery": said.delivery.get("id")}
    row = await (await conn.execute(Q["take_in"], values)).fetchone()
    return row["id"] if row else None


async def unproven(conn: pool.Conn) -> list[dict[str, Any]]:
    """Answers that may be anybody's: reply, channel, run, words, created_at."""
    return list(await (await conn.execute(Q["unproven"])).fetchall())


async def confirm(conn: pool.Conn, number: int) -> int:
    """An answer is the owner's after all; the feedback that it is now. Raises errors.NotFound, what `give` raises."""
    row = await _decided(conn, number, "taken")
    if row["run"] is None:
        raise errors.NotFound("The run that it was about was removed.")
    given, _ = await feedback.give(conn, row["run"], feedback.Said("change", row["words"], source="reply"))
    return given


async def ignore(conn: pool.Conn, number: int) -> None:
    """An answer is not the owner's. Raises errors.NotFound."""
    await _decided(conn, number, "ignored")


async def _decided(conn: pool.Conn, number: int, state: str) -> dict[str, Any]:
    row = await (await conn.execute(Q["confirm"], {"id": number, "state": state})).fetchone()
    if row is None:
        raise errors.NotFound(f"No reply {number} waits.", hint="`pocketlet inbox` lists those that do.")
    if not await unproven(conn):
        await notices.resolve(conn, "replies:unproven", "the owner looked at them")
    return row


async def _delivery(conn: pool.Conn, number: int | None) -> dict[str, Any] | None:
    return await (await conn.execute(DELIVERIES["get"], {"id": number})).fetchone() if number else None


def _answered_at(way: definitions.Channel) -> tuple[str, ...]:
    """The address that our message really left from, if it had one."""
    return (way.sender,) if isinstance(way, mail.Mail) and way.sender != mail.NOBODY else ()


async def _own(conn: pool.Conn, delivery: Mapping[str, Any], text: str) -> str:
    """The writer's own words: without our message, the customer's and the agent's, however they are quoted."""
    others = [delivery["title"], delivery["body"]]
    if delivery["run_id"]:
        run = await runs.load(conn, delivery["run_id"])
        others += [run.input["text"], await thread.draft_of(conn, run.id)]
    return thread.own(text, others="\n".join(others)).replace("\x00", "")


def _decides(said: Reply) -> bool:
    """Whether it reads like a decision on a question."""
    first = said.words.strip().partition("\n")[0].strip(" .!,").lower()
    return first in DECIDING and bool(said.delivery["approval_id"] or said.delivery["kind"] == "digest")


def _undecided(said: Reply) -> str:
    return DECIDES_NOTHING.format(said.delivery["approval_id"] or "ID")


def _unusable(said: Reply) -> str:
    """Why nothing can be learned from it."""
    if not said.words:
        return "There is no word of your own in it. Write above the quote."
    if said.delivery["run_id"] is None:
        return "That message was about no single run: `pocketlet feedback RUN TEXT` says something of one."
    return ""


async def _given(conn: pool.Conn, said: Reply, number: int) -> str:
    about = {"mail": said.about} if said.about else {"chat": said.key}
    words = feedback.Said("change", said.words, about=about, source="reply")
    try:
        async with conn.transaction():
            given, _ = await feedback.give(conn, said.delivery["run_id"], words)
    except (errors.BadInput, errors.Conflict, errors.NotFound) as error:
        why = f"{error} {error.hint}".strip()
        await _answer(conn, said, f"answer:{number}", why)
        return why
    return f"That is feedback {given} on run {said.delivery['run_id']}; the manager looks at it."


async def _held(conn: pool.Conn, said: Reply) -> None:
    title = f"A reply on {said.channel.name} may be anybody's: nothing but its name says that you wrote it."
    hint = "`pocketlet inbox` shows it: confirm it there, or ignore it."
    await notices.report(conn, notices.Notice("replies:unproven", title, hint))


async def _answer(conn: pool.Conn, said: Reply, subject: str, text: str) -> None:
    """An answer to the answer, about the same thing."""
    run, approval = said.delivery["run_id"], said.delivery["approval_id"]
    at = await telling.now(conn)
    await answer(conn, said, news.News(subject, 1, "answer", at, "Pocketlet", text, run=run, approval=approval))


async def answer(conn: pool.Conn, said: Reply, what: news.News) -> None:
    """Queues an answer to it, to be sent in the next round; unless one of that subject was given."""
    await telling.answer(conn, said.channel, said.effect_class, replace(what, answers=said.answers))
