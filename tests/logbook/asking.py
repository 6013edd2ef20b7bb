"""Runs that wait for the owner's word, made by the product's own path and without a model."""

import itertools
from email.message import EmailMessage
from pathlib import Path

from pocketlet.agents import agent as agents
from pocketlet.agents import effects, mailing, portable, revisions, runs, standing
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.policy import calls

CUSTOMER = "maya@customer.example"
MANIFEST = """
name = "{name}"
job = "Answer mail."
model = "openai:none"
price = {{input = 1.0, output = 2.0}}

[mail]
address = "shop@shop.example"
"""
_numbers = itertools.count(1)


async def hire(database: pool.Database, folder: Path, name: str, more: str = "") -> agents.Agent:
    """An agent that belongs to the first owner. `more`: further lines of agent.toml."""
    (folder / "agent.toml").write_text(MANIFEST.format(name=name) + more, encoding="utf-8")
    return await portable.load(database, folder)


async def ask(
    database: pool.Database, agent: agents.Agent, body: str = "It is on its way.\n", to: str = CUSTOMER
) -> int:
    """A run on a customer's mail that waits for the word on its answer; the approval's number."""
    mail = mailing.Mail(to, "Re: order 8841", body)
    return await _wait(database, agent, lambda sender, run: sender.intent(run, 2, mail))


async def ask_to_call(database: pool.Database, agent: agents.Agent, body: str = '{"status":"sent"}') -> int:
    """A run that waits for the word on a request to a service; the approval's number."""
    asked = {"method": "POST", "path": "/orders/7", "query": [["notify", "yes"]], "body": body}
    asked |= {"type": "application/json", "connection": "shop", "base": "https://api.shop.example"}
    where = "shop (https://api.shop.example): POST /orders/{id}"
    call = calls.Call(calls.Sink("http", "irreversible"), (calls.Destination("http", where),))
    message = pool.canonical(asked).encode()
    intent = effects.Intent("http", "unsafe", call, where, asked, message)
    return await _wait(database, agent, lambda *_: intent, bound=calls.Destination("http", where))


async def _wait(database: pool.Database, agent: agents.Agent, intends, bound=None) -> int:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = f"Maya <{CUSTOMER}>", "shop@shop.example", "order 8841"
    letter["Message-ID"] = f"<ask-{next(_numbers)}@customer.example>"
    letter.set_content("Where is my parcel?")
    async with database.api() as conn:
        playbook = await revisions.load(conn, agent, agent.current)
        task = tasks.read(letter.as_bytes())
        number = await runs.create(conn, agent, task, letter.as_bytes(), playbook.manifest)
    async with database.api() as conn:
        run = await runs.claim(conn, number, None)
        assert run
        sender = mailing.Sender(agent, playbook.manifest, task, None, "test")
        known = await standing.of_run(conn, run, sender, playbook)
        if bound:
            known = calls.Standing(known.integrity, bound=known.bound | {bound})
        effect = await effects.plan(conn, run, 2, intends(sender, run), known)
        assert effect.waits, effect
        await runs.rest(conn, run, "waiting")
        rows = await conn.execute(b"SELECT id FROM pocketlet.approval WHERE effect_id = %s", (effect.id,))
        return (await rows.fetchall())[0]["id"]
