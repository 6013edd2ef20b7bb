"""The agents. A few hundred are installed as the product does it; of the others only what the schedule touches.

Such a light agent has its row, its revision and its trigger, as an import writes them, and of its five logins the one
on which the trigger's condition is asked; it has no tables, no data and no other login. The condition is asked of it
through the same gate, on a connection of its own login, as of a whole one.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import portable, revisions
from pocketlet.db import pool

MANIFEST = """
name = "{name}"
job = "Look whether there is something to do."
model = "openai:{model}"
price = {{input = 1.0, output = 2.0}}

[triggers.look]
schedule = "{schedule}"
task = "Look."
when = "{when}"
"""
#: What an agent that has something to do asks, one that has not, and one that has no tables.
BUSY, IDLE, LIGHT = "select true", "select count(*) from memories", "select false"
BATCH = 100
#: What `sql/agent` gives the reader's login, and nothing else of it.
LOGINS = """
DO $make$
DECLARE
  app text;
BEGIN
  FOREACH app IN ARRAY string_to_array('{names}', ',') LOOP
    EXECUTE format('CREATE ROLE %I LOGIN INHERIT CONNECTION LIMIT 5', app || '_ro');
    EXECUTE format('COMMENT ON ROLE %I IS %L', app || '_ro', 'pocketlet reader');
    EXECUTE format('GRANT pd_reader TO %I', app || '_ro');
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), app || '_ro');
    EXECUTE format('CREATE SCHEMA %I AUTHORIZATION pd_platform', app);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', app, app || '_ro');
    EXECUTE format('CREATE FUNCTION %I.memory_version() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
                      SET search_path = pg_catalog, pg_temp AS
                      $f$SELECT memory_version FROM pocketlet.agent WHERE name = %L$f$', app, app);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %I.memory_version() TO %I', app, app || '_ro');
    EXECUTE format('CREATE VIEW %I.memory_version AS SELECT %I.memory_version() AS version', app, app);
    EXECUTE format('GRANT SELECT ON %I.memory_version TO %I', app, app || '_ro');
    EXECUTE format('ALTER ROLE %I SET search_path = %I, pg_temp', app || '_ro', app);
    EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', app || '_ro');
    EXECUTE format('ALTER ROLE %I SET statement_timeout = ''5s''', app || '_ro');
    EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''5s''', app || '_ro');
    EXECUTE format('ALTER ROLE %I SET work_mem = ''16MB''', app || '_ro');
    EXECUTE format('ALTER ROLE %I SET jit = off', app || '_ro');
    EXECUTE format('ALTER ROLE %I SET max_parallel_workers_per_gather = 0', app || '_ro');
  END LOOP;
END $make$
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """How many agents there are of each: `whole` ones, of which `busy` start a run each time, and all together."""

    agents: int
    whole: int
    busy: int


def schedules(seed: int) -> Iterator[str]:
    """60 % hourly at some minute, 25 % daily at some minute, 15 % every 15 minutes from some minute on, for ever."""
    dice = random.Random(seed)
    while True:
        kind, minute = dice.random(), dice.randrange(60)
        if kind < 0.60:
            yield f"{minute} * * * *"
        elif kind < 0.85:
            yield f"{minute} {dice.randrange(24)} * * *"
        else:
            yield ",".join(str(minute % 15 + step) for step in (0, 15, 30, 45)) + " * * * *"


async def made(database: pool.Database, kind: Kind, folder: Path, seed: int) -> None:
    """All of them."""
    times = schedules(seed)
    for number in range(kind.whole):
        busy = number < kind.busy
        folder.mkdir(exist_ok=True)
        name, model, when = f"whole{number}", "busy" if busy else "idle", BUSY if busy else IDLE
        text = MANIFEST.format(name=name, model=model, schedule=next(times), when=when)
        (folder / "agent.toml").write_text(text, encoding="utf-8")
        await portable.load(database, folder)
    for first in range(0, kind.agents - kind.whole, BATCH):
        names = [f"light{number}" for number in range(first, min(first + BATCH, kind.agents - kind.whole))]
        async with database.setup() as conn:
            await conn.execute(LOGINS.format(names=",".join(names)).encode())
        async with database.api() as conn:
            for name in names:
                await _rows(conn, name, MANIFEST.format(name=name, model="idle", schedule=next(times), when=LIGHT))


async def _rows(conn: pool.Conn, name: str, manifest: str) -> None:
    """As an import writes them: the agent's row, its revision, the decision on it, and its trigger."""
    agent = agents.Agent(await agents.begin(conn, name, "import"), name, "import", 0)
    n = await revisions.add(conn, agent, playbooks.Playbook(manifest, ""), revisions.Change("made by the bench"))
    await revisions.decide(conn, agent, n, "import")
