"""Before an agent goes live: what it would have answered to past mails, beside what was really answered.

The runs are trials without a case: their sends are captured and they leave nothing in the memory. Where a real answer
differs, it can become feedback, as if the owner had edited the draft.
"""

import contextlib
import mailbox
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import cases, feedback, thread
from pocketlet.platform import messages

Q = queries.load("backtest")


@dataclass(frozen=True, slots=True)
class Pair:
    """A mail that came in, and the answer that was really sent, in the owner's own words. `at` is when it came."""

    raw: bytes
    message_id: str
    subject: str
    sender: str
    at: datetime | None
    answer: str


@dataclass(slots=True)
class Mailbox:
    """What was found: the pairs by time, and how many mails are none. `answered` counts before any cut."""

    pairs: list[Pair] = field(default_factory=list[Pair])
    answered: int = 0
    unanswered: int = 0
    unreadable: int = 0
    doubtful: int = 0


@dataclass(frozen=True, slots=True)
class _Mail:
    raw: bytes
    message: messages.Message


def read(paths: Sequence[Path], me: str, *, since: datetime | None = None, limit: int | None = None) -> Mailbox:
    """Pairs the mails of some mailboxes (mbox files, Maildirs). Raises errors.BadInput."""
    return paired((raw for path in paths for raw in _raw(path)), me, since=since, limit=limit)


def paired(mails: Iterable[bytes], me: str, *, since: datetime | None = None, limit: int | None = None) -> Mailbox:
    """Pairs mails with their answers: the newest `limit` that came `since` then.

    `me` is the address that the answers came from. An answer that a server has delivered counts as `doubtful`, as
    anybody can write that sender on it. Raises errors.BadInput if there is no pair.
    """
    found = Mailbox()
    came: dict[str, _Mail] = {}
    answers: list[_Mail] = []
    for raw in mails:
        _sort(raw, me.lower(), came, answers, found)
    said = _answers(answers, came)
    pairs = [_pair(came[key], answer) for key, answer in said.items()]
    pairs = [pair for pair in pairs if pair.answer and (since is None or (pair.at is not None and pair.at >= since))]
    pairs.sort(key=lambda pair: (pair.at.timestamp() if pair.at else 0.0, pair.message_id))
    found.answered, found.unanswered = len(said), len(came) - len(said)
    found.pairs = pairs[-limit:] if limit else pairs
    if not pairs:
        raise errors.BadInput(
            f"No mail there has an answer of {me} that can be used: {found.unanswered} without any, {found.answered} "
            f"answered before that day or without own words; {found.unreadable} unreadable; {found.doubtful} under "
            "that name were received, not sent.",
            hint="Give what was sent, too (the Sent folder), another address (--me), or an earlier day (--since).",
        )
    return found


def check(found: Mailbox, chosen: Sequence[int]) -> None:
    """Raises errors.BadInput for the number of a pair that there is not."""
    if beyond := [number for number in chosen if not 1 <= number <= len(found.pairs)]:
        raise errors.BadInput(f"There is no pair {beyond[0]}: they are numbered from 1 to {len(found.pairs)}.")


def _raw(path: Path) -> Iterator[bytes]:
    """Each message of a mailbox as its bytes. Raises errors.BadInput."""
    if path.is_dir() and not all((path / part).is_dir() for part in ("cur", "new")):
        raise errors.BadInput(f"{path} is no Maildir: it has no folders `cur` and `new`.")
    try:
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as opened:
                _check_mbox(path, opened.read(5))
        box = mailbox.Maildir(path, create=False) if path.is_dir() else mailbox.mbox(path, create=False)
        with contextlib.closing(box):
            for key in box.iterkeys():
                yield box.get_bytes(key)
    except mailbox.NoSuchMailboxError as error:
        raise errors.BadInput(f"There is no mailbox {path}.") from error
    except OSError as error:
        raise errors.BadInput(f"{path} can't be read: {error.strerror or error}.") from error


def _check_mbox(path: Path, start: bytes) -> None:
    if start != b"From ":
        raise errors.BadInput(
            f"{path} is no mbox file: it does not begin with “From ”.",
            hint="Export the folder as mbox, or give a Maildir.",
        )


def _sort(raw: bytes, me: str, came: dict[str, _Mail], answers: list[_Mail], found: Mailbox) -> None:
    try:
        mail = _Mail(raw, messages.parse(raw))
    except errors.BadInput:
        found.unreadable += 1
        return
    message = mail.message
    if message.sender.lower() == me:
        if thread.delivered(raw):
            found.doubtful += 1
        else:
            answers.append(mail)
    elif message.message_id and not message.auto_submitted:
        came.setdefault(message.message_id, mail)


def _answers(answers: Sequence[_Mail], came: Mapping[str, _Mail]) -> dict[str, messages.Message]:
    """By the mail that is answered, the first answer that went to its sender."""
    said: dict[str, messages.Message] = {}
    for mail in sorted(answers, key=lambda mail: mail.message.date.timestamp() if mail.message.date else 0.0):
        message = mail.message
        to = {address.lower() for address in (*message.to, *message.cc)}
        for key in dict.fromkeys((message.in_reply_to, *reversed(message.references))):
            if key in came and came[key].message.sender.lower() in to:
                said.setdefault(key, message)
                break
    return said


def _pair(mail: _Mail, answer: messages.Message) -> Pair:
    message = mail.message
    text = thread.own(answer.text, others=message.text)
    return Pair(mail.raw, message.message_id, message.subject, message.sender, message.date, text)


def address(manifest: manifests.Manifest, me: str | None) -> str:
    """Whose answers count. Raises errors.BadInput."""
    if found := me or manifest.mail_address:
        return found
    raise errors.BadInput(
        f"{manifest.name} has no mail address of its own.", hint="Say whose answers count with --me ADDRESS."
    )


async def start(conn: pool.Conn, agent: agents.Agent, pair: Pair) -> int:
    """The run on a pair's mail, of the current revision: the one that there is, else a new one, queued."""
    if known := await last(conn, agent, pair, ended=False):
        return known
    task = tasks.from_mail(pair.raw)
    manifest = (await revisions.load(conn, agent, agent.current)).manifest
    run = {"agent": agent.id, "kind": "trial", "revision": agent.current, "input": task.record(), "raw": pair.raw}
    return await runs.insert(conn, run | {"facts": tasks.facts(task, manifest), "label": task.label})


async def last(conn: pool.Conn, agent: agents.Agent, pair: Pair, *, ended: bool = True) -> int | None:
    """The run that there is on a pair's mail, of the current revision; `ended`: also one that failed or was stopped."""
    values = {"agent": agent.id, "revision": agent.current, "message_id": pair.message_id, "ended": ended}
    row = await (await conn.execute(Q["known"], values)).fetchone()
    return row["id"] if row else None


async def compared(conn: pool.Conn, run: int, pair: Pair) -> dict[str, Any]:
    """How a run's draft stands beside the real answer.

    `verdict`: same, differs, none (it drafted no mail), failed or pending. `similarity` is the share of words that
    both have, from 0 to 1.
    """
    end = await runs.ending(conn, run)
    done = await cases.work_of(conn, run)
    draft = thread.own(done.draft) if done.mails else ""
    verdict = "none" if not draft else "same" if thread.same(draft, pair.answer) else "differs"
    if end["state"] != "done":
        verdict = "failed" if end["state"] in ("failed", "stopped") else "pending"
    return {
        "run": run,
        "subject": pair.subject,
        "from": pair.sender,
        "at": pair.at,
        "verdict": verdict,
        "similarity": similarity(draft, pair.answer),
        "draft": draft,
        "answer": pair.answer,
        **{name: end[name] for name in ("state", "result", "error", "hint", "exit_code")},
        "cost_usd": await _cost(conn, run),
        "feedback": None,
        "outcome": None,
    }


async def _cost(conn: pool.Conn, run: int) -> Any:
    row = await (await conn.execute(Q["cost"], {"run": run})).fetchone()
    return row["cost_usd"] if row else 0


def similarity(one: str, other: str) -> float:
    """The share of words, each as often as it occurs, that two texts have in common: from 0 to 1."""
    words, others = (Counter(re.findall(r"\w+", text.casefold())) for text in (one, other))
    total = words.total() + others.total()
    return round(2 * (words & others).total() / total, 2) if total else 1.0


async def learn_all(
    conn: pool.Conn, agent: agents.Agent, rows: Sequence[dict[str, Any]], chosen: Sequence[int]
) -> list[dict[str, Any]]:
    """Makes the chosen real answers (none: all) that stand beside a draft feedback, in one pass; these rows, with its
    number. `rows` are those of `compared`, with the number of their `pair`.
    """
    usable = [row for row in rows if row["verdict"] not in ("failed", "pending")]
    wanted = [row for row in usable if not chosen or row["pair"] in chosen]
    for row in wanted:
        row["feedback"] = await learn(conn, agent, row)
    await feedback.curate(conn, agent)
    return wanted


async def learn(conn: pool.Conn, agent: agents.Agent, found: Mapping[str, Any]) -> int:
    """A real answer as feedback on the run of its pair; its number. What was learned before is not learned again.

    It is taken up by `feedback.curate`, once all of a pass is stored. Raises errors.Conflict.
    """
    run = found["run"]
    if row := await (await conn.execute(Q["learned"], {"run": run})).fetchone():
        return row["id"]
    if found["verdict"] not in ("same", "differs", "none"):
        raise errors.Conflict(f"Run {run} is {found['state']}: there is no draft to compare.", hint=found["hint"] or "")
    await agents.lock(conn, agent.id)
    case = await cases.keep(conn, agent, run)
    if found["verdict"] == "same":
        number = await feedback.store(conn, agent, run, feedback.Said("right", source="backtest"))
        await cases.accept(conn, case)
        await feedback.settle(conn, number, "kept as a case; nothing to change")
        return number
    said = feedback.Said("change", edited=found["answer"], source="backtest")
    number = await feedback.store(conn, agent, run, said)
    await cases.unaccept(conn, case)
    return number
