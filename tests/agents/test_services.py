"""Services of a user's kind, each speaking its real protocol, in one run: HTTP with OAuth2, MCP, a webhook, mail."""

import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from scripted_model import calls, finishes
from service import Service, serving
from workshop import CUSTOMER, Workshop

from pocketlet.platform import connection_changes, connections, mcp_review, mcp_servers, openapi, vault

sys.path.insert(0, str(Path(__file__).parents[1]))
import outside_service

SERVER = Path(sys.prefix) / "mcp" / "node_modules" / ".bin" / "mcp-server-filesystem"
MORE = 'tools = ["sql", "send_mail", "http"]'


@pytest.fixture
def shop_service() -> Iterator[outside_service.Service]:
    with outside_service.Service().serving() as found:
        yield found


@pytest.fixture
async def hook() -> AsyncGenerator[Service]:
    async with serving() as found:
        yield found


async def connect(shop: Workshop, service: outside_service.Service, hook: Service) -> None:
    """The owner's part: an API by its OpenAPI document, and the webhook of somebody else."""
    key = vault.key(shop.engine.home)
    wanted = openapi.Wanted(
        "orders", source=f"{service.url}/openapi.json", client_id=outside_service.CLIENT_ID, pinned=("127.0.0.1",)
    )
    draft = openapi.draft(json.dumps(service.document()).encode(), wanted)
    secret = draft.auth.client.secret if draft.auth.client else ""
    notify = connections.operation("POST /hook", "keyed")
    async with shop.database.api() as conn:
        await connection_changes.add(conn, key, draft)
        await vault.put(conn, key, secret, outside_service.CLIENT_SECRET)
        await connection_changes.add(
            conn, key, connections.Draft("hook", hook.url, allow=(notify,), pinned=("127.0.0.1",))
        )
        for name in ("orders", "hook"):
            await connection_changes.grant(conn, name, shop.name)


async def files(shop: Workshop, folder: Path) -> None:
    """A reviewed MCP server for one folder."""
    node = shutil.which("node") or "node"
    async with shop.database.api() as conn:
        await mcp_servers.add(conn, mcp_servers.Draft("files", (node, str(SERVER.resolve()), str(folder))))
        await mcp_servers.grant(conn, "files", shop.agent.id)
    await mcp_review.review(shop.database, "files", {}, mcp_review.Wish({}))
    wish = mcp_review.Wish({"read_text_file": ("on", "read")})
    await mcp_review.review(shop.database, "files", {}, wish)


@pytest.mark.skipif(not SERVER.exists() and not os.environ.get("CI"), reason="the filesystem server is not installed")
async def test_one_run_uses_them_all(
    open_shop, shop_service: outside_service.Service, hook: Service, tmp_path: Path
) -> None:
    shop = await open_shop(MORE)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "terms.txt").write_text("Returned within 30 days.")
    await connect(shop, shop_service, hook)
    await files(shop, tmp_path / "files")
    order = ("http", {"connection": "orders", "method": "GET", "path": "/orders/7"})
    shop.says(
        calls(order),
        calls(("files__read_text_file", {"path": str(tmp_path / "files" / "terms.txt")})),
        calls(order),  # by now the token is no longer good
        calls(("http", {"connection": "hook", "method": "POST", "path": "/hook", "body": {"order": 7}})),
        calls(("send_mail", {"to": CUSTOMER, "subject": "Order 7", "body": "It is on its way."})),
        finishes(),
    )
    terms = tmp_path / "files" / "terms.txt"
    run = await shop.run(f"Tell Ann and the warehouse of order 7, by the terms in {terms}.".encode())
    shop_service.access.clear()
    assert await shop.answer(run) == "waiting"  # the webhook was asked, then the mail is
    assert await shop.answer(run) == "done"

    told = [step.response or step.error for step in await shop.steps(run) if step.kind == "tool"]
    assert '"path":"/v1/orders/7"' in told[0].replace(" ", "")
    assert "Returned within 30 days." in told[1]
    assert told[2].startswith("HTTP 200")
    assert told[3].startswith("HTTP 200")
    assert hook.requests[0][2]["idempotency-key"].startswith("pocketlet-test-")
    assert len(shop.mail.taken()) == 1
    seen = json.dumps(shop.model.requests[shop.name])
    assert not [token for token in (*shop_service.access, outside_service.CLIENT_SECRET) if token in seen]
