"""Apps come and go without a trace, and share roles only with their namesakes in other databases of the cluster."""

import dataclasses
from collections.abc import AsyncGenerator, Callable

import psycopg
import pytest

from pocketlet import errors
from pocketlet.db import bulk, migrate, pool, queries, reader
from pocketlet.platform import apps, watchdog

TRACES = """
SELECT (SELECT count(*) FROM pg_roles) AS roles, (SELECT count(*) FROM pg_auth_members) AS memberships,
       (SELECT count(*) FROM pg_db_role_setting) AS settings, (SELECT count(*) FROM pg_default_acl) AS defaults,
       (SELECT count(*) FROM pg_namespace) AS schemas, (SELECT count(*) FROM pg_class) AS relations,
       (SELECT count(*) FROM pg_proc) AS functions, (SELECT count(*) FROM pg_type) AS types,
       (SELECT count(*) FROM pg_shdepend) AS dependencies,
       (SELECT string_agg(datacl::text, ' ' ORDER BY datname) FROM pg_database) AS databases
"""
CLUTTER = (
    "CREATE TABLE kept (id int GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now())",
    "CREATE TYPE mood AS ENUM ('good', 'bad')",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN 1; END $$",
    "CREATE VIEW v AS SELECT * FROM kept",
    "GRANT SELECT ON kept TO PUBLIC",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "ALTER ROLE CURRENT_USER SET statement_timeout = 0",
)


async def rows(db: pool.Database, statement: str, role: str | None = None) -> list[dict[str, object]]:
    async with db.login(role or db.address.setup_user) as conn:
        return await (await conn.execute(statement.encode())).fetchall()


@pytest.fixture
async def other(db: pool.Database) -> AsyncGenerator[pool.Database]:
    """Another of our databases in the same cluster."""
    async with pool.Database(dataclasses.replace(db.address, database="second")) as second:
        await migrate.prepare(second)
        yield second
    async with db.setup() as conn:
        await conn.execute("DROP DATABASE second WITH (FORCE)")


async def test_nothing_stays(db: pool.Database) -> None:
    before = await rows(db, TRACES)
    for _ in range(2):
        await apps.install(db, "guest")
        async with db.login("guest") as conn:
            for statement in CLUTTER:
                await conn.execute(statement.encode())
        await apps.uninstall(db, "guest")
        assert await rows(db, TRACES) == before
    await apps.uninstall(db, "guest")


async def test_the_installer_is_no_member_of_the_app(db: pool.Database, app: str) -> None:
    assert not await rows(
        db,
        f"""SELECT roleid::regrole, member::regrole FROM pg_auth_members
             WHERE roleid IN ('{app}'::regrole, '{app}_ro'::regrole, '{app}_mgr'::regrole, '{app}_try'::regrole,
                            '{app}_bnd'::regrole)
               AND (to_jsonb(pg_auth_members) ->> 'inherit_option')::boolean""",
    )


async def test_a_second_install_is_a_conflict_and_changes_nothing(db: pool.Database, app: str) -> None:
    before = await rows(db, TRACES)
    with pytest.raises(errors.Conflict, match=f"schema '{app}' already"):
        await apps.install(db, app)
    assert await rows(db, TRACES) == before


@pytest.mark.parametrize("foreign", ["stranger", "stranger_ro", "stranger_mgr", "stranger_try", "stranger_bnd"])
async def test_a_role_that_is_not_ours_is_left_alone(db: pool.Database, foreign: str) -> None:
    await run_statement(db, f"CREATE ROLE {foreign}")
    before = await rows(db, TRACES)
    with pytest.raises(errors.Conflict, match=f"a role '{foreign}' that is not Pocketlet's"):
        await apps.install(db, "stranger")
    assert await rows(db, TRACES) == before
    if foreign == "stranger":
        with pytest.raises(errors.Conflict):
            await apps.uninstall(db, foreign)
    await run_statement(db, f"DROP ROLE {foreign}")


@pytest.mark.parametrize("foreign", ["stranger_past", "stranger_own"])
async def test_a_schema_that_is_there_already_is_left_alone(db: pool.Database, foreign: str) -> None:
    await run_statement(db, f"CREATE SCHEMA {foreign}")
    before = await rows(db, TRACES)
    with pytest.raises(errors.Conflict, match=f"schema '{foreign}' already"):
        await apps.install(db, "stranger")
    assert await rows(db, TRACES) == before
    await run_statement(db, f"DROP SCHEMA {foreign}")


async def run_statement(db: pool.Database, statement: str) -> None:
    async with db.setup() as conn:
        await conn.execute(statement.encode())


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "a" * 42, "é", "a b", 'a"b'])
async def test_names(db: pool.Database, name: str) -> None:
    with pytest.raises(errors.BadAgent, match="is not a name"):
        await apps.install(db, name)


TAKEN = [
    "public",
    "pg_catalog",
    "pd_api",
    "postgres",
    "pocketlet",
    "queue",
    "a_ro",
    "a_mgr",
    "a_try",
    "a_past",
    "a_bnd",
    "a_own",
]


@pytest.mark.parametrize("name", TAKEN)
async def test_reserved_names(db: pool.Database, name: str) -> None:
    with pytest.raises(errors.BadAgent, match="is reserved"):
        await apps.install(db, name)


async def test_a_keyword_is_a_name_like_any_other(db: pool.Database) -> None:
    await apps.install(db, "select")
    assert await rows(db, "SELECT count(*) FROM memories", "select_ro") == [{"count": 0}]
    await apps.uninstall(db, "select")


@pytest.mark.parametrize("login", ["older_mgr", "older_try", "older_bnd"])
async def test_an_app_that_lacks_a_login_is_taken_away_too(db: pool.Database, login: str) -> None:
    await apps.install(db, "older")
    async with db.admin() as conn:
        await conn.execute(f"GRANT {login} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE".encode())
        await conn.execute(f"DROP OWNED BY {login} CASCADE".encode())
        await conn.execute(f"DROP ROLE {login}".encode())
    await apps.uninstall(db, "older")
    async with db.setup() as conn:
        assert await (await conn.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^older'")).fetchall() == []


READABLE = {"lessons", "feedback", "run_log"}


async def test_the_managers_login_reads_nothing_from_outside(db: pool.Database, app: str) -> None:
    async with db.login(app) as conn:
        await conn.execute("CREATE TABLE letters (body text)")
    for name in ("lessons", "feedback", "run_log", "memories", "results", "runs", "letters"):
        if name in READABLE:
            await reader.query(db, apps.manager(app), f"SELECT * FROM {name}")
            continue
        with pytest.raises(errors.GateRefusal, match="permission denied"):
            await reader.query(db, apps.manager(app), f"SELECT * FROM {name}")
        await reader.query(db, apps.reader(app), f"SELECT * FROM {name}")


async def test_the_trials_login_reads_what_the_readers_does(db: pool.Database, app: str) -> None:
    async with db.login(app) as conn:
        await conn.execute("CREATE TABLE letters (body text)")
    columns = (
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{}' AND table_schema ~ '{}'"
    )
    for name in ("lessons", "feedback", "memories", "results", "runs", "letters"):
        there = await reader.query(db, apps.reader(app), f"SELECT * FROM {name}")
        assert (await reader.query(db, apps.trial(app), f"SELECT * FROM {name}", as_of=0)).columns == there.columns
    for name in ("memories", "results"):
        there = await reader.query(db, apps.reader(app), columns.format(name, app))
        assert await reader.query(db, apps.trial(app), columns.format(name, f"{app}_past"), as_of=0) == there


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {}.memories",
        "SELECT * FROM {}.memories_before",
        "SELECT count(*) FROM {}.results",
        "SELECT id FROM {}.run_log",
        "SELECT {}.memory_version()",
        "SELECT * FROM pocketlet.past",
        "SELECT memory_version FROM pocketlet.agent",
    ],
)
async def test_the_trials_login_reads_nothing_else(db: pool.Database, app: str, statement: str) -> None:
    with pytest.raises(errors.GateRefusal, match="permission denied"):
        await reader.query(db, apps.trial(app), statement.format(app), as_of=0)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO memories (subject) VALUES ('x')",
        "UPDATE results SET summary = 'x'",
        "DELETE FROM letters",
        "INSERT INTO pocketlet.past VALUES (1, 1)",
        "UPDATE pocketlet.past SET version = 9",
        "CREATE TABLE mine (id int)",
        "CREATE OR REPLACE VIEW memories AS SELECT 1",
    ],
)
async def test_the_trials_login_writes_nothing(db: pool.Database, app: str, statement: str) -> None:
    async with db.login(app) as conn:
        await conn.execute("CREATE TABLE letters (body text)")
    async with db.login(apps.trial(app)) as conn:
        await conn.execute("SET default_transaction_read_only = off")
        no_right = psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState  # a view of two
        with pytest.raises(no_right):
            await conn.execute(statement.encode())


@pytest.mark.parametrize("login", apps.logins(""))
async def test_no_login_of_the_app_reads_what_was_superseded(db: pool.Database, app: str, login: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="memories_before"):
        await rows(db, f"TABLE {app}.memories_before", f"{app}{login}")


async def test_no_briefing_names_what_no_run_may_read(db: pool.Database, app: str) -> None:
    async with db.login(app) as conn:
        assert "memories_before" not in await bulk.table_map(conn, app)


@pytest.mark.parametrize(
    ("check", "done"),
    [
        ("missing_roles", "ALTER ROLE {} NOLOGIN"),
        ("strong_roles", "ALTER ROLE {} CREATEDB"),
        ("control_writers", "GRANT INSERT ON pocketlet.run TO {}"),
    ],
)
async def test_the_doctor_looks_at_every_login(db: pool.Database, app: str, check: str, done: str) -> None:
    async with db.setup() as conn, conn.transaction(force_rollback=True):
        await conn.execute("INSERT INTO pocketlet.agent (name) VALUES (%s)", (app,))
        for login in apps.logins(app):
            await conn.execute(done.format(login).encode())
        found = await (await conn.execute(queries.load("doctor")[check])).fetchall()
    assert {row["what"].partition(" ")[0] for row in found} == set(apps.logins(app))


@pytest.mark.parametrize(("verdict", "amiss"), [("adopt", False), ("revert", False), ("ask", True), ("narrow", True)])
async def test_the_doctor_asks_who_put_a_revision_into_force(db: pool.Database, verdict: str, amiss: bool) -> None:
    async with db.setup() as conn, conn.transaction(force_rollback=True):
        made = await conn.execute("INSERT INTO pocketlet.agent (name, current) VALUES ('forced', 3) RETURNING id")
        values = ((await made.fetchone() or {})["id"], verdict)
        decided = "INSERT INTO pocketlet.decision (agent_id, revision, verdict, author) VALUES (%s, 3, %s, 'gate')"
        await conn.execute(decided, values)
        found = await (await conn.execute(queries.load("doctor")["undecided"])).fetchall()
    assert found == ([{"what": "forced revision 3"}] if amiss else [])


@pytest.mark.parametrize("login", [apps.trial, apps.bound])
async def test_settings_of_views_come_back(db: pool.Database, app: str, login: Callable[[str], str]) -> None:
    async with db.login(login(app)) as conn:
        await conn.execute("SET default_transaction_read_only = off")
        await conn.execute("ALTER ROLE CURRENT_USER SET search_path = pg_temp")
    assert await watchdog.sweep(db) == [{"app": app, "roles": [login(app)]}]
    assert await watchdog.sweep(db) == []


async def test_sessions_of_the_app_end_with_it(db: pool.Database) -> None:
    await apps.install(db, "guest")
    async with db.login("guest_ro") as conn:
        await apps.uninstall(db, "guest")
        with pytest.raises(psycopg.OperationalError):
            await conn.execute("SELECT 1")


@pytest.mark.parametrize("first_leaves_first", [True, False])
async def test_one_name_in_two_databases(db: pool.Database, other: pool.Database, first_leaves_first: bool) -> None:
    before = await rows(db, TRACES)
    for database in (db, other):
        await apps.install(database, "shared")
        async with database.login("shared") as conn:
            await conn.execute("INSERT INTO memories (subject) VALUES (current_database())")
    leaving, staying = (db, other) if first_leaves_first else (other, db)
    async with staying.login("shared") as open_session:
        await apps.uninstall(leaving, "shared")
        await open_session.execute("CREATE TABLE still_here (id int)")
    found = await rows(staying, "SELECT subject FROM memories", "shared_ro")
    assert found == [{"subject": staying.address.database}]
    assert await rows(staying, "SELECT * FROM still_here", "shared_ro") == []
    with pytest.raises(errors.NoPostgres, match="permission denied for database"):
        await rows(leaving, "SELECT 1", "shared_ro")
    await apps.install(leaving, "shared")
    await apps.uninstall(leaving, "shared")
    await apps.uninstall(staying, "shared")
    assert await rows(db, TRACES) == before
