"""Apps of the platform: a schema, a login that writes there, and four that only read there."""

import re

from pocketlet import errors
from pocketlet.db import bounds, migrate, pool, queries

Q = queries.load("apps")
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
RESERVED = {"common", "ext", "information_schema", "migrations", "none", "pocketlet", "postgres", "public", "queue"}
SUFFIXES = ("_ro", "_mgr", "_try", "_bnd", "_past", "_own")  # of logins and schemas beside the app's own


def reader(name: str) -> str:
    """The app's reader login: the one that model-written SQL runs on."""
    return f"{name}_ro"


def manager(name: str) -> str:
    """The login of the app's manager, for SQL that the manager's model wrote: it can read nothing from outside."""
    return f"{name}_mgr"


def trial(name: str) -> str:
    """The login of the app's trials: a reader to which memory is as of a version, which `reader.query` is given."""
    return f"{name}_try"


def bound(name: str) -> str:
    """The login of runs that somebody's mail started: it sees rows of whom `reader.Bound` names, and shared ones."""
    return f"{name}_bnd"


def logins(name: str) -> list[str]:
    """Every login of the app."""
    return [name, reader(name), manager(name), trial(name), bound(name)]


def check_name(name: str) -> None:
    """Raises errors.BadAgent unless `name` can be the name of an app, its schema and its logins."""
    if not NAME.fullmatch(name):
        raise errors.BadAgent(
            f"{name!r} is not a name: use a small letter, then small letters, digits and _, at most 41."
        )
    if name in RESERVED or name.startswith(("pg_", "pd_")) or name.endswith(SUFFIXES):
        raise errors.BadAgent(f"The name {name!r} is reserved.", hint="Choose another `name` in agent.toml.")


def placeholders(database: pool.Database, name: str) -> dict[str, str]:
    """The names that the texts in `sql/agent` are filled with."""
    roles = {"app": name, "reader": reader(name), "manager": manager(name), "trial": trial(name), "bound": bound(name)}
    schemas = {"schema": name, "past": f"{name}_past", "own": f"{name}_own"}
    return roles | schemas | {"database": database.address.database, "agent": name}


async def install(database: pool.Database, name: str) -> None:
    """Makes the app's roles, schema and core tables in one transaction.

    Raises errors.Conflict if it is installed already, or a role or schema of that name is not Pocketlet's.
    """
    check_name(name)
    names = placeholders(database, name)
    async with database.admin() as conn:
        for role in logins(name):
            await _check_role(conn, role)
        if not await _exists(conn, name):
            await conn.execute(queries.named(queries.text("agent/roles.sql"), **names))
        for role in logins(name):
            await migrate.set_password(database, conn, role)
        for schema in (names["schema"], names["past"], names["own"]):
            if await (await conn.execute(Q["schema"], {"name": schema})).fetchone():
                raise errors.Conflict(f"This database has a schema {schema!r} already.")
        await conn.execute(queries.named(queries.text("agent/install.sql"), **names))
        await apply_settings(database, conn, name)
        await _borrow(conn, names)
        await conn.execute(queries.named(queries.text("agent/defaults.sql"), **names))
        await _give_back(conn, names)
        await conn.execute(Q["as_platform"])
        await conn.execute(queries.named(queries.text("agent/core.sql"), **names))
        await conn.execute(queries.named(queries.text("agent/past.sql"), **names))
        await conn.execute(queries.named(queries.text("agent/bound.sql"), **names))
        await bounds.show_core(conn, names, ())


async def bind(database: pool.Database, name: str, counts: bounds.Counts, made: str = "") -> bounds.Plan:
    """Makes the views that `[reads]` asks for, unless they are as `made` says; what they are made of now.

    It takes three transactions. The first says that nothing is made, so what is stopped on the way, or refused after
    it, is made anew before anybody reads; and until the last one no view of the core shows more than it has to.
    Raises errors.BadAgent if there is no such table or column, before anything is changed, or a view can't be made.
    """
    names = placeholders(database, name)
    async with database.login(name) as app:
        async with app.transaction():
            plan = await bounds.plan(app, name, counts)
            if plan.digest == made:
                return plan
            async with database.admin() as conn:
                await conn.execute(Q["as_platform"])
                await bounds.forget(conn, names)
                await bounds.show_core(conn, names, ())
            await bounds.show(app, names, plan)
        async with database.admin() as conn:
            await conn.execute(Q["as_platform"])
            await bounds.show_core(conn, names, counts.reads.open)
    return plan


async def apply_settings(database: pool.Database, conn: pool.Conn, name: str) -> None:
    """Gives the app's logins the session defaults that they should have, and no others. `conn` is an admin's."""
    names = placeholders(database, name)
    await conn.execute(queries.named(queries.text("agent/settings.sql"), **names))
    if await _may_limit(conn):
        await conn.execute(queries.named(queries.text("agent/limits.sql"), **names))


async def uninstall(database: pool.Database, name: str) -> None:
    """Leaves nothing of the app: no object, schema, right or role. Does nothing if there is none.

    An app of the same name in another database of the cluster keeps the roles and its rights.
    Raises errors.Conflict if the role is not Pocketlet's.
    """
    names = placeholders(database, name)
    roles = {"roles": logins(name)}
    async with database.admin() as conn:
        if not await _exists(conn, name):
            return
        await _check_role(conn, name)
        for role in logins(name):
            if not await _exists(conn, role):  # an older version made fewer
                await conn.execute(queries.named(Q["fill_in"], role=role))
        await _borrow(conn, names)
        await conn.execute(Q["end_sessions"], roles)
        elsewhere = await (await conn.execute(Q["other_databases"], roles)).fetchall()
        await conn.execute(queries.named(queries.text("agent/uninstall.sql"), **names))
        for row in elsewhere:
            await conn.execute(queries.named(Q["connect"], **names | {"database": row["datname"]}))
        if elsewhere:
            await _give_back(conn, names)
        else:
            await conn.execute(queries.named(queries.text("agent/drop_roles.sql"), **names))


async def _exists(conn: pool.Conn, role: str) -> bool:
    return await (await conn.execute(Q["role"], {"role": role})).fetchone() is not None


async def _check_role(conn: pool.Conn, role: str) -> None:
    row = await (await conn.execute(Q["role"], {"role": role})).fetchone()
    if row and not (row["comment"] or "").startswith("pocketlet "):
        raise errors.Conflict(
            f"This Postgres has a role {role!r} that is not Pocketlet's.", hint="Choose another name for the agent."
        )


async def _may_limit(conn: pool.Conn) -> bool:
    row = await (await conn.execute(Q["may_limit"])).fetchone()
    return bool(row and row["may"])


async def _borrow(conn: pool.Conn, names: dict[str, str]) -> None:
    """Default rights and owned objects are only an owner's to change: be a member of the app until `_give_back`."""
    if conn.info.server_version >= 160000:
        await conn.execute(queries.named(Q["borrow"], **names))


async def _give_back(conn: pool.Conn, names: dict[str, str]) -> None:
    if conn.info.server_version >= 160000:
        await conn.execute(queries.named(Q["give_back"], **names))
