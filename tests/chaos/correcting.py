"""Corrects a run while workers die, and looks at what was learnt, whole or in pieces."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import doomed
from killing import Killer

from pocketlet.agents import revisions
from pocketlet.learning import feedback

COMMENT = "Never promise a delivery date; offer 10 % if it is more than 7 days late."
#: What the end of the manager's run brings, and what the decision brings: of each, all or nothing.
PIECES = """
SELECT m.state = 'done' AS manager,
       EXISTS (SELECT FROM pocketlet.revision WHERE run_id = m.id) AS revision,
       EXISTS (SELECT FROM pocketlet.lesson WHERE run_id = m.id) AS lesson,
       EXISTS (SELECT FROM pocketlet.assertion WHERE feedback_id = f.id) AS assertion,
       EXISTS (SELECT FROM pocketlet.candidate WHERE curation = m.id) AS candidate,
       EXISTS (SELECT FROM pocketlet.run WHERE curation = m.id AND kind = 'trial') AS trial,
       f.outcome IS NOT NULL AS outcome,
       EXISTS (SELECT FROM pocketlet.decision d
                 JOIN pocketlet.revision r ON r.agent_id = d.agent_id AND r.n = d.revision
                WHERE r.run_id = m.id) AS decision,
       EXISTS (SELECT FROM pocketlet.agent a JOIN pocketlet.revision r ON r.agent_id = a.id AND r.n = a.current
                WHERE r.run_id = m.id) AS in_force,
       (SELECT count(*) FROM pocketlet.trial t JOIN pocketlet.run r ON r.id = t.run_id
         WHERE (t.verdict = 'pending') <> (r.state IN ('queued', 'running'))) AS unjudged
  FROM pocketlet.feedback f JOIN pocketlet.run m ON m.id = f.curation_run WHERE f.id = %s
"""
LEARNT = """
SELECT f.outcome, f.curation_run AS manager, m.state, c.state AS case_state, c.passes,
       (SELECT count(*) FROM pocketlet.revision r WHERE r.run_id = m.id) AS drafts,
       (SELECT array_agg(l.body || l.predicate || l.expect ORDER BY l.id)
          FROM pocketlet.lesson l WHERE l.run_id = m.id) AS lessons,
       (SELECT array_agg(s.kind || s.expected ORDER BY s.id)
          FROM pocketlet.assertion s WHERE s.feedback_id = f.id) AS assertions,
       (SELECT array_agg(o.findings ORDER BY o.revision)
          FROM pocketlet.candidate o WHERE o.curation = m.id) AS findings,
       (SELECT array_agg(d.verdict || d.author ORDER BY d.id) FROM pocketlet.decision d
          JOIN pocketlet.revision r ON r.agent_id = d.agent_id AND r.n = d.revision WHERE r.run_id = m.id) AS decisions,
       (SELECT array_agg(t.purpose || t.attempt || t.verdict || r.state ORDER BY t.id) FROM pocketlet.trial t
          JOIN pocketlet.run r ON r.id = t.run_id
          JOIN pocketlet.revision v ON v.agent_id = t.agent_id AND v.n = t.draft WHERE v.run_id = m.id) AS trials,
       (SELECT array_agg(p.seq || p.kind || coalesce(p.tool, '') ORDER BY t.id, p.seq) FROM pocketlet.trial t
          JOIN pocketlet.revision v ON v.agent_id = t.agent_id AND v.n = t.draft
          JOIN pocketlet.step p ON p.run_id = t.run_id WHERE v.run_id = m.id) AS steps
  FROM pocketlet.feedback f JOIN pocketlet.run m ON m.id = f.curation_run JOIN pocketlet.cases c ON c.run_id = f.run_id
 WHERE f.id = %s
"""
MONEY = """
SELECT count(*) FILTER (WHERE l.state = 'reserved') AS lost,
       (SELECT spent FROM pocketlet.budget WHERE scope = 'learning:' || %(manager)s) = sum(l.cost) AS adds_up
  FROM pocketlet.ledger l WHERE 'learning:' || %(manager)s = ANY (l.scopes)
"""
RESET = b"UPDATE pocketlet.cases SET state = 'candidate', passes = 0, model = NULL, accepted = false WHERE run_id = %s"


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of a correction. `wreck` is what stood there when the worker had died, `sent` the mails that left."""

    learnt: dict[str, Any]
    money: dict[str, Any]
    commits: int
    wreck: dict[str, Any] | None
    sent: int


async def correct(killer: Killer, run: int, point: doomed.Point | None) -> Taught:
    """The owner corrects the run, on revision 1; a worker that died is followed by one that does not."""
    async with killer.database.api() as conn:
        await conn.execute(RESET, (run,))
        number, _ = await feedback.give(conn, run, feedback.Said("change", COMMENT))
    before = killer.sent(run)
    worker, pipe = killer.start(run, point, learns=True)
    wreck = None
    try:
        _, commits = await asyncio.to_thread(pipe.recv)
    except EOFError:
        await asyncio.to_thread(worker.join)
        assert worker.exitcode == -9, worker.exitcode
        wreck = await killer.row(PIECES, number)
        worker, pipe = killer.start(run, None, learns=True)
        _, commits = await asyncio.to_thread(pipe.recv)
    pipe.send("end")
    await asyncio.to_thread(worker.join)
    learnt = await killer.row(LEARNT, number)
    async with killer.database.api() as conn:
        money = await (await conn.execute(MONEY.encode(), {"manager": learnt["manager"]})).fetchone()
        if (await conn.execute(b"SELECT FROM pocketlet.agent WHERE name = 'crm' AND current > 1")).rowcount:
            await revisions.decide(conn, killer.agent, 1, "rollback")
    assert money
    learnt |= {"outcome": re.sub(r"revision \d+", "revision N", learnt["outcome"] or ""), "manager": 0}
    return Taught(learnt, money, commits, wreck, killer.sent(run) - before)
