"""An owner of a test's own with an agent of her own, and runs that look as if somebody had worked on them."""

from pathlib import Path
from typing import Any

from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.agents import portable, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.platform import owners

ENDED = b"""
UPDATE pocketlet.run SET state = %(state)s, outcome = %(outcome)s, result = %(result)s, error = %(error)s,
       started_at = created_at, ended_at = CASE WHEN %(state)s IN ('done', 'failed', 'stopped') THEN pocketlet.now() END
 WHERE id = %(run)s
"""
SPENT = b"""
INSERT INTO pocketlet.ledger (agent_id, agent, run_id, step_seq, kind, model, state, scopes, reserved, cost,
                              input_tokens, output_tokens, price, price_version)
VALUES (%(agent)s, %(name)s, %(run)s, 1, 'run', 'openai:none', 'settled', '{}', 0, %(usd)s, %(input)s, %(output)s,
        '{}', 'test')
"""
ASKED = b"""
WITH made AS (
  INSERT INTO pocketlet.effect (agent_id, run_id, step_seq, tool, kind, class, destination, request, message,
                                request_hash, state, rule, fence)
  VALUES (%(agent)s, %(run)s, 2, 'send_mail', 'mail', 'checkable', 'ann@example.org',
          '{"to": "ann@example.org", "subject": "Re: Hello", "body": "Dear Ann"}', 'Subject: Re: Hello', 'hash',
          'planned', 'send-mail-asks', 0)
  RETURNING id
)
INSERT INTO pocketlet.approval (effect_id, question, why, request_hash, expires_at)
SELECT id, 'send', 'asks', 'hash', pocketlet.now() + interval '1 day' FROM made RETURNING id
"""
MANIFEST = """
name = "{name}"
job = "Answers letters."
model = "openai:none"
price = {{input = 1.0, output = 2.0}}

[budget]
run = 0.2
day = 2.0

[triggers]
morning = {{schedule = "0 8 * * *", task = "Look."}}
"""


async def moved_in(desk: Desk, name: str, folder: Path) -> agents.Agent:
    """An owner with a token for everything, and an agent; both have this name."""
    (folder / "agent.toml").write_text(MANIFEST.format(name=name), encoding="utf-8")
    async with desk.database.api() as conn:
        owner = await owners.add(conn, name)
        _, desk.tokens[name] = await owners.new_token(conn, owner, "test", frozenset(owners.SCOPES), None)
    return await portable.load(desk.database, folder, owner=owner.id)


async def worked(conn: pool.Conn, agent: agents.Agent, subject: str, state: str = "done", **facts: Any) -> int:
    """A run as it lies there in the end. `facts`: kind, outcome, result, error."""
    task = tasks.Task("mail", f"A letter.\n{subject}", "outside", sender="ann@example.org", subject=subject)
    values: dict[str, Any] = {"agent": agent.id, "kind": facts.pop("kind", "run"), "revision": agent.current}
    number = await runs.insert(conn, values | {"input": task.record(), "label": "outside"})
    told = {"run": number, "state": state, "outcome": state, "result": None, "error": None}
    await conn.execute(ENDED, told | facts)
    return number


async def spent(
    conn: pool.Conn, agent: agents.Agent, run: int | None, usd: str, tokens: tuple[int, int] = (1000, 100)
) -> None:
    """A model call of a run, settled."""
    values = {"agent": agent.id, "name": agent.name, "run": run, "usd": usd, "input": tokens[0], "output": tokens[1]}
    await conn.execute(SPENT, values)


async def asked(conn: pool.Conn, agent: agents.Agent, run: int) -> int:
    """A question of that run that waits: may it send a mail?"""
    made = await (await conn.execute(ASKED, {"agent": agent.id, "run": run})).fetchone()
    return made["id"] if made else 0
