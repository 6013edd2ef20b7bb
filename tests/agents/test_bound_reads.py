"""A run on somebody's mail sees the rows of whoever wrote, whatever it asks: nobody else's, and no more in a replay."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from scripted_model import calls, finishes
from workshop import CUSTOMER, Workshop, mail, write_folder

from pocketlet import errors
from pocketlet.agents import journal, portable, runs
from pocketlet.db import pool, reader
from pocketlet.learning import adoption
from pocketlet.platform import apps

Opener = Callable[..., Awaitable[Workshop]]
OTHER = "bob@other.example"
SECRET = "canary-of-bob"
READS = """
[reads.bound]
customers = "email"
messages = "customer_id -> customers.email"
sales = {whose = "customer_id -> customers.email", hide = ["order_no", "customer_id"]}
"""
TABLES = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text, email varchar(200) UNIQUE);
CREATE TABLE messages (customer_id bigint REFERENCES customers, body text);
CREATE TABLE sales (customer_id bigint REFERENCES customers, order_no text, product text, price int);
CREATE TABLE products (name text);
CREATE VIEW letters AS SELECT c.email, m.body FROM messages m JOIN customers c ON c.id = m.customer_id;
"""
ROWS = f"""
INSERT INTO customers VALUES (1, 'Ann', 'Ann@Customer.example'), (2, '{SECRET}', '{OTHER}');
INSERT INTO messages VALUES (1, 'hers'), (2, '{SECRET}');
INSERT INTO sales VALUES (1, 'A-1', 'pot', 10), (2, '{SECRET}', 'pot', 30);
INSERT INTO products VALUES ('pot');
INSERT INTO memories (entity, subject, body) VALUES ('{CUSTOMER}', 'hers', 'hers'), ('{OTHER}', '{SECRET}', '{SECRET}'),
  (NULL, '{SECRET} of nobody', '');
"""


@pytest.fixture
async def shop(open_shop: Opener) -> Workshop:
    """A shop with two customers; a run on a mail of the other one left a result and had feedback."""
    opened = await open_shop(READS, schema__01=TABLES)
    async with opened.database.login(opened.name) as conn:
        await conn.execute(ROWS.encode())
    opened.says(finishes(f"{SECRET} is late."))
    run = await opened.run(mail(sender=OTHER))
    said = "INSERT INTO pocketlet.feedback (agent_id, run_id, verdict, comment) VALUES (%s, %s, 'right', %s)"
    await opened.change(said, opened.agent.id, run, SECRET)
    return opened


def bound(shop: Workshop, entity: str = CUSTOMER) -> reader.Bound:
    return reader.Bound(apps.bound(shop.name), entity)


async def rows(shop: Workshop, query: str, entity: str = CUSTOMER) -> list[tuple[str | None, ...]]:
    """What a run of that correspondent would get."""
    return list((await reader.query(shop.database, bound(shop, entity), query)).rows)


async def asked(shop: Workshop, *wanted: tuple[str, dict[str, object]], raw: bytes | None = None) -> list[journal.Step]:
    """The steps of a run that calls these tools."""
    shop.says(*(calls(one) for one in wanted), finishes())
    return [step for step in await shop.steps(await shop.run(raw or mail())) if step.kind == "tool"]


def sql(query: str) -> tuple[str, dict[str, object]]:
    return "sql", {"query": query}


async def test_the_correspondents_rows_and_what_is_shared_are_there(shop: Workshop) -> None:
    assert await rows(shop, "SELECT subject, body FROM memories") == [("hers", "hers")]
    assert await rows(shop, "SELECT name, body FROM customers c JOIN messages m ON c.id = m.customer_id") == [
        ("Ann", "hers")
    ]
    sales = "SELECT customer_id, order_no, product, price FROM sales ORDER BY price"
    assert await rows(shop, sales) == [("1", "A-1", "pot", "10"), (None, None, "pot", "30")]
    assert await rows(shop, "SELECT avg(price)::int FROM sales JOIN products ON name = product") == [("20",)]
    assert await rows(shop, "SELECT count(*) FROM lessons") == [("0",)]
    assert await rows(shop, "SELECT entity FROM results UNION ALL SELECT result FROM runs", OTHER) == [
        (OTHER,), (f"{SECRET} is late.",),
    ]  # fmt: skip
    assert await rows(shop, "SELECT comment FROM feedback", OTHER) == [(SECRET,)]


HOSTILE = [
    "TABLE memories",
    "TABLE results",
    "TABLE runs",
    "TABLE feedback",
    "TABLE customers",
    "TABLE messages",
    "TABLE sales",
    "TABLE letters",
    "SELECT string_agg(m::text, ',') FROM memories m",
    "SELECT to_jsonb(s) FROM sales s",
    "SELECT * FROM memories a FULL JOIN results b ON true FULL JOIN messages c ON true",
    "WITH RECURSIVE w AS (SELECT body FROM messages UNION SELECT m.body FROM messages m JOIN w ON true) TABLE w",
    "SELECT * FROM customers c, LATERAL (SELECT body FROM messages WHERE customer_id <> c.id) o",
    "SELECT (SELECT body FROM messages WHERE customer_id = 2)",
    f"SELECT * FROM memories WHERE entity = '{OTHER}' OR true",
    "SELECT body::int FROM messages WHERE body <> 'hers'",
    "SELECT subject::int FROM memories WHERE subject <> 'hers'",
    "SELECT * FROM memories WHERE subject = 'hers' OR subject::int = 1",
    "SELECT * FROM messages WHERE body = 'hers' OR 1 / (length(body) - 13) = 1",
    "SELECT * FROM sales WHERE order_no = 'A-1' OR order_no::int = 1",
    "SELECT cast(summary AS xml) FROM results",
    "SELECT result::jsonb FROM runs",
    "SELECT comment::date FROM feedback",
    "SELECT query_to_xml('TABLE messages', true, true, '')",
    "SELECT ts_stat('SELECT tsv FROM memories')",
    "TABLE {0}.memories",
    "TABLE {0}.results",
    "TABLE {0}.runs",
    "TABLE {0}.feedback",
    "TABLE {0}.messages",
    "TABLE {0}.sales",
    "TABLE {0}.letters",
    "TABLE {0}.memories_before",
    "TABLE {0}_past.memories",
    "TABLE {0}_own.messages",
    "TABLE pocketlet.scope",
    "SELECT input FROM pocketlet.run",
    "SELECT most_common_vals FROM pg_stats",
    "SELECT stavalues1 FROM pg_statistic",
    "SELECT view_definition FROM information_schema.views",
    "SELECT table_name, column_name FROM information_schema.columns",
    "SELECT set_config('search_path', '{0}', false)",
    "SELECT set_config('pocketlet.entity', 'bob@other.example', false)",
    "EXPLAIN ANALYZE TABLE messages",
]


@pytest.mark.parametrize("query", HOSTILE)
async def test_nothing_of_anybody_else_comes_out(shop: Workshop, query: str) -> None:
    async with shop.database.login(shop.name) as conn:
        await conn.execute("ANALYZE messages, customers, sales")
    try:
        found = str(await rows(shop, query.format(shop.name)))
    except errors.GateRefusal as error:
        found = f"{error} {error.hint}"
    assert SECRET not in found


@pytest.mark.parametrize(
    "table", ["memories", "results", "runs", "feedback", "messages", "customers", "letters", "sales", "memories_before"]
)
async def test_a_table_under_a_view_is_refused(shop: Workshop, table: str) -> None:
    with pytest.raises(errors.GateRefusal, match="permission denied"):
        await rows(shop, f"SELECT count(*) FROM {shop.name}.{table}")


@pytest.mark.parametrize("query", ["TABLE messages", "SELECT * FROM messages WHERE body::int = 1", "TABLE memories"])
async def test_a_plan_quotes_no_row(shop: Workshop, query: str) -> None:
    scope = "INSERT INTO pocketlet.scope (pid, login, entity) VALUES (%s, %s, %s)"
    async with shop.database.login(apps.bound(shop.name)) as conn:
        pid = conn.info.backend_pid
        await shop.change(scope, pid, apps.bound(shop.name), CUSTOMER)
        for how in ("VERBOSE", "ANALYZE, VERBOSE"):
            try:
                said = str(await (await conn.execute(f"EXPLAIN ({how}) {query}".encode())).fetchall())
            except pool.DatabaseError as error:
                said = str(error)
            assert SECRET not in said
        await shop.change("DELETE FROM pocketlet.scope WHERE pid = %s", pid)


async def test_a_session_that_the_platform_does_not_know_sees_nobody(shop: Workshop) -> None:
    scope = "INSERT INTO pocketlet.scope (pid, login, entity) VALUES (%s, 'somebody_bnd', %s)"
    async with shop.database.login(apps.bound(shop.name)) as conn:
        await shop.change(scope, conn.info.backend_pid, CUSTOMER)  # of another login that had this process before
        for table in ("memories", "results", "runs", "messages"):
            assert await (await conn.execute(f"TABLE {table}".encode())).fetchall() == []
        await shop.change("DELETE FROM pocketlet.scope WHERE pid = %s", conn.info.backend_pid)


async def test_runs_of_two_correspondents_at_once_see_their_own(shop: Workshop) -> None:
    queries = [rows(shop, "SELECT email FROM customers", (CUSTOMER, OTHER)[turn % 2]) for turn in range(40)]
    found = await asyncio.gather(*queries)
    assert found == [[("Ann@Customer.example",)], [(OTHER,)]] * 20
    assert await shop.rows("SELECT FROM pocketlet.scope") == []


@pytest.mark.parametrize(
    ("sender", "seen"),
    [
        ("ANN@CUSTOMER.EXAMPLE", 1),
        ("ann+shop@customer.example", 0),
        ("a.nn@customer.example", 0),
        ("ann@customer.example.evil.example", 0),
        ("ann@customer%", 0),
        ("", 0),
        ("ann@c\N{KELVIN SIGN}", 0),
    ],
)
async def test_which_addresses_are_the_same(shop: Workshop, sender: str, seen: int) -> None:
    await shop.change(f"INSERT INTO {shop.name}.memories (entity, subject) VALUES ('', 'x'), ('ann@ck', 'x')")
    assert len(await rows(shop, "TABLE memories", sender)) == seen


async def test_every_lookup_of_a_run_on_a_mail_is_bound(shop: Workshop) -> None:
    every = (sql("SELECT subject FROM memories"), ("search", {"words": "hers"}), ("search", {"words": SECRET}))
    read = [
        ("read", {"table": table, "id": number}) for table, number in (("memories", 1), ("memories", 2), ("results", 1))
    ]
    steps = await asked(shop, *every, *read)
    assert not any(SECRET in str(step.response) + str(step.error) for step in steps)
    assert [bool(step.error) for step in steps] == [False] * 4 + [True] * 2 + [False]
    steps = await asked(shop, *every, *read, raw=b"What do we know?")
    assert sum(SECRET in str(step.response) for step in steps) == 4


def trial_of(shop: Workshop, case: int, recorded: runs.Run) -> dict[str, object]:
    values = {"agent": shop.agent.id, "kind": "trial", "revision": shop.agent.current, "case": case}
    return values | {"input": recorded.input, "facts": recorded.facts, "label": recorded.label}


async def test_a_replay_sees_what_the_run_could_see(shop: Workshop) -> None:
    await asked(shop, sql("SELECT subject FROM memories"))
    number = (await shop.row("SELECT max(id) AS id FROM pocketlet.run WHERE agent_id = %s", shop.agent.id))["id"]
    made = "INSERT INTO pocketlet.cases (agent_id, run_id) VALUES (%s, %s) RETURNING id"
    case = (await shop.row(made, shop.agent.id, number))["id"]
    await shop.change(f"INSERT INTO {shop.name}.memories (entity, subject, v_from) VALUES (%s, 'later', 99)", CUSTOMER)
    async with shop.database.api() as conn:
        trial = await runs.insert(conn, trial_of(shop, case, await runs.load(conn, number)))
    shop.says(calls(sql("SELECT body FROM memories")), calls(sql("TABLE messages")), finishes())
    await shop.advance(trial)
    memories, messages = [step for step in await shop.steps(trial) if step.tool == "sql"]
    assert (memories.response, memories.meta["replayed"]) == ("body\nhers\n(1 row)", False)
    assert SECRET not in str(messages.response)


async def test_a_run_on_a_mail_remembers_about_whoever_wrote(shop: Workshop) -> None:
    note = {"kind": "note", "subject": "a lie"}
    about = [{"entity": OTHER}, {"entity": CUSTOMER}, {}]
    steps = await asked(shop, *(("remember", note | entity) for entity in about))
    assert [step.response for step in steps[:3]] == [f"remembered, as about {CUSTOMER}", "remembered", "remembered"]
    kept = f"SELECT DISTINCT entity FROM {shop.name}.memories WHERE subject = 'a lie'"
    assert await shop.rows(kept) == [{"entity": CUSTOMER}]
    await asked(shop, ("remember", {**note, "subject": "true", "entity": OTHER}), raw=b"Bob pays late. Keep that.")
    assert ("true",) in await rows(shop, "SELECT subject FROM memories", OTHER)


async def test_what_the_owner_opens_is_seen_and_a_new_revision_counts_at_once(shop: Workshop, tmp_path: Path) -> None:
    more = f'[reads]\nopen = ["memories", "letters", "runs", "results", "feedback"]\n{READS}'
    folder = write_folder(tmp_path / "wider", shop.name, more, schema__01=TABLES)
    await portable.renew(shop.database, folder)
    every = [sql(f"TABLE {table}") for table in ("memories", "letters", "runs", "results", "feedback")]
    assert all(SECRET in str(step.response) for step in (await asked(shop, *every))[:5])
    assert all(SECRET not in str(step.response) for step in await asked(shop, sql("TABLE messages")))
    async with shop.database.api() as conn:
        await adoption.roll_back(conn, shop.agent, 1)
    assert all(SECRET not in str(step.response) for step in await asked(shop, *every))


async def test_a_folder_whose_reads_fit_no_table_changes_nothing(shop: Workshop, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "wrong", shop.name, '[reads]\nopen = ["memories", "nothing"]', schema__01=TABLES)
    with pytest.raises(errors.BadAgent, match="there is no table nothing"):
        await portable.renew(shop.database, folder)
    assert list(await shop.states()) == [1]
    assert SECRET not in str(await rows(shop, "TABLE memories"))


async def test_a_run_is_told_what_it_sees(shop: Workshop) -> None:
    await asked(shop)
    await asked(shop, raw=b"What do we know?")
    said = "SELECT briefing->>'system' AS said FROM pocketlet.run WHERE agent_id = %s ORDER BY id DESC LIMIT 2"
    owners, mails = await shop.rows(said, shop.agent.id)
    told = (
        "Of memories, results, runs, feedback, customers, messages you see only the rows of whoever wrote. "
        "Of sales the rows of others are without order_no, customer_id."
    )
    assert told in mails["said"]
    assert told not in owners["said"]


WRONG = [
    ("[reads]\nclosed = 1", "`reads` has no `closed`"),
    ('[reads]\nopen = "memories"', "`reads.open` must be a list"),
    ("[reads]\nbound = 1", "`reads.bound` must be a table"),
    ("[reads.bound]\nmessages = 1", "must be like"),
    ('[reads.bound]\nmessages = "a -> b"', "must be like"),
    ('[reads.bound]\nmessages = {whose = "body", show = ["x"]}', "must be like"),
    ('[reads.bound]\nmemories = "subject"', "memories needs no `reads.bound`"),
    ('[reads]\nopen = ["messages"]\nbound = {messages = "body"}', "as bound and as open"),
    ('[reads]\nopen = ["nothing"]', "there is no table nothing"),
    ('[reads.bound]\nnothing = "email"', "there is no table nothing"),
    ('[reads.bound]\ncustomers = "mail"', "customers has no column mail"),
    ('[reads.bound]\ncustomers = {whose = "email", hide = ["age"]}', "customers has no column age"),
    ('[reads.bound]\ncustomers = "id"', "customers.id is no text"),
    ('[reads.bound]\nmessages = "customer_id -> buyers.email"', "there is no table buyers"),
    ('[reads.bound]\nmessages = "customer_id -> customers.id"', "customers.id is no text"),
    ('[reads.bound]\nmessages = "body -> customers.email"', "messages.body does not refer to customers"),
]


@pytest.mark.parametrize(("more", "said"), WRONG)
async def test_reads_that_fit_no_table_are_refused_whole(
    db: pool.Database, tmp_path: Path, more: str, said: str
) -> None:
    folder = write_folder(tmp_path / "wrong", "wrongly", more, schema__01=TABLES)
    with pytest.raises(errors.BadAgent, match=said):
        await portable.load(db, folder)
    async with db.setup() as conn:
        left = await (await conn.execute("SELECT FROM pg_roles WHERE rolname ~ '^wrongly'")).fetchall()
    assert left == []
