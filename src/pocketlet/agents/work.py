"""The runs that do the agent's job: their tools, their briefing, and their end, which is a result."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pocketlet.agents import briefing as briefings
from pocketlet.agents import correspondent, journal, lookups, loop, outward, runs, toolbox
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.agents.waking import results
from pocketlet.db import pool


def compiled(
    playbook: playbooks.Playbook,
    task: tasks.Task,
    facts: Mapping[str, str],
    model: str,
    more: Mapping[str, toolbox.Tool] | None = None,
) -> briefings.Briefing:
    """The briefing of a run of this playbook on this task. `more`: the tools of what the agent is connected to."""
    known = lookups.toolset(playbook.manifest.tools) | dict(more or {})
    tools = tuple(tool.offer for tool in known.values())
    playbook = replace(playbook, tables=correspondent.tables(playbook, task))
    return briefings.compile_run(playbook, tasks.render(task, facts), facts, tools, model)


def tools(work: loop.Work) -> Mapping[str, toolbox.Tool]:
    """The tools that the revision names, and those of what the owner connected the agent to."""
    return lookups.toolset(work.playbook.manifest.tools) | dict(work.more)


async def more(database: pool.Database, work: loop.Work) -> Mapping[str, toolbox.Tool]:
    """The tools of what the owner connected the agent to, as it is now."""
    return await outward.offers(database, work.agent.id, work.playbook.manifest.tools)


async def brief(conn: pool.Conn, work: loop.Work, model: str) -> briefings.Briefing:
    """Compiled from the pinned revision and the stored input; nothing else goes in."""
    return compiled(work.playbook, work.task, work.run.facts, model, work.more)


async def finish(conn: pool.Conn, work: loop.Work, steps: Sequence[journal.Step], end: toolbox.Finish) -> None:
    """The result, where later runs find it; a dry run did nothing that they should know of."""
    if work.run.dry:
        return
    subject = work.task.subject or work.task.text.partition("\n")[0][:200]
    entity = work.task.sender or None
    result = {"outcome": end.outcome, "entity": entity, "subject": subject, "summary": end.summary}
    await runs.add_result(conn, work.agent, work.run, result)
    await results.publish(conn, work.agent, work.run, result)
