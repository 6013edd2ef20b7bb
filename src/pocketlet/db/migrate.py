"""Brings a database to the schema of this version: roles, hardening, then each migration in its own transaction."""

import contextlib
import hashlib
import importlib.metadata
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import psycopg
from psycopg import errors as pg
from psycopg import sql

from pocketlet import errors
from pocketlet.db import pool, queries

Q = queries.load("migrate")
CLUSTER = ("cluster/roles.sql", "cluster/database.sql", "cluster/hardening.sql")
LOGINS = ("pd_api", "pd_admin", "pd_watch")
MARK = "00_cluster"
QUEUE = "00_queue"


def files() -> dict[str, str]:
    """Migration name → checksum of its text, in order."""
    folder = resources.files("pocketlet") / "sql" / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name: _checksum(queries.text(f"migrations/{name}")) for name in names}


def wanted() -> dict[str, str]:
    """Everything that must stand in `migrations.applied`, with its checksum."""
    cluster = _checksum("".join(queries.text(path) for path in CLUSTER))
    return {MARK: cluster, QUEUE: importlib.metadata.version("procrastinate"), **files()}


async def ready(database: pool.Database) -> bool:
    """Whether the database is as this version wants it. False also when there is nothing yet."""
    return await _applied(database) == wanted()


async def _applied(database: pool.Database) -> dict[str, str]:
    """What is written down as applied; nothing if that can't be read: `prepare` finds out why, and says it."""
    try:
        async with database.login("pd_api") as conn:
            database.server_version = conn.info.server_version // 10000
            rows = await (await conn.execute(Q["applied"])).fetchall()
    except (errors.NoPostgres, psycopg.Error):
        return {}
    return {row["name"]: row["checksum"] for row in rows}


async def prepare(database: pool.Database) -> None:
    """Creates or upgrades. Raises errors.NoPostgres, errors.BadMigration; nothing is left half-done."""
    _refuse_newer(await _applied(database))
    with _allowed(database):
        await _database(database)
        await _cluster(database)
        await _queue(database)
    for name, checksum in files().items():
        await _apply(database, name, checksum)
    _refuse_newer(await _applied(database))


async def _database(database: pool.Database) -> None:
    name = database.address.database
    try:
        async with database.setup():
            return
    except errors.NoPostgres as error:
        if not isinstance(error.__cause__, psycopg.OperationalError) or f'database "{name}" does not exist' not in str(
            error.__cause__
        ):
            raise
    async with database.login(database.address.setup_user, database="postgres") as conn:
        # Another process may make it at the same moment.
        with contextlib.suppress(pg.DuplicateDatabase, pg.UniqueViolation):
            await conn.execute(queries.named(queries.text("cluster/create.sql"), database=name))


@contextmanager
def _allowed(database: pool.Database) -> Generator[None]:
    """What the URL's user may not do is the user's to hear, in one sentence."""
    try:
        yield
    except pg.InsufficientPrivilege as error:
        raise errors.BadMigration(
            f"{database.address.setup_user} may not set Pocketlet up in this Postgres: {pool.first_line(error)}.",
            hint="Give POCKETLET_DATABASE_URL a role that owns the database and may create roles (CREATEROLE).",
        ) from error


async def _cluster(database: pool.Database) -> None:
    async with database.setup() as conn, conn.transaction():
        if database.server_version < pool.FLOOR:
            raise errors.BadMigration(
                f"This Postgres is version {database.server_version}; Pocketlet needs {pool.FLOOR} or later.",
                hint="Upgrade it, or unset POCKETLET_DATABASE_URL to use the embedded one.",
            )
        await conn.execute(Q["lock"])
        await conn.execute(queries.text("cluster/roles.sql"))
        for role in LOGINS:
            await set_password(database, conn, role)
        names = {"database": database.address.database}
        await conn.execute(queries.named(queries.text("cluster/database.sql"), **names))
        if await is_superuser(conn):
            await conn.execute(queries.text("cluster/hardening.sql"))
            await conn.execute(queries.text("cluster/limits.sql"))
    async with database.admin() as conn:
        await conn.execute(Q["lock"])
        await conn.execute(Q["table"])
        await conn.execute(Q["note"], {"name": MARK, "checksum": wanted()[MARK]})


async def _apply(database: pool.Database, name: str, checksum: str) -> None:
    async with database.admin() as conn:
        await conn.execute(Q["lock"])
        applied = {row["name"]: row["checksum"] for row in await (await conn.execute(Q["applied"])).fetchall()}
        if applied.get(name) == checksum:
            return
        if name in applied:
            raise errors.BadMigration(
                f"Migration {name} is not the one that was applied to this database.",
                hint="Use the version of Pocketlet that made it, or restore a backup.",
            )
        await conn.execute(Q["as_platform"])
        try:
            await conn.execute(queries.text(f"migrations/{name}"))
        except psycopg.Error as error:
            message = f"Migration {name} failed, nothing of it was kept: {pool.first_line(error)}"
            raise errors.BadMigration(message) from error
        await conn.execute(Q["as_self"])
        await conn.execute(Q["note"], {"name": name, "checksum": checksum})


async def _queue(database: pool.Database) -> None:
    """The queue library's own schema, in a schema of its own; later its own migrations, by their file names."""
    version = wanted()[QUEUE]
    async with database.admin() as conn:
        await conn.execute(Q["lock"])
        applied = {row["name"]: row["checksum"] for row in await (await conn.execute(Q["applied"])).fetchall()}
        have = applied.get(QUEUE)
        if have == version:
            return
        await conn.execute(Q["as_platform"])
        if have is None:
            await conn.execute(Q["make_queue"])
        await conn.execute(Q["in_queue"])
        for text in [_queue_sql("schema.sql")] if have is None else _queue_steps(have):
            await conn.execute(text.encode())
        await conn.execute(Q["seal_queue"])
        await conn.execute(Q["open_queue"])
        await conn.execute(Q["as_self"])
        await conn.execute(Q["note"], {"name": QUEUE, "checksum": version})


def _queue_sql(name: str) -> str:
    return _queue_folder().joinpath(name).read_text(encoding="utf-8")


def _queue_folder() -> Path:
    return Path(str(importlib.metadata.distribution("procrastinate").locate_file("procrastinate/sql")))


def _queue_steps(have: str) -> list[str]:
    names = sorted(path.name for path in (_queue_folder() / "migrations").glob("*.sql"))
    return [_queue_sql(f"migrations/{name}") for name in names if _numbers(name.split("_")[0]) > _numbers(have)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])


def _refuse_newer(applied: dict[str, str]) -> None:
    unknown = sorted(applied.keys() - wanted().keys())
    if _numbers(applied.get(QUEUE, "0")) > _numbers(wanted()[QUEUE]):
        unknown.append(f"procrastinate {applied[QUEUE]}")
    if unknown:
        raise errors.BadMigration(
            f"This database was made by a newer version of Pocketlet ({', '.join(unknown)}).",
            hint="Upgrade Pocketlet; nothing was changed.",
        )


async def set_password(database: pool.Database, conn: pool.Conn, role: str) -> None:
    """Gives a login its password, as a verifier, where passwords are used at all (Postgres by URL)."""
    password = database.address.password(role)
    if password is None:
        return
    verifier = conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
    await conn.execute(statement)


async def is_superuser(conn: pool.Conn) -> bool:
    """Whether this connection's role is a superuser."""
    row = await (await conn.execute(Q["is_superuser"])).fetchone()
    return bool(row and row["rolsuper"])


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
