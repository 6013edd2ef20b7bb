"""Runs: the list of them, what was read of it, saved ways to look at it, and two runs side by side. One run: `run`."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging, story

Q = queries.load("run_list")
SAVED = 50  # filters that an owner may keep
STEPS = 500  # of each run, that are laid side by side
LINES = 400  # of each text, that are
LONGEST = 80  # characters of a title
Verdict = Literal["right", "change", "wrong", "none"]
Held = Literal["", "policy", "you", "nobody", "shown"]


class Filter(endpoint.Model):
    """`trigger`: a name, or `by hand`. `verdict`: the last word on the run. `min_cost`: USD. `errored`: it failed, or a
    step or act in it did. `unread`: its owner has not opened it, or it has failed since.
    """

    agent: Annotated[str, pydantic.Field(max_length=41)] = ""
    kind: Literal["run", "manager", "trial", "chat", "all"] = "run"
    state: Literal["", "queued", "running", "waiting", "done", "failed", "stopped"] = ""
    trigger: Annotated[str, pydantic.Field(max_length=100)] = ""
    verdict: Literal["", "right", "change", "wrong", "none"] = ""
    min_cost: Annotated[Decimal, pydantic.Field(ge=0, lt=1_000_000)] = Decimal(0)
    text: Annotated[str, pydantic.Field(max_length=200)] = ""
    unread: bool = False
    errored: bool = False

    def said(self) -> dict[str, Any]:
        """What is asked for, without what says nothing."""
        parts = Filter.model_fields.items()  # `exclude_defaults` does nothing beside a serializer of all fields
        return {name: value for name, part in parts if (value := getattr(self, name)) != part.default}


class Asked(Filter):
    """A filter, and which part of the list."""

    limit: paging.Limit = 50
    cursor: paging.Cursor = ""


class Run(endpoint.Model):
    """`title`: what it is about, often in the words of somebody outside. `trigger`: empty if a person started it.
    `cost`: USD. `seconds`: since it was taken up, waiting for you included. `asks`: a question to you is open. `held`:
    who kept its last act from leaving; `said`: what came of it.
    """

    run: int
    agent: str
    kind: str
    title: str
    sender: str
    trigger: str
    revision: int
    state: str
    outcome: str
    said: str
    held: Held
    dry: bool
    verdict: Verdict
    unread: bool
    asks: bool
    cost: Decimal
    tokens: int
    seconds: float | None
    created_at: datetime
    ended_at: datetime | None


class SavedFilter(endpoint.Model):
    """A filter with a name."""

    name: Annotated[str, pydantic.Field(min_length=1, max_length=60, pattern=r"^[^/\\\x00-\x1f\x7f]+$")]
    query: Filter


class Choices(endpoint.Model):
    """What can be asked for: names of triggers, and your saved filters."""

    triggers: list[str]
    saved: list[SavedFilter]


class Side(endpoint.Model):
    """One of two runs. `steps`: how many; `letter`: what became of its last mail, null if it wrote none."""

    run: int
    agent: str
    title: str
    kind: str
    revision: int
    model: str
    state: str
    outcome: str
    said: str
    dry: bool
    cost: Decimal
    input_tokens: int
    output_tokens: int
    seconds: float | None
    steps: int
    letter: str | None


class ComparedStep(endpoint.Model):
    """One step in short: what it did. `tool`: empty for a reply of the model."""

    seq: int
    tool: str
    said: str
    error: str
    seconds: float
    cost: Decimal


class Pair(endpoint.Model):
    """Steps with the same tool beside each other; null where only the other run has one."""

    a: ComparedStep | None
    b: ComparedStep | None


class DiffLine(endpoint.Model):
    """`mark`: + only in b, - only in a, a blank in both."""

    mark: str
    text: str


class Comparison(endpoint.Model):
    """`about`: mail, or result where not both wrote one. `cut`: more than what is shown was left out."""

    a: Side
    b: Side
    steps: list[Pair]
    about: Literal["mail", "result"]
    diff: list[DiffLine]
    cut: bool


def title(row: Mapping[str, Any]) -> str:
    """What a run is about, in one line. `row`: kind, run, subject, text, feedback, taught_on, replays, revision."""
    if row["kind"] == "manager":
        on = f" from your word on run {row['taught_on']}" if row["taught_on"] else ""
        return f"Learning{on}"
    if row["kind"] == "trial":
        return f"Run {row['replays']} again, with r{row['revision']}" if row["replays"] else "A trial"
    first = next((line.strip() for line in (row["subject"], *row["text"].splitlines()) if line.strip()), "")
    return (first if len(first) <= LONGEST else first[: LONGEST - 1].rstrip() + "…") or f"Run {row['run']}"


def held(row: Mapping[str, Any]) -> Held:
    """Who kept a run's last act from leaving: policy, you, nobody in time, or that it was only shown; empty if no act
    was kept back, or the run goes on. `row`: state, held (of the effect) and held_answer.
    """
    if row["state"] != "done" or not row["held"]:
        return ""
    if row["held"] == "refused":
        return "nobody" if row["held_answer"] == "expired" else "you"
    return "policy" if row["held"] == "blocked" else "shown"


def kept_back(row: Mapping[str, Any]) -> str:
    """The sentence for it, or none. `row`: that of `held`, with agent, held_tool and held_to."""
    who, agent = held(row), row["agent"]
    if not who:
        return ""
    wish, done = story.act(row["held_tool"], row["held_to"])
    said = {
        "policy": f"{agent} wanted to {wish}, and policy refused.",
        "you": f"You said no: {agent} did not {wish}.",
        "nobody": f"Nobody answered in time: {agent} did not {wish}.",
        "shown": f"{agent} would have {done}.",
    }
    return f"{said[who]} Nothing was sent."


async def listing(caller: callers.Caller, *, asked: Asked) -> endpoint.Page[Run]:
    """Lists your runs that are as asked for, the newest first."""
    values = asked.model_dump(exclude={"cursor"}) | {"owner": caller.owner.id, "after": paging.after(asked.cursor)}
    values["limit"] = asked.limit + 1
    async with caller.database.api() as conn:
        if asked.agent:
            await callers.agent(conn, caller, asked.agent)
        rows = await (await conn.execute(Q["listing"], values)).fetchall()
    part, following = paging.cut(rows, asked.limit, "run")
    return endpoint.Page[Run](items=[_run(row) for row in part], next=following)


def _run(row: Mapping[str, Any]) -> Run:
    kept = {name: row[name] for name in Run.model_fields if name in row and name != "held"}
    said = row["error"] or kept_back(row) or row["result"]
    return Run(**kept, title=title(row), said=said, held=held(row))


async def mark_seen(caller: callers.Caller, run: int) -> endpoint.Done:
    """Marks a run as read."""
    async with caller.database.api() as conn:
        await callers.run(conn, caller, run)
        await conn.execute(Q["seen"], {"owner": caller.owner.id, "run": run})
    return endpoint.Done(said=f"Run {run} is read.")


async def mark_unseen(caller: callers.Caller, run: int) -> endpoint.Done:
    """Marks a run as unread."""
    async with caller.database.api() as conn:
        await callers.run(conn, caller, run)
        await conn.execute(Q["unseen"], {"owner": caller.owner.id, "run": run})
    return endpoint.Done(said=f"Run {run} is unread.")


async def mark_all_seen(caller: callers.Caller, *, agent: str = "") -> endpoint.Done:
    """Marks every run that has ended as read, of one agent or of all of yours."""
    async with caller.database.api() as conn:
        one = await callers.agent(conn, caller, agent) if agent else None
        done = await conn.execute(Q["seen_all"], {"owner": caller.owner.id, "agent": one.id if one else None})
    return endpoint.Done(said=f"{done.rowcount} {'run is' if done.rowcount == 1 else 'runs are'} read now.")


async def choices(caller: callers.Caller) -> Choices:
    """Lists what runs can be asked for by: triggers by name, and your saved filters."""
    async with caller.database.api() as conn:
        named = await (await conn.execute(Q["triggers"], {"owner": caller.owner.id})).fetchall()
        saved = await (await conn.execute(Q["filters"], {"owner": caller.owner.id})).fetchall()
    return Choices(triggers=[row["name"] for row in named], saved=[SavedFilter(**row) for row in saved])


async def save(caller: callers.Caller, body: SavedFilter) -> SavedFilter:
    """Keeps a filter under a name, in the place of an older one of that name."""
    values = {"owner": caller.owner.id, "name": body.name, "query": pool.jsonb(body.query.said()), "most": SAVED}
    async with caller.database.api() as conn:
        if await (await conn.execute(Q["save"], values)).fetchone() is None:
            raise errors.Conflict(f"You keep {SAVED} filters already.", hint="Remove one that you no longer use.")
    return body


async def remove(caller: callers.Caller, name: str) -> endpoint.Done:
    """Forgets a saved filter."""
    async with caller.database.api() as conn:
        gone = await (await conn.execute(Q["remove"], {"owner": caller.owner.id, "name": name})).fetchone()
    if gone is None:
        raise errors.NotFound("There is no such filter.", hint="Look at the filters that you keep.")
    return endpoint.Done(said=f"The filter {name} is gone.")


async def compare(caller: callers.Caller, *, a: int = 0, b: int = 0) -> Comparison:
    """Compares two runs side by side: outcome, cost, tokens, steps, and how the last mail or the result differs."""
    async with caller.database.api() as conn:
        found = [await _read(conn, caller, number) for number in (a, b)]
    (first, steps_a, letter_a), (second, steps_b, letter_b) = found
    wrote = letter_a is not None and letter_b is not None
    texts = (letter_a, letter_b) if wrote else (first.said, second.said)
    before, after = [(text or "").splitlines() for text in texts]
    return Comparison(
        a=first,
        b=second,
        steps=list(_paired(steps_a, steps_b)),
        about="mail" if wrote else "result",
        diff=list(_lines(before[:LINES], after[:LINES])),
        cut=max(len(steps_a), len(steps_b)) >= STEPS or max(len(before), len(after)) > LINES,
    )


async def _read(conn: pool.Conn, caller: callers.Caller, number: int) -> tuple[Side, list[ComparedStep], str | None]:
    await callers.run(conn, caller, number)
    row = await (await conn.execute(Q["one"], {"run": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no run {number}.")
    rows = await (await conn.execute(Q["steps"], {"run": number, "limit": STEPS})).fetchall()
    letter = await (await conn.execute(Q["letter"], {"run": number})).fetchone()
    steps = [_step(one) for one in rows]
    kept: dict[str, Any] = {name: row[name] for name in Side.model_fields if name in row}
    kept |= {"title": title(row), "said": row["error"] or row["result"], "steps": len(steps)}
    return Side(**kept, letter=letter["state"] if letter else None), steps, _text(letter) if letter else None


def _step(row: Mapping[str, Any]) -> ComparedStep:
    known = {name: row[name] for name in ("seq", "tool", "error", "seconds", "cost")}
    return ComparedStep(**known, said=story.ended(row)[1] if row["tool"] else "Thought")


def _text(letter: Mapping[str, Any]) -> str:
    return f"To: {letter['destination']}\nSubject: {letter['subject']}\n\n{letter['body']}"


def _paired(before: Sequence[ComparedStep], after: Sequence[ComparedStep]) -> Iterator[Pair]:
    """The longest runs of the same tools lie beside each other."""
    matched = difflib.SequenceMatcher(None, [one.tool for one in before], [one.tool for one in after], autojunk=False)
    for kind, a, a_end, b, b_end in matched.get_opcodes():
        if kind == "equal":
            yield from (Pair(a=before[a + n], b=after[b + n]) for n in range(a_end - a))
            continue
        yield from (Pair(a=one, b=None) for one in before[a:a_end])
        yield from (Pair(a=None, b=one) for one in after[b:b_end])


def _lines(before: Sequence[str], after: Sequence[str]) -> Iterator[DiffLine]:
    matched = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, a, a_end, b, b_end in matched.get_opcodes():
        if kind == "equal":
            yield from (DiffLine(mark=" ", text=text) for text in before[a:a_end])
            continue
        yield from (DiffLine(mark="-", text=text) for text in before[a:a_end])
        yield from (DiffLine(mark="+", text=text) for text in after[b:b_end])


ENDPOINTS = (
    endpoint.Endpoint("GET", "/runs", "read", listing),
    endpoint.Endpoint("GET", "/runs/filters", "read", choices),
    endpoint.Endpoint("POST", "/runs/filters", "run", save),
    endpoint.Endpoint("DELETE", "/runs/filters/{name}", "run", remove),
    endpoint.Endpoint("GET", "/runs/compare", "read", compare),
    endpoint.Endpoint("POST", "/runs/seen", "run", mark_all_seen),
    endpoint.Endpoint("POST", "/runs/{run}/seen", "run", mark_seen),
    endpoint.Endpoint("POST", "/runs/{run}/unseen", "run", mark_unseen),
)
