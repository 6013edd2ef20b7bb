"""The reader gate: what it reads, what it refuses, where it stops."""

import asyncio
import dataclasses

import psycopg
import pytest

from pocketlet import clock, errors
from pocketlet.db import pool, queries, reader
from pocketlet.platform import apps


@pytest.fixture
async def login(db: pool.Database, app: str) -> str:
    """The reader of a fresh app with one memory."""
    async with db.login(app) as conn:
        await conn.execute("INSERT INTO memories (kind, subject, body) VALUES ('note', 'Zoë', 'naïve café 🙂')")
    return apps.reader(app)


async def refusal(db: pool.Database, login: str, statement: str, limits: reader.Limits | None = None) -> str:
    with pytest.raises(errors.GateRefusal) as caught:
        await reader.query(db, login, statement, limits=limits)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


async def test_values_come_as_text_and_null_as_none(db: pool.Database, login: str) -> None:
    found = await reader.query(
        db, login, "SELECT 1 AS n, NULL AS nothing, true AS yes, ARRAY[1, 2] AS list, '' AS empty"
    )
    rows = reader.Rows(("n", "nothing", "yes", "list", "empty"), (("1", None, "t", "{1,2}", ""),))
    assert dataclasses.replace(found, cost=0.0) == rows
    assert found.cost > 0


async def test_text_is_utf8(db: pool.Database, login: str) -> None:
    found = await reader.query(db, login, "SELECT subject AS \"prénom\", body FROM memories WHERE subject = 'Zoë'")
    assert (found.columns, found.rows) == (("prénom", "body"), (("Zoë", "naïve café 🙂"),))
    assert found.tables == {"memories"}


@pytest.mark.parametrize(
    "statement",
    [
        "TABLE memories",
        "VALUES (1), (2)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "(SELECT 1)",
        "SELECT 1;",
        "SELECT 1; ",
        "SELECT 1 -- done",
        "/* a */ SELECT 1 /* ; */ ;",
        "SELECT 1;;",
        "SELECT",
        "SELECT '%'",
    ],
)
async def test_what_counts_as_one_select(db: pool.Database, login: str, statement: str) -> None:
    assert (await reader.query(db, login, statement)).capped == ""


async def test_no_rows_still_have_columns(db: pool.Database, login: str) -> None:
    assert await reader.query(db, login, "SELECT id FROM memories WHERE false") == reader.Rows(("id",), ())


async def test_parameters(db: pool.Database, login: str) -> None:
    params = {"who": "Zoë", "pattern": "%'; DROP TABLE memories; --"}
    statement = "SELECT subject, %(pattern)s::text FROM memories WHERE subject = %(who)s"
    assert (await reader.query(db, login, statement, params=params)).rows == (("Zoë", params["pattern"]),)


@pytest.mark.parametrize("params", [{}, {"b": 1}, {"a": "\x00"}, {"a": object()}])
async def test_parameters_that_do_not_fit(db: pool.Database, login: str, params: dict[str, object]) -> None:
    with pytest.raises(errors.GateRefusal):
        await reader.query(db, login, "SELECT %(a)s", params=params)


@pytest.mark.parametrize(
    "statement",
    [
        "",
        ";",
        "--",
        "selec 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; COMMIT; SELECT 2",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "COPY memories TO STDOUT",
        "COPY memories FROM STDIN",
        "EXPLAIN SELECT 1",
        "SHOW ALL",
        "SET work_mem = '1GB'",
        "SELECT 1 /*",
        "SELECT '",
        "SELECT $1",
        "SELECT \x00 1",
        "SELECT \ud800 1",
        "CLOSE q",
        "FETCH q",
        "LISTEN x",
    ],
)
async def test_everything_else_is_refused(db: pool.Database, login: str, statement: str) -> None:
    await refusal(db, login, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO memories (subject) VALUES ('x')",
        "UPDATE memories SET body = 'x'",
        "DELETE FROM memories",
        "WITH x AS (DELETE FROM memories RETURNING 1) SELECT * FROM x",
        "CREATE TABLE x (id int)",
        "SELECT 1 INTO x",
    ],
)
async def test_nothing_is_written(db: pool.Database, login: str, statement: str) -> None:
    await refusal(db, login, statement)
    assert (await reader.query(db, login, "SELECT body FROM memories")).rows == (("naïve café 🙂",),)


async def test_a_notification_from_inside_does_not_leave(db: pool.Database, app: str) -> None:
    async with db.login(app) as conn:
        await conn.execute("""
            CREATE FUNCTION ring() RETURNS int LANGUAGE sql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp AS $$ SELECT pg_notify('bell', 'x'); SELECT 1 $$""")
        await conn.execute("GRANT EXECUTE ON FUNCTION ring() TO PUBLIC")
        await conn.execute("LISTEN bell")
        assert (await reader.query(db, apps.reader(app), "SELECT ring()")).rows == (("1",),)
        await conn.execute("NOTIFY bell, 'own'")
        assert [bell.payload async for bell in conn.notifies(timeout=0)] == ["own"]


@pytest.fixture
async def trial(db: pool.Database, app: str) -> str:
    """The trials' login of a fresh app: memory 1 is of version 1, 2 superseded it in version 2, 3 came with that."""
    async with db.api() as conn:
        rows = "(1, 'a', 'old', 1), (2, 'a', 'new', 2), (3, 'b', '7', 2)"
        await conn.execute(f"INSERT INTO {app}.memories (id, subject, body, v_from) VALUES {rows}".encode())
        await conn.execute(queries.named(queries.load("corrections")["supersede"], schema=app), {"id": 1, "version": 2})
        await conn.execute(
            f"INSERT INTO {app}.results (run, outcome, summary, integrity, author, origin_run, v_from)"
            " VALUES (1, 'done', 'did', 'owner', 'run', 1, 2)".encode()
        )
    return apps.trial(app)


@pytest.mark.parametrize(
    ("version", "memories", "results"),
    [
        (0, (), "0"),
        (1, (("1", None),), "0"),
        (2, (("2", None), ("3", None)), "1"),
        (9, (("2", None), ("3", None)), "1"),
    ],
)
async def test_memory_as_of_a_version(
    db: pool.Database, trial: str, version: int, memories: tuple[tuple[str | None, ...], ...], results: str
) -> None:
    found = await reader.query(db, trial, "SELECT id, v_to FROM memories ORDER BY id", as_of=version)
    assert (found.rows, found.version, found.tables) == (memories, version, {"memories", "memories_before"})
    assert (await reader.query(db, trial, "SELECT count(*) FROM results", as_of=version)).rows == ((results,),)


async def test_as_of_two_versions_at_once(db: pool.Database, trial: str) -> None:
    versions = [1, 2] * 6
    asked = (reader.query(db, trial, "SELECT count(*) FROM memories", as_of=version) for version in versions)
    assert [rows.rows for rows in await asyncio.gather(*asked)] == [(("1",),), (("2",),)] * 6
    async with db.api() as conn:
        assert await (await conn.execute("SELECT FROM pocketlet.past")).fetchall() == []


async def test_later_rows_show_in_no_error_either(db: pool.Database, trial: str) -> None:
    statement = "SELECT 1 / (body::int - 7) FROM memories WHERE subject = 'b'"
    with pytest.raises(errors.GateRefusal, match="division by zero"):
        await reader.query(db, trial, statement, as_of=2)
    assert (await reader.query(db, trial, statement, as_of=1)).rows == ()


async def test_a_login_that_does_not_read_as_of_a_version_is_not_asked(db: pool.Database, trial: str, app: str) -> None:
    with pytest.raises(errors.Failed, match="would read the memory of version 0, not 2"):
        await reader.query(db, apps.reader(app), "SELECT 1", as_of=2)


async def test_without_a_version_a_trial_sees_no_memory(db: pool.Database, trial: str) -> None:
    for table in ("memories", "results"):
        assert (await reader.query(db, trial, f"SELECT * FROM {table}")).rows == ()


@pytest.mark.parametrize(("count", "shown"), [(49, 49), (50, 50), (51, 50)])
async def test_rows_are_counted(db: pool.Database, login: str, count: int, shown: int) -> None:
    found = await reader.query(db, login, f"SELECT g FROM generate_series(1, {count}) g")
    assert len(found.rows) == shown
    assert found.capped == ("" if count == shown else "only the first 50 rows are shown")


async def test_bytes_are_counted(db: pool.Database, login: str) -> None:
    statement = "SELECT repeat('x', 10000) FROM generate_series(1, 40)"
    found = await reader.query(db, login, statement, limits=reader.Limits(bytes=64 * 1024))
    assert len(found.rows) == 6
    assert found.capped == "cut at 64 KB"


@pytest.mark.parametrize("size", [300_000, 5_000_000])
async def test_large_rows_are_left_out_but_not_a_first_one(db: pool.Database, login: str, size: int) -> None:
    statement = "SELECT CASE WHEN g > {first} THEN repeat('x', {size}) END FROM generate_series(1, 20) g"
    found = await reader.query(db, login, statement.format(first=1, size=size))
    assert (found.rows, found.capped) == (((None,),), "cut at 256 KB")
    message = await refusal(db, login, statement.format(first=0, size=size))
    assert message == "One piece of the answer is larger than 256 KB: nothing was read."


async def test_cost_is_estimated_before_anything_runs(db: pool.Database, login: str) -> None:
    message = await refusal(
        db, login, "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
    )
    assert message == "The query would read too much (estimated cost over the limit)."


@pytest.mark.parametrize(
    "statement",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM generate_series(1, 100000000)",
        "SELECT CASE WHEN g > 2 THEN (SELECT count(*) FROM generate_series(1, 100000000 + g)) END "
        "FROM generate_series(1, 100) g",
    ],
)
async def test_time_is_limited(db: pool.Database, login: str, statement: str) -> None:
    message = await refusal(db, login, statement, reader.Limits(seconds=0.1))
    assert message == "The query took longer than 0.1 s and was stopped."


async def test_time_is_limited_over_all_rows_together(db: pool.Database, login: str) -> None:
    # No row takes 100 ms; all together take minutes.
    row = "SELECT count(*) + g FROM generate_series(1, 20000 + g % 2)"
    statement = f"SELECT repeat('x', 10) || ({row}) FROM generate_series(1, 100000) g"
    limits = reader.Limits(seconds=0.2, rows=100000, bytes=10**8)
    assert "took longer" in await refusal(db, login, statement, limits)


async def test_no_time_at_all(db: pool.Database, login: str) -> None:
    assert "took longer" in await refusal(db, login, "SELECT 1", reader.Limits(seconds=0))


async def test_temporary_space_is_limited(db: pool.Database, login: str) -> None:
    statement = "SELECT count(DISTINCT repeat(md5(g::text), 2000)) FROM generate_series(1, 8000) g"
    message = await refusal(db, login, statement, reader.Limits(seconds=5))
    assert message == "The query needed more temporary space than it may use and was stopped."
    assert (await reader.query(db, login, "SELECT 1")).rows == (("1",),)


async def test_messages_are_one_short_line(db: pool.Database, login: str) -> None:
    assert len(await refusal(db, login, "SELECT repeat('1x', 1000000)::int")) < 400
    assert "two lines" in await refusal(db, login, 'SELECT "two\n\nlines" FROM memories')


async def test_more_readers_at_once_than_the_role_has_connections(db: pool.Database, login: str) -> None:
    found = await asyncio.gather(*(reader.query(db, login, f"SELECT {number}") for number in range(20)))
    assert [rows.rows for rows in found] == [((str(number),),) for number in range(20)]


async def ended(db: pool.Database, login: str) -> asyncio.Task[reader.Rows]:
    """A query whose session somebody ends while it runs."""
    statement = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
    running = asyncio.create_task(reader.query(db, login, statement, limits=reader.Limits(seconds=5)))
    ended = False
    async with db.login("pd_watch") as conn:
        while not ended and not running.done():
            rows = await conn.execute(
                "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity"
                " WHERE usename = %s AND query ~ 'FETCH'",
                (login,),
            )
            ended = any(row["ended"] for row in await rows.fetchall())
            await asyncio.sleep(0)
    return running


async def test_a_session_that_is_ended_is_not_the_querys_mistake(db: pool.Database, login: str) -> None:
    running = await ended(db, login)
    with pytest.raises(errors.NoPostgres, match="terminating connection"):
        await running
    assert (await reader.query(db, login, "SELECT 1")).rows == (("1",),)


async def test_a_session_that_is_ended_past_its_time_is(
    db: pool.Database, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await ended(db, login)
    later = clock.monotonic() + 6
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    with pytest.raises(errors.GateRefusal, match="took longer than 5 s"):
        await running


async def test_an_unknown_login_is_not_a_refusal(db: pool.Database) -> None:
    with pytest.raises(errors.NoPostgres, match="does not exist"):
        await reader.query(db, "nobody_ro", "SELECT 1")


async def test_the_driver_does_not_interpret_percent_without_parameters(db: pool.Database, login: str) -> None:
    assert (await reader.query(db, login, "SELECT 7 % 4, '%(x)s'")).rows == (("3", "%(x)s"),)


async def test_the_connection_is_the_readers(db: pool.Database, login: str) -> None:
    found = await reader.query(db, login, "SELECT session_user, current_user, current_setting('transaction_read_only')")
    assert found.rows == ((login, login, "on"),)
    assert not issubclass(errors.GateRefusal, psycopg.Error)
