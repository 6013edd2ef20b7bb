"""Opens the database that the settings name: the embedded one, started if need be, or any Postgres by URL."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit

from pocketlet import errors, settings
from pocketlet.db import migrate, pool
from pocketlet.platform import server, vault

EMBEDDED = "pocketlet"
ESCAPES = "Write / # ? @ of a user name or password as %2F %23 %3F %40."


@asynccontextmanager
async def opened(config: settings.Settings, *, fast: bool = False) -> AsyncGenerator[pool.Database]:
    """The database, with this version's schema. `fast` trades durability for speed, for tests.

    Raises errors.NoPostgres, errors.BadSetting, errors.BadMigration.
    """
    if config.database_url:
        async with _prepared(address_of_url(config.database_url, vault.login_key(config.home))) as database:
            yield database
        return
    lease = await _lease(config, fast=fast)
    try:
        embedded = lease.server
        address = pool.Address(embedded.host, embedded.port, EMBEDDED, embedded.superuser, None, _no_password)
        async with _prepared(address) as database:
            yield database
    finally:
        await asyncio.to_thread(lease.release)


async def _lease(config: settings.Settings, *, fast: bool) -> server.Lease:
    """A hold on the embedded server. Interrupted while it starts, it is let go of again, or it would run on unused."""
    starting = asyncio.ensure_future(asyncio.to_thread(server.acquire, config.home, fast=fast))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        (await starting).release()
        raise


@asynccontextmanager
async def _prepared(address: pool.Address) -> AsyncGenerator[pool.Database]:
    async with pool.Database(address) as database:
        if not await migrate.ready(database):
            await migrate.prepare(database)
        yield database


def _no_password(role: str) -> None:
    """On the embedded cluster's socket the operating system says who is calling."""


def address_of_url(url: str, key: bytes) -> pool.Address:
    """The address in a `postgresql://user:password@host:port/database` URL; our logins' passwords come from `key`."""
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
        if "@" in parts.path + parts.fragment:
            raise ValueError("a / or # of the password ended the host")
    except ValueError:  # its text is not passed on: what it quotes as the port may be a part of the password
        raise errors.BadSetting("POCKETLET_DATABASE_URL is not a URL.", hint=ESCAPES) from None
    if parts.scheme not in ("postgres", "postgresql"):
        raise errors.BadSetting("POCKETLET_DATABASE_URL must begin with postgresql://.")
    options = parse_qs(parts.query)

    def password(role: str) -> str:
        return hmac.new(key, f"login {role}".encode(), hashlib.sha256).hexdigest()

    return pool.Address(
        host=unquote(parts.hostname or "") or options.get("host", ["localhost"])[0],
        port=port,
        database=unquote(parts.path.lstrip("/")) or "pocketlet",
        setup_user=unquote(parts.username or "postgres"),
        setup_password=unquote(parts.password) if parts.password else None,
        password=password,
        sslmode=options.get("sslmode", [None])[0],
    )
