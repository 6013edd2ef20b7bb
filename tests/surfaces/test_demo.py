"""The demo keeps out of the way of other demos, of workers, and of what its owner made."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import command_line
import pytest

from pocketlet import errors
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.demo import waiting, world
from pocketlet.platform import locks, queue


@pytest.fixture
def idle() -> Iterator[subprocess.Popen[str]]:
    """A process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate("\n")


def test_two_demos_in_one_home(cli: command_line.Cli, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    lock = locks.open_file(tmp_path / "demo" / "lock")
    assert locks.try_exclusive(lock)
    try:
        second = cli("demo", "crm", "--json", POCKETLET_HOME=str(tmp_path))
    finally:
        locks.unlock_and_close(lock)
    assert (second.code, second.json["error"]["message"]) == (6, "A demo is running in this home already.")
    assert "POCKETLET_HOME" in second.json["error"]["hint"]
    assert not (tmp_path / "postgres").exists()


async def test_a_demo_beside_a_worker(cli: command_line.Cli, db: pool.Database) -> None:
    worker = await queue.register(db, "up", queue.Ports(2525))
    try:
        told = cli("demo", "crm")
    finally:
        await queue.unregister(db, worker)
    assert told.code == 6
    assert "Another worker is running here" in told.err
    assert "`pocketlet down`" in told.err


async def test_what_the_owner_imported_over_the_demos_agent_stays(
    cli: command_line.Cli, db: pool.Database, tmp_path: Path
) -> None:
    folder = command_line.write_agent(tmp_path / "crm", "crm")
    assert (await portable.load(db, folder, origin="demo")).origin == "demo"
    try:
        await portable.renew(db, command_line.write_agent(folder, "crm", INSTRUCTIONS_dot_md="Be brief.\n"))
        [row] = [agent for agent in cli("agent", "list", "--json").json["agents"] if agent["agent"] == "crm"]
        assert row == {"agent": "crm", "revision": 2, "origin": "import"}
        assert cli("demo", "crm").code == 6
        async with db.api() as conn:  # as a version that did not note it would have left it
            await conn.execute(b"UPDATE pocketlet.agent SET origin = 'demo' WHERE name = 'crm'")
        told = cli("demo", "crm")
        assert (told.code, "not the demo's" in told.err, "POCKETLET_HOME" in told.err) == (6, True, True)
        assert cli("agent", "show", "crm", "--json").json["instructions"] == "Be brief.\n"
    finally:
        await portable.remove(db, "crm")


async def test_a_run_that_was_removed_is_not_waited_for(
    db: pool.Database, idle: subprocess.Popen[str], tmp_path: Path
) -> None:
    outside = world.World(None, "", tmp_path, tmp_path, worker=idle)
    with pytest.raises(errors.Failed, match=r"Run \d+ was removed"):
        await waiting.Watch(db, outside).rest(2**40)
