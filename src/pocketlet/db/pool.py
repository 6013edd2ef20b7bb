"""Connections to Postgres: each is logged in as the role that its work needs, and as no other."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg_pool
from psycopg import AsyncConnection, rows
from psycopg.types.json import Jsonb, set_json_dumps

from pocketlet import crashing, errors

Conn = AsyncConnection[rows.DictRow]

#: What Postgres answers when it is not one of Pocketlet's own errors.
DatabaseError = psycopg.Error
FLOOR = 15
NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
CONNECT_SECONDS = 10
LOGINS_AT_ONCE = 3  # of one agent role in one process; the role's own limit is 5 to 10


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is. `password(role)` is None where the socket's peer check does the work.

    `setup_user` may do what only whoever set the cluster up may do; it is not used once the schema is in place
    (on Postgres 15, where CREATEROLE could grant itself more than intended, it also installs agents).
    """

    host: str
    port: int
    database: str
    setup_user: str
    setup_password: str | None
    password: Callable[[str], str | None]
    sslmode: str | None = None


def jsonb(value: object) -> Jsonb:
    """`value` as a jsonb parameter."""
    return Jsonb(value)


def canonical(value: object) -> str:
    """JSON with one spelling for each value: sorted keys, no spaces; what Postgres can't store is replaced."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return NUL_ESCAPE.sub(lambda m: m[1] + "\\ufffd", text).encode("utf-8", "replace").decode("utf-8")


set_json_dumps(canonical)


def in_order(value: object) -> Any:
    """`value` after a way through JSON, its keys sorted: jsonb has an order of its own, which is not the one given."""
    return json.loads(canonical(value))


@contextmanager
def translated() -> Generator[None]:
    """Turns the driver's errors and the domain SQLSTATEs of `sql/schema` into Pocketlet's own, in one place."""
    try:
        yield
    except psycopg_pool.PoolTimeout as error:
        raise errors.NoPostgres("Postgres has no free connection.") from error
    except psycopg.DatabaseError as error:
        ours = _ours(error)
        if ours is None:
            raise
        raise ours from error


def _ours(error: psycopg.DatabaseError) -> errors.PocketletError | None:
    said = first_line(error)
    ours: errors.PocketletError | None = None
    match error.sqlstate or "":
        case "" if "password authentication failed" in str(error):
            hint = "Check the user and the password in POCKETLET_DATABASE_URL."
            ours = errors.NoPostgres("Postgres did not accept the password.", hint=hint)
        case "" if isinstance(error, psycopg.OperationalError):
            ours = errors.NoPostgres(f"Postgres can't be reached: {said}")
        case "57P01" | "57P02" | "57P03" | "53300" | "08006":
            ours = errors.NoPostgres(f"Postgres ended the connection: {said}")
        case "53100":
            hint = "Free some space; nothing that was done is lost."
            ours = errors.Failed("The disk is full: Postgres could not write.", hint=hint)
        case "PK001":
            ours = errors.LostRun()
        case "PK002":
            ours = errors.OverBudget(f"{said} {error.diag.message_detail or ''}".strip())
        case "PK003":
            ours = errors.Conflict(said)
        case _:
            pass
    return ours


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the position that follows."""
    return str(error).strip().partition("\n")[0]


class Database:
    """One database and the logins to it. `async with Database(address) as db`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.server_version = 0
        self._api: psycopg_pool.AsyncConnectionPool[Conn] | None = None
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(LOGINS_AT_ONCE))

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the pool; connections in use end with their work."""
        if self._api is not None:
            pool, self._api = self._api, None
            await pool.close()

    def conninfo(self, role: str) -> dict[str, str | int]:
        """Connection parameters for a login of ours."""
        password = self.address.setup_password if role == self.address.setup_user else self.address.password(role)
        params: dict[str, str | int | None] = {
            "host": self.address.host,
            "port": self.address.port,
            "dbname": self.address.database,
            "user": role,
            "password": password,
            "sslmode": self.address.sslmode,
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "pocketlet",
            "client_encoding": "utf8",
        }
        return {key: value for key, value in params.items() if value is not None}

    def login(self, role: str, *, database: str | None = None) -> AbstractAsyncContextManager[Conn]:
        """A fresh connection logged in as `role`, in autocommit; closed at the end, so nothing of it is left over."""
        return crashing.block(self._login(role, database))

    @asynccontextmanager
    async def _login(self, role: str, database: str | None = None) -> AsyncGenerator[Conn]:
        params = self.conninfo(role) | ({"dbname": database} if database else {})
        with translated():
            async with self._gates[role]:
                connect = AsyncConnection[rows.DictRow].connect
                conn = await connect(
                    **params,  # pyright: ignore[reportArgumentType]
                    autocommit=True,
                    row_factory=rows.dict_row,
                    prepare_threshold=None,
                )
                async with conn:
                    yield conn

    def setup(self) -> AbstractAsyncContextManager[Conn]:
        """Whoever set the cluster up: for the roles, the hardening, and nothing at run time."""
        return crashing.block(self._setup())

    @asynccontextmanager
    async def _setup(self) -> AsyncGenerator[Conn]:
        async with self._login(self.address.setup_user) as conn:
            self.server_version = conn.info.server_version // 10000
            yield conn

    def admin(self) -> AbstractAsyncContextManager[Conn]:
        """The login that migrates and installs agents, in one transaction."""
        return crashing.block(self._admin())

    @asynccontextmanager
    async def _admin(self) -> AsyncGenerator[Conn]:
        role = "pd_admin" if self.server_version > FLOOR else self.address.setup_user
        async with self._login(role) as conn, conn.transaction():
            yield conn

    def api(self) -> AbstractAsyncContextManager[Conn]:
        """The platform's working login (rows of `pocketlet` and core tables, no DDL), in one transaction."""
        return crashing.block(self._work())

    @asynccontextmanager
    async def _work(self) -> AsyncGenerator[Conn]:
        with translated():
            if self._api is None:
                self._api = psycopg_pool.AsyncConnectionPool(
                    kwargs={**self.conninfo("pd_api"), "row_factory": rows.dict_row},
                    connection_class=AsyncConnection[rows.DictRow],
                    min_size=0,
                    max_size=8,
                    timeout=CONNECT_SECONDS,
                    open=False,
                )
                await self._api.open()
            async with self._api.connection() as conn:
                yield conn
