"""A mistake of ours is a 500 that says so, and one entry in the log, without what was asked."""

import httpx2
import pytest
from desks import Desk

from pocketlet.platform.gateways import listener
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, table
from pocketlet.surfaces.web import app as web


async def mistaken(caller: callers.Caller, name: str, *, word: str = "") -> endpoint.Done:
    """Breaks."""
    try:
        return endpoint.Done(said={}[name])
    except KeyError as error:
        raise ZeroDivisionError(f"{caller.owner.name} {name} {word}") from error


async def test_the_log_says_where_once_and_not_what(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = endpoint.Endpoint("GET", "/mistakes/{name}", "read", mistaken)
    monkeypatch.setattr(table, "ENDPOINTS", (*table.ENDPOINTS, wrong))
    async with listener.listening(0, lambda port: web.made(desk.database, desk.config, port)) as port:
        fields = {"authorization": f"Bearer {desk.tokens['owner']}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=fields) as program:
            caplog.clear()
            told = await program.get("/v1/mistakes/very-secret-path?word=very-secret-query")
            page = await program.get("/v1/mistakes/very-secret-path", headers={"accept": "text/html"})
    assert (told.status_code, told.json()["code"]) == (500, "broken")
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "very-secret" not in told.text + page.text + caplog.text
    first, _ = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert first.startswith("500 at GET /v1/mistakes/{name}\n")
    assert "in mistaken" in first
    assert first.index("KeyError") < first.index("ZeroDivisionError")
