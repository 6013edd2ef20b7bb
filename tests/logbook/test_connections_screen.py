"""Connections and secrets, by the API and by pages: what is shown, who may, and that no value comes out again."""

import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import Desk

import outside_service
from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.platform import audit, connection_changes, connections, egress, vault

VALUE, NEXT = "t-1-of-the-shop", "t-2-of-the-shop"
HELPER = 'name = "helper"\njob = "Looks orders up."\nmodel = "openai:none"\nprice = {input = 1.0, output = 2.0}\n'
KEY = {"idempotency-key": "test-1"}


@pytest.fixture(scope="module")
async def desk(expendable: Desk) -> Desk:
    """A desk of this module's own: what others leave on theirs would be seen here."""
    return expendable


@pytest.fixture
def service() -> Iterator[outside_service.Service]:
    with outside_service.Service().serving() as running:
        running.access |= {VALUE}
        yield running


@pytest.fixture
async def tidy(desk: Desk, tmp_path: Path) -> AsyncGenerator[Desk]:
    """The desk with an agent `helper`; what the test connected and sealed is taken away."""
    (tmp_path / "agent.toml").write_text(HELPER, encoding="utf-8")
    await portable.load(desk.database, tmp_path)
    yield desk
    async with desk.client() as client:
        await client.put("/v1/egress", json={"cut": False})
        for one in (await client.get("/v1/connections")).json()["items"]:
            assert (await client.delete(f"/v1/connections/{one['name']}")).status_code == 200
        for one in (await client.get("/v1/secrets")).json()["items"]:
            assert (await client.delete(f"/v1/secrets/{one['name']}")).status_code == 200
    await portable.remove(desk.database, "helper")


def wanted(service: outside_service.Service, **more: object) -> dict[str, Any]:
    given = {"name": "shop", "base_url": f"{service.url}/v1", "pinned": ["127.0.0.1"], "allow": ["GET /orders"]}
    return given | {"auth": "bearer", "per_day": 50} | more


async def test_from_a_form_to_a_call(tidy: Desk, service: outside_service.Service) -> None:
    async with tidy.client() as client:
        draft = (await client.post("/v1/connections/draft", json=wanted(service))).json()
        assert [one["path"] for one in draft["allow"]] == ["/orders"]
        assert draft["login"]["secrets"] == {"CONNECTION_SHOP_TOKEN": False}
        assert (await client.get("/v1/connections")).json()["items"] == []
        made = await client.post("/v1/connections", json=wanted(service))
        assert (made.status_code, made.json()["health"]) == (201, "lacks")
        granted = await client.put("/v1/connections/shop/grants/helper")
        assert granted.json()["agents"] == ["helper"]
        assert (await client.get("/v1/secrets")).json()["missing"] == ["CONNECTION_SHOP_TOKEN"]
        sealed = await client.put("/v1/secrets/CONNECTION_SHOP_TOKEN", json={"value": VALUE})
        assert sealed.json()["said"] == "CONNECTION_SHOP_TOKEN is sealed."
        [secret] = (await client.get("/v1/secrets")).json()["items"]
        assert (secret["agents"], secret["connections"]) == (["helper"], ["shop"])
        tested = (await client.post("/v1/connections/shop/test", json={}, headers=KEY)).json()
        assert (tested["ok"], [call["status"] for call in tested["calls"]]) == (True, [200])
        shown = (await client.get("/v1/connections/shop")).json()
        assert (shown["health"], shown["today"], shown["per_day"]) == ("unused", 1, 50)
        await client.put("/v1/secrets/CONNECTION_SHOP_TOKEN", json={"value": NEXT})
        rotated = await client.post("/v1/connections/shop/test", json={}, headers={"idempotency-key": "test-2"})
        assert rotated.json()["ok"] is False
        assert service.requests[-1][2] == f"Bearer {NEXT}"


async def test_a_document_is_a_draft(tidy: Desk, service: outside_service.Service) -> None:
    document = json.dumps(service.document())
    body = {"name": "shop", "document": document, "pinned": ["127.0.0.1"], "client_id": "us", "allow": ["POST /orders"]}
    body["base_url"] = service.url
    async with tidy.client() as client:
        draft = (await client.post("/v1/connections/draft", json=body)).json()
        assert draft["login"]["kind"] == "oauth2-client"
        assert {one["method"] for one in draft["allow"]} == {"GET", "POST"}
        bare: dict[str, object] = {"document": "", "base_url": "http://example.com", "pinned": []}
        for bad in ({"document": "{"}, bare, {"name": "No"}):
            answer = await client.post("/v1/connections/draft", json=body | bad)
            assert answer.status_code == 422, bad


async def test_operations_switch_and_review(tidy: Desk, service: outside_service.Service) -> None:
    async with tidy.client() as client:
        await client.post("/v1/connections", json=wanted(service, auth="none"))
        place = "/v1/connections/shop"
        more = await client.post(f"{place}/allow", json={"operation": "POST  /orders", "effect": "keyed"})
        assert more.json()["allow"][1]["key_header"] == "Idempotency-Key"
        gone = await client.post(f"{place}/disallow", json={"operation": "POST /orders"})
        assert [one["path"] for one in gone.json()["allow"]] == ["/orders"]
        assert (await client.put(f"{place}/switch", json={"off": True})).json()["health"] == "off"
        refused = await client.post(f"{place}/test", json={"path": "/orders"}, headers={"idempotency-key": "off"})
        assert refused.status_code == 403
        assert (await client.put(f"{place}/switch", json={"off": False})).json()["off"] is False
        assert (await client.post(f"{place}/renew")).status_code == 200
        assert (
            await client.post(f"{place}/test", json={"path": "/x"}, headers={"idempotency-key": "x"})
        ).status_code == 403
        assert (await client.get(f"{place}/uses")).json() == {"items": [], "next": None}
        assert (await client.get("/v1/connections/none")).status_code == 404


async def test_who_used_it_when(tidy: Desk, service: outside_service.Service) -> None:
    async with tidy.client() as client, tidy.client("second") as other:
        await client.post("/v1/connections", json=wanted(service, auth="none"))
        await client.put("/v1/connections/shop/grants/helper")
        run = tidy.run_of("attack")
        async with tidy.database.api() as conn:
            mine, theirs = await agents.get(conn, "helper"), await agents.get(conn, "foreign")
            for number, verdict in ((mine.id, "allow"), (mine.id, "deny"), (theirs.id, "allow")):
                where = f"shop ({service.url}/v1): GET /orders"
                entry = audit.Entry("gate", "effect.decide", where, number, run_id=run, step_seq=1, verdict=verdict)
                await audit.write(conn, entry)
        page = (await client.get("/v1/connections/shop/uses?limit=1")).json()
        assert [(use["verdict"], use["call"], use["agent"]) for use in page["items"]] == [
            ("deny", "GET /orders", "helper")
        ]
        rest = (await client.get(f"/v1/connections/shop/uses?cursor={page['next']}")).json()
        assert [use["verdict"] for use in rest["items"]] == ["allow"]
        assert (await other.get("/v1/connections/shop/uses")).status_code == 404
        assert (await client.get("/v1/agents/helper/connections")).json()["items"][0]["last"]["verdict"] == "deny"


async def test_who_does_not_keep_the_installation_sees_names_alone(
    tidy: Desk, service: outside_service.Service
) -> None:
    async with tidy.client() as client, tidy.client("second") as other, await tidy.browser("second") as browser:
        await client.post("/v1/connections", json=wanted(service))
        async with tidy.database.api() as conn:
            await connection_changes.grant(conn, "shop", "foreign")
            await conn.execute(b"""UPDATE pocketlet.connection SET headers = '{"X-Key": "k-1-of-the-shop"}'""")
        whole = (await client.get("/v1/connections/shop")).json()
        names = (await other.get("/v1/connections/shop")).json()
        listed = (await other.get("/v1/agents/foreign/connections")).json()["items"]
        page = (await browser.get("/agents/foreign/connections/shop")).text
    assert (whole["headers"], whole["pinned"]) == ({"X-Key": "k-1-of-the-shop"}, ["127.0.0.1"])
    assert (names["headers"], names["pinned"], names["login"]["secrets"]) == ({"X-Key": ""}, [], {})
    assert listed == [names]
    assert "What it allows" in page
    assert "Pinned to" not in page


async def test_another_owner_sees_and_changes_nothing(tidy: Desk, service: outside_service.Service) -> None:
    async with tidy.client() as client, tidy.client("second") as other:
        await client.post("/v1/connections", json=wanted(service))
        await client.put("/v1/secrets/CONNECTION_SHOP_TOKEN", json={"value": VALUE})
        await client.put("/v1/connections/shop/grants/helper")
        assert (await other.get("/v1/connections")).json()["items"] == []
        hidden, nothing = await other.get("/v1/connections/shop"), await other.get("/v1/connections/none")
        assert hidden.status_code == nothing.status_code == 404
        assert hidden.text.replace("shop", "none") == nothing.text
        assert (await other.get("/v1/agents/helper/connections")).status_code == 404
        keyed = {"idempotency-key": "second"}
        for method, path, body in (
            ("GET", "secrets", None), ("PUT", "secrets/CONNECTION_SHOP_TOKEN", {"value": NEXT}),
            ("DELETE", "secrets/CONNECTION_SHOP_TOKEN", None), ("POST", "connections", wanted(service, name="own")),
            ("POST", "connections/draft", wanted(service)), ("DELETE", "connections/shop", None),
            ("POST", "connections/shop/test", {}), ("PUT", "connections/shop/switch", {"off": True}),
            ("POST", "connections/shop/allow", {"operation": "GET /x"}), ("PUT", "egress", {"cut": True}),
            ("PUT", "connections/shop/grants/foreign", None), ("POST", "connections/shop/renew", None),
        ):  # fmt: skip
            answer = await other.request(method, f"/v1/{path}", json=body, headers=keyed if method == "POST" else {})
            assert answer.status_code == 403, (method, path)
            keyed = {"idempotency-key": f"second-{path}"}
        assert (await other.delete("/v1/connections/shop/grants/helper")).status_code == 404
        assert (await client.put("/v1/connections/shop/grants/foreign")).status_code == 404
        kept = await service_token(tidy)
        assert kept == VALUE
        async with tidy.database.api() as conn:
            found = await connections.get(conn, "shop")
            await connection_changes.grant(conn, found.name, "foreign")  # as the keeper does with a command
        [seen] = (await other.get("/v1/connections")).json()["items"]
        assert (seen["agents"], seen["others"], seen["login"]["secrets"]) == (["foreign"], 1, {})
        assert "helper" not in json.dumps(seen)
        assert (await client.get("/v1/connections/shop")).json()["agents"] == ["helper"]
        assert (await other.delete("/v1/connections/shop/grants/foreign")).status_code == 200


async def service_token(desk: Desk) -> str:
    async with desk.database.api() as conn:
        return (await vault.opened(conn, vault.key(desk.config.home)))["CONNECTION_SHOP_TOKEN"]


async def test_all_egress_is_cut_and_comes_back(tidy: Desk, service: outside_service.Service) -> None:
    async with tidy.client() as client:
        await client.post("/v1/connections", json=wanted(service, auth="none"))
        assert (await client.put("/v1/egress", json={"cut": True})).json() == {"cut": True}
        found = (await client.get("/v1/connections")).json()
        assert (found["items"][0]["health"], bool(found["cut"])) == ("cut", True)
        refused = await client.post("/v1/connections/shop/test", json={}, headers={"idempotency-key": "cut"})
        assert refused.status_code == 403
        assert service.requests == []
        async with tidy.database.api() as conn:
            with pytest.raises(errors.Refused, match="cut off"):
                await egress.check(conn)
            rows = await (await conn.execute(b"SELECT action FROM pocketlet.audit ORDER BY id DESC LIMIT 1")).fetchall()
        assert rows == [{"action": "egress.cut"}]
        await client.put("/v1/egress", json={"cut": True})
        await client.put("/v1/egress", json={"cut": False})
        async with tidy.database.api() as conn:
            await egress.check(conn)


async def test_no_value_comes_out_again(
    tidy: Desk, service: outside_service.Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    said: list[str] = []
    async with tidy.client() as client, await tidy.browser() as browser:
        await client.post("/v1/connections", json=wanted(service))
        await client.put("/v1/connections/shop/grants/helper")
        place = "/agents/helper/connections"
        form = {"name": "CONNECTION_SHOP_TOKEN", "value": VALUE, "back": "shop"}
        sealed = await browser.post("/agents/helper/secrets", data=form)
        assert sealed.headers["location"] == f"{place}/shop"
        for bad in ({"name": "no name"}, {"value": VALUE[:7]}, {"value": VALUE * 9_000}):
            said.append((await browser.post("/agents/helper/secrets", data=form | bad)).text)
        for bad_body in ({"value": VALUE, "x": 1}, {"value": [VALUE]}, [VALUE]):
            answer = await client.put("/v1/secrets/CONNECTION_SHOP_TOKEN", json=bad_body)
            assert answer.status_code == 422
            said.append(answer.text)
        tested = await browser.post(f"{place}/shop/test", data={"key": "a"})
        said += [sealed.text, *map(str, sealed.headers.multi_items()), *map(str, tested.headers.multi_items())]
        for path in (place, f"{place}/shop", "/v1/connections", "/v1/connections/shop", "/v1/secrets", "/v1/agents"):
            said.append((await (browser if path.startswith("/agents") else client).get(path)).text)
    async with tidy.database.api() as conn:
        query = b"SELECT details::text AS text FROM pocketlet.audit UNION ALL SELECT body FROM pocketlet.answered"
        said += [row["text"] or "" for row in await (await conn.execute(query)).fetchall()]
    assert service.requests[-1][2] == f"Bearer {VALUE}"
    assert all(VALUE[:7] not in text for text in [*said, caplog.text])


async def test_the_pages_add_use_and_take_away(tidy: Desk, service: outside_service.Service) -> None:
    form = {"key": "n1", "name": "shop", "base_url": f"{service.url}/v1", "pinned": "127.0.0.1\n", "auth": "none"}
    form["allow"] = "GET /orders\nPOST /orders"
    async with await tidy.browser() as browser:
        place = "/agents/helper/connections"
        assert "may ask no service yet" in (await browser.get(place)).text
        looked = await browser.post("/agents/helper/connect", data=form)
        assert looked.status_code == 200
        assert "POST /orders" in looked.text
        assert "This is what would be made" in looked.text
        wrong = await browser.post("/agents/helper/connect", data=form | {"allow": "FETCH /x"})
        assert wrong.status_code == 422
        assert "is no operation" in wrong.text
        added = await browser.post("/agents/helper/connect", data=form | {"do": "add"})
        assert added.headers["location"] == f"{place}/shop"
        shown = await browser.get(f"{place}/shop")
        assert "can&#39;t be taken back" in shown.text
        listed = await browser.get(place)
        assert "does not name the tool" in listed.text
        line, none = {"operation": "GET /more"}, dict[str, str]()
        steps = (("off", none), ("on", none), ("renew", none), ("allow", line), ("test", none), ("disallow", line))
        for number, (act, more) in enumerate((*steps, ("revoke", none), ("grant", none))):
            done = await browser.post(f"{place}/shop/{act}", data={"key": f"s{number}"} | more)
            assert done.status_code == 303, act
        assert (await browser.post(f"{place}/shop/nothing", data={"key": "s"})).status_code == 404
        assert (await browser.post(f"{place}/shop/remove", data={"key": "r", "typed": "shopp"})).status_code == 422
        gone = await browser.post(f"{place}/shop/remove", data={"key": "r", "typed": "shop"})
        assert gone.headers["location"] == place
        cut = await browser.post("/agents/helper/egress", data={"cut": "yes"})
        assert cut.status_code == 303
        assert "All egress is cut" in (await browser.get(place)).text
        await browser.post("/agents/helper/egress", data={"cut": "no"})
        assert "All egress is cut" not in (await browser.get(place)).text


async def test_pages_of_another_owner(tidy: Desk, service: outside_service.Service) -> None:
    async with tidy.client() as client, await tidy.browser("second") as browser:
        await client.post("/v1/connections", json=wanted(service))
        own = await browser.get("/agents/foreign/connections")
        assert own.status_code == 200
        assert "Secrets" not in own.text
        assert "Cut all egress" not in own.text
        assert (await browser.get("/agents/helper/connections")).status_code == 404
        assert (await browser.get("/agents/foreign/connections/shop")).status_code == 404
        assert (await browser.get("/agents/foreign/connect")).status_code == 403
        sealed = {"name": "CONNECTION_SHOP_TOKEN", "value": NEXT}
        assert (await browser.post("/agents/foreign/secrets", data=sealed)).status_code == 403
        assert (await browser.post("/agents/foreign/egress", data={"cut": "yes"})).status_code == 403
        assert (await browser.post("/agents/foreign/connections/shop/off", data={"key": "x"})).status_code == 403
