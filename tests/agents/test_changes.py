"""Changes in an agent's own tables: a row that becomes what is waited for is a slot, with the write that made it so."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import workshop as workshops
from looked import bodies, look, slots_of, told, trigger_of

from pocketlet import errors
from pocketlet.agents import portable
from pocketlet.agents.triggers import predicates
from pocketlet.agents.waking import changes, looking
from pocketlet.db import bulk, pool

Opener = Callable[..., Awaitable[workshops.Workshop]]
TEA = "CREATE TABLE tea (id int PRIMARY KEY, name text, stock int);"
LOW = '[triggers.low]\nchange = "tea"\nwhere = "new.stock < 5"\ntask = "Order more."\n'
LATER = timedelta(seconds=11)


async def write(shop: workshops.Workshop, *statements: str) -> None:
    """As the agent's own login, in one transaction."""
    async with shop.database.login(shop.name) as app, app.transaction():
        for statement in statements:
            await app.execute(statement.encode())


async def standing(shop: workshops.Workshop) -> list[str]:
    """What stands on the agent's tables."""
    query = """SELECT g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
                WHERE c.relnamespace = to_regnamespace(%s) AND NOT g.tgisinternal ORDER BY 1"""
    return [row["tgname"] for row in await shop.rows(query, shop.name)]


async def outbox(shop: workshops.Workshop) -> int:
    """Rows that wait."""
    return (await shop.row(f"SELECT count(*) AS n FROM {shop.name}_own.outbox"))["n"]


async def rows(shop: workshops.Workshop) -> list[Any]:
    return [(body["op"], body["row"]["id"]) for body in await bodies(shop)]


async def test_a_row_that_becomes_low_is_a_slot_once(open_shop: Opener, turned: Any) -> None:
    shop = await open_shop(LOW, schema__01=TEA)
    assert await look(shop) == 1
    await write(
        shop,
        "INSERT INTO tea VALUES (1, 'green', 9), (2, 'black', 3), (3, 'none', NULL)",
        "UPDATE tea SET stock = 4 WHERE id = 1",
        "UPDATE tea SET stock = 2 WHERE id = 1",
        "UPDATE tea SET stock = 1 WHERE id = 3",
        "UPDATE tea SET stock = 20 WHERE id = 2",
        "UPDATE tea SET stock = 4 WHERE id = 2",
    )
    assert await look(shop) == 0
    await turned.turn(LATER)
    assert await look(shop) == 1
    assert await rows(shop) == [("insert", 2), ("update", 1), ("update", 3), ("update", 2)]
    [first, second, *_] = await bodies(shop)
    assert first == {"op": "insert", "table": "tea", "row": {"id": 2, "name": "black", "stock": 3}}
    assert second["before"] == {"stock": 9}
    assert {slot["about"]["label"] for slot in await slots_of(shop)} == {"outside"}
    assert await outbox(shop) == 0
    await turned.turn(LATER)
    await look(shop)
    assert len(await slots_of(shop)) == 4


async def test_a_write_that_is_taken_back_starts_nothing(open_shop: Opener, turned: Any) -> None:
    shop = await open_shop(LOW, schema__01=TEA)
    await look(shop)
    with pytest.raises(pool.DatabaseError):
        await write(shop, "INSERT INTO tea VALUES (1, 'green', 1)", "INSERT INTO tea VALUES (1, 'again', 1)")
    await turned.turn(LATER)
    await look(shop)
    assert (await slots_of(shop), await outbox(shop)) == ([], 0)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", [("insert", 1), ("update", 1), ("update", 1)]),
        ("old.stock >= 5 and new.stock < 5", [("update", 1)]),
        ("new.name = 'it''s; ) -- x'", [("update", 1)]),
        ("new.stock IN (9, 3) AND length(new.name) > 1", [("insert", 1)]),
    ],
)
async def test_the_condition_is_as_it_says(
    open_shop: Opener, turned: Any, where: str, expected: list[tuple[str, int]]
) -> None:
    line = f'where = "{where}"\n' if where else ""
    shop = await open_shop(f'[triggers.low]\nchange = "tea"\n{line}', schema__01=TEA)
    await look(shop)
    await write(shop, "INSERT INTO tea VALUES (1, 'green', 9)")
    await write(shop, "UPDATE tea SET stock = 3", "UPDATE tea SET stock = 3", "UPDATE tea SET name = 'it''s; ) -- x'")
    await turned.turn(LATER)
    await look(shop)
    assert await rows(shop) == expected


@pytest.mark.parametrize(
    "where",
    ["new.a) EXECUTE FUNCTION f(", "new.a; DROP TABLE tea", "new.a -- x", "new.a /* x", "new.a = $$x$$", "(new.a",
     "new.a = E'\\\\'", "new.a = E'x\\') EXECUTE '", 'new.a = U&"\\0041"', "new.a = 'x", "1 = 1", "new.a]"],
)  # fmt: skip
async def test_what_is_more_than_a_condition_is_not_imported(open_shop: Opener, where: str) -> None:
    with pytest.raises(errors.BadInput):
        predicates.check(where)
    with pytest.raises(errors.BadAgent, match="trigger `low`"):
        await open_shop(f"[triggers.low]\nchange = \"tea\"\nwhere = '''{where}'''\n", schema__01=TEA)


@pytest.mark.parametrize(
    ("entry", "why"),
    [('change = "tea"\nwhere = "new.stok < 5"', "stok"), ('change = "coffee"', "no table coffee"),
     ('change = "memories"', "no table memories"), ('change = "tea"\nwhere = "new.stock < (select 5)"', "subquery")],
)  # fmt: skip
async def test_what_postgres_does_not_take_is_one_notice(open_shop: Opener, entry: str, why: str) -> None:
    shop = await open_shop(f"[triggers.low]\n{entry}\n", schema__01=TEA)
    await look(shop)
    [notice] = await told(shop)
    assert why in notice["title"]
    assert await standing(shop) == []
    await write(shop, "INSERT INTO tea VALUES (1, 'green', 9)")


async def test_another_revision_moves_what_stands_on_the_tables_and_none_leaves_nothing(
    open_shop: Opener, turned: Any, tmp_path: Path
) -> None:
    shop = await open_shop(LOW, schema__01=TEA)
    await look(shop)
    number = (await trigger_of(shop))["id"]
    both = [f"pocketlet_change_{number}_insert", f"pocketlet_change_{number}_update"]
    assert await standing(shop) == both
    await write(shop, "DROP TABLE tea", TEA)
    await turned.turn(LATER)
    await look(shop)
    assert await standing(shop) == both
    folder = workshops.write_folder(tmp_path / "second", shop.name, LOW.replace("< 5", "> old.stock"), schema__01=TEA)
    await portable.renew(shop.database, folder)
    await look(shop)
    assert await standing(shop) == both[1:]
    assert await changes.tidy(shop.database) == 0
    folder = workshops.write_folder(tmp_path / "third", shop.name, "", schema__01=TEA)
    await portable.renew(shop.database, folder)
    await write(shop, "INSERT INTO tea VALUES (1, 'green', 1)", "UPDATE tea SET stock = 2")
    assert await outbox(shop) == 1
    assert await changes.tidy(shop.database) == 1
    assert (await standing(shop), await outbox(shop)) == ([], 0)


async def test_many_rows_are_taken_in_turns_and_two_looks_take_each_once(open_shop: Opener, turned: Any) -> None:
    shop = await open_shop(LOW, schema__01=TEA)
    await look(shop)
    await write(shop, "INSERT INTO tea SELECT n, 'tea', 1 FROM generate_series(1, 1200) n")
    await turned.turn(LATER)
    for _ in range(3):
        assert sum(await asyncio.gather(*(look(shop) for _ in range(3)))) >= 1
    assert await look(shop) == 0
    assert sorted(row for _, row in await rows(shop)) == list(range(1, 1201))


async def test_rows_and_slots_are_one_transaction(open_shop: Opener, turned: Any) -> None:
    shop = await open_shop(LOW, schema__01=TEA)
    await look(shop)
    await write(shop, "INSERT INTO tea VALUES (1, 'green', 1)")
    await turned.turn(LATER)
    cut = """
      CREATE FUNCTION pocketlet.cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN new; END $$;
      CREATE TRIGGER cut BEFORE UPDATE OF cursor ON pocketlet.trigger FOR EACH ROW EXECUTE FUNCTION pocketlet.cut()"""
    async with shop.database.setup() as conn:
        await conn.execute(cut.encode())
    try:
        await look(shop)
        assert (await slots_of(shop), await outbox(shop)) == ([], 1)
    finally:
        async with shop.database.setup() as conn:
            await conn.execute(b"DROP FUNCTION pocketlet.cut() CASCADE")
    await turned.turn(timedelta(seconds=looking.LEASE + 1))
    await look(shop)
    assert (await rows(shop), await outbox(shop)) == ([("insert", 1)], 0)


async def test_the_outbox_is_nobodys_to_read_and_no_code_of_the_agent_runs_as_the_platform(
    open_shop: Opener, turned: Any
) -> None:
    spy = """
      CREATE TYPE mood AS ENUM ('good', 'bad');
      CREATE TABLE seen (who text);
      CREATE FUNCTION as_json(mood) RETURNS json LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
      BEGIN INSERT INTO {name}.seen VALUES (current_user); RETURN '"moody"'; END $$;
      CREATE CAST (mood AS json) WITH FUNCTION as_json(mood);
      CREATE TABLE tea (id int PRIMARY KEY, mood mood, stock int, body text);"""
    name = workshops.fresh_name()
    shop = await open_shop(LOW, schema__01=spy.replace("{name}", f"desk{int(name[4:]) + 1}"))
    await look(shop)
    await write(shop, "INSERT INTO tea VALUES (1, 'bad', 1, repeat('x', 300000))")
    async with shop.database.login(shop.name) as app:
        row = await (await app.execute(b"SELECT array_agg(DISTINCT who) AS who FROM seen")).fetchone()
        assert row == {"who": [shop.name]}
        for statement in ("SELECT * FROM {}_own.outbox", "DELETE FROM {}_own.outbox"):
            with pytest.raises(pool.DatabaseError, match="permission denied"):
                await app.execute(statement.format(shop.name).encode())
        assert "outbox" not in await bulk.table_map(app, shop.name)
    await turned.turn(LATER)
    await look(shop)
    [body] = await bodies(shop)
    assert (body["row"]["mood"], len(body["row"]["body"])) == ("moody", 20000)
