"""The runs that do the agent's job: their tools, their briefing, and their end, which is a result."""

from collections.abc import Mapping, Sequence

from pocketlet.agents import briefing as briefings
from pocketlet.agents import journal, lookups, loop, runs, toolbox
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.db import pool


def compiled(
    playbook: playbooks.Playbook, task: tasks.Task, facts: Mapping[str, str], model: str
) -> briefings.Briefing:
    """The briefing of a run of this playbook on this task."""
    tools = tuple(tool.offer for tool in lookups.toolset(playbook.manifest.tools).values())
    return briefings.compile_run(playbook, tasks.render(task, facts), facts, tools, model)


def tools(work: loop.Work) -> Mapping[str, toolbox.Tool]:
    """The tools that the revision names."""
    return lookups.toolset(work.playbook.manifest.tools)


async def brief(conn: pool.Conn, work: loop.Work, model: str) -> briefings.Briefing:
    """Compiled from the pinned revision and the stored input; nothing else goes in."""
    return compiled(work.playbook, work.task, work.run.facts, model)


async def finish(conn: pool.Conn, work: loop.Work, steps: Sequence[journal.Step], end: toolbox.Finish) -> None:
    """The result, where later runs find it."""
    subject = work.task.subject or work.task.text.partition("\n")[0][:200]
    entity = work.task.sender or None
    result = {"outcome": end.outcome, "entity": entity, "subject": subject, "summary": end.summary}
    await runs.add_result(conn, work.agent, work.run, result)
