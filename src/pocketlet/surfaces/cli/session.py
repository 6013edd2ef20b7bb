"""The edge between a command and the async world: opens the database, does the work, closes it again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from pocketlet import settings

if TYPE_CHECKING:
    from pocketlet.db import pool

P = ParamSpec("P")
T = TypeVar("T")


def call(work: "Callable[Concatenate[pool.Database, P], Awaitable[T]]", *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work(database, …)` gives. Raises whatever opening the database raises."""
    from pocketlet.platform import database

    async def opened() -> T:
        async with database.opened(settings.read()) as found:
            return await work(found, *args, **kwargs)

    return asyncio.run(opened())


def api(work: "Callable[Concatenate[pool.Conn, P], Awaitable[T]]", *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work(conn, …)` gives, in one transaction of the API's login. Raises what `call` and `work` raise."""

    async def done(database: "pool.Database") -> T:
        async with database.api() as conn:
            return await work(conn, *args, **kwargs)

    return call(done)
