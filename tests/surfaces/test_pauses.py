"""What stands still is said, with the reason: no model is asked, a worker was killed, a run is at work."""

import os
import subprocess

import command_line

from pocketlet.db import pool
from pocketlet.platform import breaker

HELD = """
WITH w AS (INSERT INTO pocketlet.worker (host, pid, role) VALUES (%s, %s, 'worker') RETURNING id)
UPDATE pocketlet.run SET state = 'running', worker_id = (SELECT id FROM w), fence = fence + 1 WHERE id = %s"""


def killed() -> int:
    """The process id of a program that is no more."""
    with subprocess.Popen(["true"]) as program:
        return program.pid


async def held(db: pool.Database, run: int, pid: int) -> None:
    """The run is taken by a worker with this process id, and its job with it."""
    async with db.api() as conn:
        await conn.execute(HELD, (os.uname().nodename, pid, run))
        await conn.execute("DELETE FROM queue.procrastinate_jobs WHERE lock = %s", (f"run:{run}",))


async def test_a_run_whose_worker_was_killed_goes_on_with_a_retry(
    cli: command_line.Cli, talker: str, db: pool.Database
) -> None:
    run = cli("run", talker, "--input", "-", "--no-wait", "--json", stdin="Say so.").json["run"]
    await held(db, run, killed())
    done = cli("retry", run, "--json")
    assert (done.code, done.json["state"]) == (0, "done")
    assert "goes on from its last step" in done.err
    again = cli("retry", run)
    assert (again.code, "Start a new run" in again.err) == (6, True)


async def test_a_run_at_work_is_not_tried_again(cli: command_line.Cli, talker: str, db: pool.Database) -> None:
    run = cli("run", talker, "--input", "-", "--no-wait", "--json", stdin="Say so.").json["run"]
    await held(db, run, os.getpid())
    busy = cli("retry", run)
    assert (busy.code, f"A worker is at it: `pocketlet show {run}`." in busy.err) == (6, True)
    async with db.api() as conn:
        await conn.execute("DELETE FROM pocketlet.worker WHERE pid = %s AND role = 'worker'", (os.getpid(),))
        await conn.execute("UPDATE pocketlet.run SET worker_id = NULL WHERE id = %s", (run,))
    assert cli("retry", run).code == 0


async def test_that_no_model_is_asked_is_said(cli: command_line.Cli, talker: str, db: pool.Database) -> None:
    assert cli("runs", talker, "--json").json["models_paused"] is None
    async with db.api() as conn:
        for _ in range(breaker.FAILURES):
            await breaker.note(conn, ok=False, why="it answered 503")
    try:
        [check] = [one for one in cli("doctor", "--json").json["checks"] if one["name"] == "models are asked"]
        paused = cli("runs", talker, "--json").json["models_paused"]
        told = cli("runs", talker).err
    finally:
        async with db.api() as conn:
            await breaker.note(conn, ok=True)
    assert (check["state"], "it answered 503" in check["found"]) == ("warning", True)
    assert paused["why"] == "it answered 503"
    assert "No model is asked until" in told
