"""Things that the crm story leaves out, so that every screen has something to show: what waits, memories, a service."""

import json
import sys
from pathlib import Path
from urllib.parse import quote

import household
import httpx2

from pocketlet import settings
from pocketlet.platform import database

SERVER = [sys.executable, str(Path(__file__).parents[1] / "platform" / "mcp_program.py")]
TOOLS = {"tools": [{"name": "echo", "description": "Says it.", "inputSchema": {"type": "object"}}]}
AWAY = "https://example.com/orders?from=pocketlet&mail=ada%40example.org"  # a link that a mail could hold
#: What a model would keep of a mail that attacks whoever reads it.
HOSTILE = '<img src=x onerror="window.__pwned=20"> [x](javascript:window.__pwned=21) <b hx-get="/" hx-trigger="load">'
KEPT = b"""
INSERT INTO crm.memories (subject, body, entity, integrity, author, origin_run, origin_step, v_from)
SELECT %(subject)s, %(body)s, %(entity)s, %(integrity)s, %(author)s, %(run)s, 3, memory_version
  FROM pocketlet.agent WHERE name = 'crm'
"""
SENDER = b"SELECT input->>'sender' AS sender FROM pocketlet.run WHERE id = %(run)s"
COUNTED = b"UPDATE pocketlet.agent SET memory_version = memory_version + 1 WHERE name = 'crm'"


async def furnish(house: household.House) -> list[str]:
    """Puts all of it there, by the doors that there are; memories are written by hand.

    Addresses to look at first: runs with much in them, and where forms led to, for no page links there afterwards.
    """
    for name in ("known", "new"):
        house.command("run", "crm", "--input", next((house.home / "demo" / "mails").glob(f"*{name}*")))
    connection = ["--base-url", "https://api.example.com/v1", "--allow", "GET /orders/{id}", "--auth", "none", "--yes"]
    house.command("connect", "add", "shop", *connection)
    house.command("connect", "grant", "shop", "crm")
    sender = await _memories(house)
    async with httpx2.AsyncClient(base_url=f"{house.url}/v1", timeout=30) as api:
        await _outside(api, house.home / "tools.json")
        rows = (await api.get("/agents/crm/forgetting", params={"sender": sender})).json()["rows"]
        told = await api.post("/agents/crm/forgetting", json={"sender": sender, "rows": rows})
        assert told.status_code == 200, told.text
    shown = [f"/runs/{house.run_of(step)}" for step in ("attack", "known-customer")]
    return [*shown, f"/agents/crm/memory/forget/{told.json()['feedback']}", f"/leave?to={quote(AWAY, safe='')}"]


async def _outside(api: httpx2.AsyncClient, world: Path) -> None:
    """An MCP server that was asked for its tools, and a channel on which nothing is told by itself."""
    world.write_text(json.dumps(TOOLS), encoding="utf-8")
    quiet = {"quiet": "00:00-23:59", "zone": "UTC"}
    for path, body in (
        ("mcp", {"name": "notes", "command": [*SERVER, str(world)]}),
        ("mcp/notes/review", {}),
        ("channels", {"kind": "mail", "address": "you@example.com", "about": ["results"], **quiet}),
        ("channels/mail/test", None),
    ):
        told = await api.post(f"/{path}", json=body, headers={"idempotency-key": path})
        assert told.status_code in (200, 201), told.text


async def _memories(house: household.House) -> str:
    """A sender of whom one is kept, beside others."""
    attack, known, new = (house.run_of(step) for step in ("attack", "known-customer", "new-customer"))
    told = [
        {"subject": "Ada likes short letters", "body": "She said so.", "entity": "ada@example.org", "run": known},
        {"subject": HOSTILE, "body": HOSTILE, "entity": "x", "run": attack, "integrity": "outside"},
        {"subject": "Wants to hear of lamps", "body": "", "entity": None, "run": new, "integrity": "outside"},
    ]
    async with database.opened(settings.read({"POCKETLET_HOME": str(house.home)})) as opened, opened.api() as conn:
        for one in told:
            await conn.execute(COUNTED)
            await conn.execute(KEPT, {"integrity": "owner", "author": "run", **one})
        found = await conn.execute(SENDER, {"run": new})
        return (await found.fetchone() or {})["sender"]
