"""An agent that remembers four things: of a stranger, of its data, of its owner, and its own guess."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desks import Desk

from pocketlet.agents import portable
from pocketlet.db import pool

NUMBERS = itertools.count(1)
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>'
SENDER = "ann@customer.example"
MANIFEST = """
name = "{name}"
job = "Remember."
model = "openai:none"
price = {{input = 1.0, output = 2.0}}
"""
SCHEMA = """
create table orders (no text primary key, who text not null, "rate%" integer);
comment on table orders is 'what was ordered';
comment on column orders.no is 'as on the bill';
insert into orders select 'A-' || lpad(n::text, 3, '0'), 'ann', n from generate_series(1, 7) n;
create table loose (word text);
insert into loose values ('one'), ('two');
"""


async def remember(conn: pool.Conn, name: str, subject: str, **more: Any) -> int:
    """A memory as a run would keep it; its number."""
    row = {"body": "", "entity": None, "integrity": "owner", "author": "run", "run": None, "name": name} | more
    run = None
    if row["run"]:
        made = await conn.execute(
            "INSERT INTO pocketlet.run (agent_id, kind, revision, state, input, label)"
            " SELECT id, 'run', current, 'done', jsonb_build_object('sender', %(run)s::text), 'outside'"
            " FROM pocketlet.agent WHERE name = %(name)s RETURNING id",
            row,
        )
        run = (await made.fetchone() or {})["id"]
    await conn.execute("UPDATE pocketlet.agent SET memory_version = memory_version + 1 WHERE name = %(name)s", row)
    made = await conn.execute(
        f"INSERT INTO {name}.memories (subject, body, entity, integrity, author, origin_run, origin_step, v_from)"
        " SELECT %(subject)s, %(body)s, %(entity)s, %(integrity)s, %(author)s, %(run_id)s, 3, memory_version"
        " FROM pocketlet.agent WHERE name = %(name)s RETURNING id",
        row | {"subject": subject, "run_id": run},
    )
    return int((await made.fetchone() or {})["id"])


@dataclass(frozen=True)
class Kept:
    """An agent with four memories, by number."""

    name: str
    hostile: int
    about: int
    own: int
    model: int

    @property
    def api(self) -> str:
        return f"/v1/agents/{self.name}"

    @property
    def page(self) -> str:
        return f"/agents/{self.name}/memory"


async def keep(desk: Desk, folder: Path) -> Kept:
    name = f"kept{next(NUMBERS)}"
    (folder / "schema").mkdir()
    (folder / "agent.toml").write_text(MANIFEST.format(name=name), encoding="utf-8")
    (folder / "schema" / "01.sql").write_text(SCHEMA, encoding="utf-8")
    await portable.load(desk.database, folder)
    async with desk.database.api() as conn:
        hostile = await remember(conn, name, HOSTILE, body="=1+1\u202e", integrity="outside", run=SENDER)
        about = await remember(conn, name, "Ann is patient", entity=SENDER.upper(), author="import")
        own = await remember(conn, name, "We ship on Fridays", author="owner")
        model = await remember(conn, name, "A guess", integrity="own-data", run="bob@customer.example")
    return Kept(name, hostile, about, own, model)
