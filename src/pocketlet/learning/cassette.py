"""The tools of a trial: reads that the recorded run made come back as they were, new ones read the memory of then."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pocketlet.agents import journal, lookups, loop, toolbox
from pocketlet.db import pool, queries

Q = queries.load("cassette")
#: They look at the draft and the stored input only, or leave what they do in the trial's own rows.
AS_THEY_ARE = {"skill", "attachment", "finish", "remember", "send_mail", "code"}


def tools(work: loop.Work, offered: Mapping[str, toolbox.Tool]) -> Mapping[str, toolbox.Tool]:
    """What is offered, with everything that would look at the world of today put out of its reach.

    A read that the case's run made is told word for word, errors too (`meta["replayed"]` is true); another one reads
    the memory of then (false). What another server was asked is told as it was, or not carried out (`meta["unknown"]`).
    """
    return {name: _of_a_trial(tool, work.run.case_id) for name, tool in offered.items()}


def _of_a_trial(tool: toolbox.Tool, case: int | None) -> toolbox.Tool:
    if tool.name in AS_THEY_ARE:
        return tool
    act = _read if tool.name in lookups.READS else _outside
    return replace(tool, act=partial(act, tool=tool.name, case=case))


async def _outside(
    context: toolbox.Context, args: Mapping[str, Any], *, tool: str, case: int | None
) -> toolbox.Outcome:
    """What another server said to the same call, once for each time that it was made."""
    async with context.database.api() as conn:
        row = await (await conn.execute(Q["recorded"], {"case": case})).fetchone()
        recorded = await journal.read(conn, row["run"] if row else 0)
        own = await journal.read(conn, context.run.id)
    same = [step for step in recorded if _is(step, tool, args)]
    ordinal = sum(_is(step, tool, args) for step in own)
    if ordinal >= len(same):
        return toolbox.Outcome(error="not recorded, so not carried out in a trial", meta={"unknown": True})
    step = same[ordinal]
    return toolbox.Outcome(step.response or "", step.error, step.label, {"replayed": True})


async def _read(context: toolbox.Context, args: Mapping[str, Any], *, tool: str, case: int | None) -> toolbox.Outcome:
    async with context.database.api() as conn:
        row = await (await conn.execute(Q["recorded"], {"case": case})).fetchone()
        run = row["run"] if row else 0
        recorded, own = _reads(await journal.read(conn, run)), _reads(await journal.read(conn, context.run.id))
        same = [step for step in recorded if _is(step, tool, args)]
        ordinal = sum(_is(step, tool, args) for step in own)
        if ordinal < len(same):
            step = same[ordinal]
            return toolbox.Outcome(step.response or "", step.error, step.label, step.meta | {"replayed": True})
        as_of = _version(recorded or own, context.seq)
        if as_of is None:
            query = queries.named(Q["version_of"], schema=context.schema)
            row = await (await conn.execute(query, {"run": run, "agent": context.run.agent_id})).fetchone()
            as_of = row["version"] if row else 0
    outcome = await lookups.look(context, args, tool=tool, as_of=as_of)
    return replace(outcome, meta={**(outcome.meta or {}), "replayed": False})


def _reads(steps: Sequence[journal.Step]) -> list[journal.Step]:
    """The calls that reached the memory: one that was refused for its name or arguments is none."""
    return [step for step in steps if step.tool in lookups.READS and "memory_version" in step.meta]


def _is(step: journal.Step, tool: str, args: Mapping[str, Any]) -> bool:
    return step.tool == tool and pool.canonical(step.request) == pool.canonical(args)


def _version(reads: Sequence[journal.Step], seq: int) -> int | None:
    """Of the last read up to that point of the run, or else of the first one; None if there was none."""
    before = [step for step in reads if step.seq <= seq]
    return [*reads[:1], *before][-1].meta["memory_version"] if reads else None
