"""Past its review date a connection does nothing unasked but read."""

import pytest
from service import serving
from test_http_tool import MORE, PUT, acted, asks, connected

from pocketlet.agents import approving
from pocketlet.platform import connection_changes, connections

GET = connections.operation("GET /orders/{id}")
POST = connections.operation("POST /orders")


@pytest.mark.parametrize("what", ["connection", "connection_grant"])
async def test_past_its_review_date_only_reads_go_on(open_shop, what: str) -> None:
    shop = await open_shop(MORE)
    async with serving() as service:
        name = await connected(shop, service, GET, PUT)
        await shop.change(f"UPDATE pocketlet.{what} SET review_on = (pocketlet.now() AT TIME ZONE 'UTC')::date")
        _, state = await acted(shop, asks(name, "GET", "/orders/7"))
        assert (state, len(service.requests)) == ("done", 1)
        run, state = await acted(shop, asks(name, "PUT", "/orders/7", body={"a": 1}))
        assert (state, len(service.requests)) == ("waiting", 1)
        question = await shop.question(run)
        assert question["why"].startswith(f"A review of the connection {name} is due since ")
        assert question["why"].endswith(f"`pocketlet connect renew {name}` renews it.")
        assert await shop.answer(run) == "done"
        assert len(service.requests) == 2
        async with shop.database.api() as conn:
            await connection_changes.renew(conn, name)
        _, state = await acted(shop, asks(name, "PUT", "/orders/8", body={"a": 1}))
        assert (state, len(service.requests)) == ("done", 3)


async def test_a_standing_rule_does_not_outlive_the_review(open_shop) -> None:
    shop = await open_shop(MORE)
    async with serving() as service:
        name = await connected(shop, service, POST)
        run, _ = await acted(shop, asks(name, "POST", "/orders", body={"a": 1}))
        async with shop.database.api() as conn:
            await approving.allow(conn, (await shop.question(run))["approval"], per_day=5)
        assert await shop.answer(run) == "done"
        await shop.change("UPDATE pocketlet.connection SET review_on = '2026-01-01'")
        run, state = await acted(shop, asks(name, "POST", "/orders", body={"a": 2}))
        assert (state, (await shop.effect(run))["rule"]) == ("waiting", "review-due")
