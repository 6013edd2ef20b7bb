"""Two owners and every route there is: what is another's can't be told from what is not there, and stays as it is."""

import hashlib
import re
import string
from collections.abc import Iterator
from typing import Any

import httpx2
import instances
import pytest
from desks import Desk

from pocketlet.surfaces.api import document, endpoint, table
from pocketlet.surfaces.web import screens

#: Something of the first owner's for each name that stands in a path, and the query that finds it.
FOUND = {
    "agent": "SELECT 'crm'",
    "run": "SELECT max(id)::text FROM pocketlet.run",
    "feedback": "SELECT max(id)::text FROM pocketlet.feedback",
    "case": "SELECT max(id)::text FROM pocketlet.cases",
    "approval": "SELECT coalesce(max(id), 1)::text FROM pocketlet.approval",
    "slot": "SELECT coalesce(max(id), 1)::text FROM pocketlet.slot",
    "reply": "SELECT coalesce(max(id), 1)::text FROM pocketlet.incoming",
    "notice": "SELECT coalesce(max(id), 1)::text FROM pocketlet.notice",
    "revision": "SELECT '1'",
    "n": "SELECT '1'",
    "a": "SELECT '1'",
    "b": "SELECT '2'",
    "seq": "SELECT '1'",
    "step": "SELECT '1'",
    "memory": "SELECT coalesce(max(id), 1)::text FROM crm.memories",
    "table": "SELECT 'sales'",
    "name": "SELECT 'mail'",
    "trigger": "SELECT 'mail'",
    "skill": "SELECT 'shipping'",
    "connection": "SELECT 'mail'",
    "secret": "SELECT 'POCKETLET_SMTP_URL'",
    "server": "SELECT 'files'",
    "channel": "SELECT 'mail'",
    "query": "SELECT '1'",
    "filter": "SELECT '1'",
    "rule": "SELECT '1'",
    "token": "SELECT '1'",
    "id": "SELECT '1'",
    "word": "SELECT 'x'",
    "act": "SELECT 'test'",
}
OWN = re.compile(r"\b(crm|sales|shop\.example)\b")
WATCHED = ("agent", "run", "revision", "decision", "feedback", "effect", "approval", "secret", "secret_grant", "slot")
WATCHED += ("cases", "trial", "mcp_server", "mcp_grant", "channel")


def names(path: str) -> list[str]:
    """The parameters of a path."""
    return [name.partition(":")[0] for _, name, _, _ in string.Formatter().parse(path) if name]


@pytest.fixture(scope="module")
async def found(desk: Desk) -> dict[str, str]:
    """A value for each parameter: one that exists, and is the first owner's."""
    values: dict[str, str] = {}
    async with desk.database.setup() as conn:
        for name, query in FOUND.items():
            row = await (await conn.execute(f"SELECT ({query}) AS value".encode())).fetchone()
            values[name] = row["value"] if row else "1"
    return values


async def state(desk: Desk) -> dict[str, str]:
    """A hash of all rows that somebody could have changed."""
    hashes: dict[str, str] = {}
    async with desk.database.setup() as conn:
        for name in WATCHED:
            row = await (
                await conn.execute(
                    f"SELECT string_agg(t::text, '|' ORDER BY t::text) AS all FROM pocketlet.{name} t".encode()
                )
            ).fetchone()
            hashes[name] = hashlib.sha256(str(row and row["all"]).encode()).hexdigest()
    return hashes


def asked(one: endpoint.Endpoint, values: dict[str, str]) -> dict[str, Any]:
    """A request that the endpoint takes."""
    described = document.made()
    defined = described["components"]["schemas"]
    operation = described["paths"][endpoint.PREFIX + one.path][one.method.lower()]
    given: dict[str, Any] = {"method": one.method, "url": endpoint.PREFIX + one.path.format(**values), "headers": {}}
    if one.body_model:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        given["json"] = instances.smallest(schema, defined)
    if one.keyed:
        given["headers"]["idempotency-key"] = one.name
    return given


def owned() -> Iterator[endpoint.Endpoint]:
    """Endpoints that something of an agent's is asked of."""
    return (one for one in table.ENDPOINTS if names(one.path))


def test_every_parameter_has_a_value_here() -> None:
    paths = [one.path for one in table.ENDPOINTS] + [one.path for one in screens.SCREENS]
    assert not {name for path in paths for name in names(path)} - FOUND.keys()


@pytest.mark.parametrize("one", list(owned()), ids=lambda one: f"{one.method} {one.path}")
async def test_another_owners_thing_is_not_there(desk: Desk, found: dict[str, str], one: endpoint.Endpoint) -> None:
    before = await state(desk)
    async with desk.client("second") as second:
        answer = await second.request(**asked(one, found))
    assert answer.status_code in (403, 404), answer.text
    assert not OWN.search(answer.text.replace("'crm'", "")), answer.text
    assert await state(desk) == before


@pytest.mark.parametrize("one", [one for one in table.ENDPOINTS if not names(one.path)], ids=lambda one: one.path)
async def test_no_list_holds_what_is_anothers(desk: Desk, one: endpoint.Endpoint) -> None:
    if one.method != "GET" or one.streams:
        return
    async with desk.client("second") as second:
        answer = await second.get(endpoint.PREFIX + one.path)
    assert answer.status_code in (200, 403, 404, 422), answer.text  # some have to be told what to look for
    assert not OWN.search(answer.text), answer.text


@pytest.mark.parametrize("one", list(screens.SCREENS), ids=lambda one: f"{one.method} {one.path}")
async def test_no_page_shows_or_changes_what_is_anothers(desk: Desk, found: dict[str, str], one: Any) -> None:
    before = await state(desk)
    async with await desk.browser("second") as second:
        answer = await second.request(one.method, one.path.format(**found), **_form(one.method))
    wanted = (404, 403, 422) if names(one.path) else (200, 303, 403, 404, 409, 422)
    assert answer.status_code in wanted, answer.text[:2000]
    assert not OWN.search(_without_what_was_asked(answer)), answer.text
    assert await state(desk) == before


def _form(method: str) -> dict[str, Any]:
    return {"data": {"agent": "crm", "word": "approve", "revision": "1"}} if method == "POST" else {}


def _without_what_was_asked(answer: httpx2.Response) -> str:
    """An address that was asked for may stand in the answer."""
    return answer.text.replace("&#39;crm&#39;", "").replace("'crm'", "")
