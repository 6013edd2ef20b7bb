"""A login that is dead is told of once, before the schedule falls due, and not with each run that fails of it."""

from collections.abc import Awaitable, Callable

import pytest
from workshop import Workshop

from pocketlet import clock
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import health
from pocketlet.platform import connection_changes, connections, notices, vault
from pocketlet.platform.gateways import submission

SOON = "UPDATE pocketlet.trigger SET next_at = pocketlet.now() + interval '4 minutes' WHERE agent_id = %s RETURNING id"
LATER = "UPDATE pocketlet.trigger SET next_at = pocketlet.now() + interval '6 minutes' WHERE agent_id = %s RETURNING id"
SCHEDULE = '[triggers.daily]\nschedule = "every day at 9"\ntask = "Write it."'


async def told(shop: Workshop) -> dict[str, str]:
    """Open notices: the problem and what is said."""
    async with shop.database.api() as conn:
        rows = await notices.standing(conn)
    return {row["problem"]: row["title"] for row in rows if row["problem"].startswith(("connection:", "mail-server"))}


async def connect(shop: Workshop, name: str, secret: str) -> None:
    """A connection of the agent that needs a secret."""
    auth = connections.Auth("bearer", (connections.Place("bearer", secret),))
    draft = connections.Draft(name, "https://api.example.com", auth, allow=(connections.operation("GET /x"),))
    async with shop.database.api() as conn:
        await connection_changes.add(conn, vault.key(shop.engine.home), draft)
        await connection_changes.grant(conn, name, shop.name)


async def test_what_does_not_let_us_in_is_one_notice_until_it_does(
    open_shop: Callable[..., Awaitable[Workshop]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(SCHEDULE)
    name = f"{shop.name}-api"
    await connect(shop, name, f"{connections.prefix(name)}TOKEN")
    server = submission.read("smtp://user:wrong@127.0.0.1:9")

    async def now() -> submission.Submission | None:
        return server

    def probe() -> health.Probe:
        return health.Probe(shop.engine.home, now)

    await shop.row(LATER, shop.agent.id)
    await probe().probe(shop.database)
    assert await told(shop) == {}

    await shop.row(SOON, shop.agent.id)
    looking = probe()
    for _ in range(3):
        await looking.probe(shop.database)
    found = await told(shop)
    assert set(found) == {f"connection:{name}", "mail-server"}
    assert found[f"connection:{name}"].startswith(f"Reconnect {name}: There is no secret")

    async with shop.database.api() as conn:
        key = f"{connections.prefix(name)}TOKEN"
        await vault.put(conn, vault.key(shop.engine.home), key, "good")
        await vault.grant(conn, key, shop.agent.id)
    server = shop.engine.server
    await looking.probe(shop.database)
    assert set(await told(shop)) == {f"connection:{name}", "mail-server"}  # not looked at again so soon
    at = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: at + health.AGAIN)
    await looking.probe(shop.database)
    assert await told(shop) == {}
    async with shop.database.api() as conn:
        await connection_changes.remove(conn, name)


async def leave(shop: Workshop, name: str, how: str) -> None:
    """Nobody looks at the connection from now on."""
    async with shop.database.api() as conn:
        match how:
            case "removed":
                await connection_changes.remove(conn, name)
            case "off":
                await connection_changes.switch(conn, name, off=True)
            case "revoked":
                await connection_changes.revoke(conn, name, shop.name)
            case _:
                await stored.pause(conn, await stored.by_name(conn, shop.agent.id, "daily"), "by hand")


@pytest.mark.parametrize("how", ["removed", "off", "revoked", "no schedule"])
async def test_what_nobody_looks_at_any_more_is_over(open_shop: Callable[..., Awaitable[Workshop]], how: str) -> None:
    shop = await open_shop(SCHEDULE)
    name, other = f"{shop.name}-api", f"{shop.name}-other"
    for one in (name, other):
        await connect(shop, one, f"{connections.prefix(one)}TOKEN")
    await shop.row(SOON, shop.agent.id)

    async def now() -> submission.Submission | None:
        return servers.pop(0) if servers else None

    servers = [submission.read("smtp://user:wrong@127.0.0.1:9")]
    looking = health.Probe(shop.engine.home, now)
    await looking.probe(shop.database)
    assert set(await told(shop)) == {f"connection:{name}", f"connection:{other}", "mail-server"}
    await leave(shop, name, how)
    await looking.probe(shop.database)
    assert set(await told(shop)) == (set() if how == "no schedule" else {f"connection:{other}", "mail-server"})
    await health.Probe(shop.engine.home, now).probe(shop.database)  # and by now there is no mail server
    assert set(await told(shop)) == (set() if how == "no schedule" else {f"connection:{other}"})


async def test_a_greeting_sends_nothing(shop: Workshop) -> None:
    assert shop.engine.server
    await shop.engine.server.greet()
    assert shop.mail.taken() == []
