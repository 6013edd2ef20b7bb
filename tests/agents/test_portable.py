"""Import and export: all of a folder or nothing, and the same agent wherever it is carried."""

import dataclasses
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_model import calls, finishes
from workshop import Workshop, fresh_name, mail, write_folder

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import portable, revisions, work
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.platform import database

SCHEMA = """
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, note text, "Odd ""name" text);
"""
CUSTOMERS = "CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);"


@pytest.fixture
async def named(db: pool.Database) -> AsyncGenerator[str]:
    """The name of an agent that is removed afterwards, if there is one."""
    name = fresh_name()
    yield name
    async with db.api() as conn:
        known = {agent.name for agent in await agents.everyone(conn)}
    if name in known:
        await portable.remove(db, name)


async def traces(db: pool.Database, name: str) -> list[str]:
    """What the cluster knows of an agent of that name."""
    query = """
    SELECT 'role ' || rolname AS trace FROM pg_roles WHERE rolname ~ ('^' || %(name)s::text || '(_ro|_mgr|_try|_bnd)?$')
    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = %(name)s::text
    UNION ALL SELECT 'agent ' || name FROM pocketlet.agent WHERE name = %(name)s::text
    """
    async with db.setup() as conn:
        return [row["trace"] for row in await (await conn.execute(query, {"name": name})).fetchall()]


async def rows(db: pool.Database, name: str, query: str) -> list[dict[str, Any]]:
    """Rows as the agent itself sees them."""
    async with db.login(name) as conn:
        return list(await (await conn.execute(query.encode())).fetchall())


async def test_three_lines_are_an_agent(db: pool.Database, named: str, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(f'name = "{named}"\njob = "Do it."\nmodel = "openai:x"\n')
    agent = await portable.load(db, tmp_path)
    assert (agent.name, agent.current) == (named, 1)
    async with db.api() as conn:
        playbook = await revisions.load(conn, agent, 1)
    assert playbook.manifest.job == "Do it."
    assert playbook.instructions == ""
    with pytest.raises(errors.Conflict):
        await portable.load(db, tmp_path)
    assert len(await traces(db, named)) == 7


async def test_windows_files_are_read_like_any(db: pool.Database, named: str, tmp_path: Path) -> None:
    write_folder(tmp_path, named, schema__01_customers=CUSTOMERS, lessons__be_kind="x")
    (tmp_path / "lessons" / "be_kind.md").unlink()
    toml = (tmp_path / "agent.toml").read_text()
    (tmp_path / "agent.toml").write_bytes(b"\xef\xbb\xbf" + toml.replace("\n", "\r\n").encode())
    schema = tmp_path / "schema" / "01_customers.sql"
    schema.write_bytes(b"\xef\xbb\xbf" + schema.read_bytes().replace(b";", b";\r\n"))
    lesson = "---\r\ntopic: Kindness\r\nwhen: {intent: late_order}\r\n---\r\nBe kind.\r\n"
    (tmp_path / "lessons" / "be-kind.md").write_bytes(b"\xef\xbb\xbf" + lesson.encode())
    (tmp_path / "data").mkdir()
    data = 'id,name\r\n1,"O\'Neil, ""Ann"" \u00fc"\r\n2,"two\r\nlines"\r\n'
    (tmp_path / "data" / "customers.csv").write_bytes(b"\xef\xbb\xbf" + data.encode())
    agent = await portable.load(db, tmp_path)
    assert await rows(db, named, "SELECT id, name FROM customers ORDER BY id") == [
        {"id": 1, "name": 'O\'Neil, "Ann" \u00fc'},
        {"id": 2, "name": "two\r\nlines"},
    ]
    assert await rows(db, named, "INSERT INTO customers (name) VALUES ('next') RETURNING id") == [{"id": 3}]
    async with db.api() as conn:
        (lesson_row,) = (await revisions.load(conn, agent, 1)).lessons
    assert (lesson_row.topic, lesson_row.body, lesson_row.predicate) == (
        "Kindness",
        "Be kind.",
        {"intent": "late_order"},
    )


async def test_rows_are_loaded_after_those_that_they_refer_to(db: pool.Database, named: str, tmp_path: Path) -> None:
    write_folder(tmp_path, named, schema__01_customers=CUSTOMERS, schema__02_orders=SCHEMA)
    (tmp_path / "data").mkdir()
    # By name, `customers` would come first anyway: a third table turns it around.
    (tmp_path / "schema" / "03_a.sql").write_text("CREATE TABLE a_note (id int, o int REFERENCES orders);")
    (tmp_path / "data" / "a_note.csv").write_text("id,o\n1,7\n")
    (tmp_path / "data" / "orders.csv").write_text('id,customer,"Odd ""name"\n7,1,x\n')
    (tmp_path / "data" / "customers.csv").write_text("id,name\n1,Ann\n")
    await portable.load(db, tmp_path)
    assert await rows(db, named, "SELECT a.id, o.customer, o.note FROM a_note a JOIN orders o ON o.id = a.o") == [
        {"id": 1, "customer": 1, "note": None}
    ]


BROKEN = [
    ("schema/01_bad.sql", "CREATE TABLE fine (id int);\n\nCREATE TABEL bad (id int);\n", "schema/01_bad.sql, line 3"),
    ("schema/01_bad.sql", 'CREATE TABLE "../../evil" (id int);', "a table's name holds no slash"),
    ("schema/01_bad.sql", "CREATE ROLE evil;\n", "schema/01_bad.sql: permission denied to create role"),
    ("schema/01_bad.sql", "COMMIT;\nDROP TABLE memories;\n", "schema/01_bad.sql"),
    ("data/customers.csv", "id,name\n1,Ann\n2,Bob\nx,Cora\n", "data/customers.csv: line 4"),
    ("data/customers.csv", "id,name,age\n1,Ann,3\n", "data/customers.csv"),
    ("data/customers.csv", "", "data/customers.csv is empty"),
    ("data/customers.csv", b"id,name\n1,\xff\xfe\n", "data/customers.csv is not UTF-8"),
    ("data/nothing.csv", "id\n1\n", "there is no table 'nothing'"),
    ("data/memories.jsonl", '{"subject": "a"}\n{"subject": }\n', "data/memories.jsonl, line 2, column 13"),
    (
        "data/memories.jsonl",
        '{"subject": "a"}\n\n[1]\n',
        "data/memories.jsonl, line 3: each line must be a JSON object",
    ),
    ("data/memories.jsonl", '{"subject": "a"}\n{"color": "b"}\n', "data/memories.jsonl, line 2"),
    ("data/memories.jsonl", '{"subject": "a", "integrity": "holy"}\n', "data/memories.jsonl, line 1"),
    ("agent.toml", 'name = "x"\njob = \n', "agent.toml is not valid TOML"),
    ("agent.toml", 'name = "x"\njob = "y"\nmodel = "gpt5"\n', "`model` is written provider:name"),
    ("agent.toml", 'name = "x"\njob = "y"\nmodel = "acme:gpt"\n', "providers are openai"),
    (
        "agent.toml",
        'name = "x"\njob = "y"\nmodel = "openai:z"\n[triggers]\nmail = "nonsense"\n',
        "is not one plain mail address",
    ),
    ("lessons/Bad.md", "x", "lessons/Bad.md"),
    ("lessons/bad.md", "---\nwhen: [\n---\nx", "lessons/bad.md: the front matter is not valid YAML (line"),
    ("lessons/bad.md", "---\nsince: next week\n---\nx", "lessons/bad.md: `since` must be like"),
    ("skills/empty/notes.md", "x", "skills/empty has no SKILL.md"),
]


@pytest.mark.parametrize(("path", "text", "said"), BROKEN, ids=[f"{path} {said[:40]}" for path, _, said in BROKEN])
async def test_a_folder_with_a_mistake_leaves_nothing(
    db: pool.Database, named: str, tmp_path: Path, path: str, text: str | bytes, said: str
) -> None:
    write_folder(tmp_path, named, schema__00_customers=CUSTOMERS)
    target = tmp_path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(errors.BadInput) as caught:
        await portable.load(db, tmp_path)
    assert said in str(caught.value)
    assert isinstance(caught.value, errors.BadAgent)
    assert await traces(db, named) == []


@pytest.mark.parametrize("path", ["INSTRUCTIONS.md", "skills/reply/SKILL.md", "data", "lessons/x.md"])
async def test_a_link_out_of_the_folder_is_refused(db: pool.Database, named: str, tmp_path: Path, path: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine alone")
    folder = tmp_path / "folder"
    write_folder(folder, named)
    link = folder / path
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    with pytest.raises(errors.BadAgent, match="a link to a file outside the folder"):
        await portable.load(db, folder)
    assert await traces(db, named) == []


@pytest.mark.parametrize("name", ["pocketlet", "public", "pg_x", "pd_api", "crm_ro", "Shop", "shop-1", "a" * 42, "1a"])
async def test_some_names_are_not_for_agents(db: pool.Database, tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, name)
    with pytest.raises(errors.BadAgent):
        await portable.load(db, tmp_path)


async def briefings(db: pool.Database, name: str) -> dict[str, str]:
    """The hash of the briefing for each of a few tasks."""
    async with db.api() as conn:
        agent = await agents.get(conn, name)
        playbook = await revisions.load(conn, agent, agent.current)
    given = [mail(), mail("Do you have tea?", number=2), b"Just a text.", b'{"a": 1}']
    hashes: dict[str, str] = {}
    for raw in given:
        task = tasks.read(raw)
        facts = tasks.facts(task, playbook.manifest)
        hashes[task.text] = work.compiled(playbook, task, facts, "openai:x").hash
    return hashes


async def lived_in(open_shop: Any) -> Workshop:
    """An agent with rows, lessons, a skill, memories and results."""
    shop = await open_shop(
        schema__01_customers=CUSTOMERS,
        schema__02_orders=SCHEMA,
        **{"lessons__be-kind": "---\ntopic: 'Kind: \"very\"'\nwhen: {intent: late_order}\n---\nBe kind.\n\nAlways.\n"},
    )
    async with shop.database.login(shop.name) as conn:
        await conn.execute("INSERT INTO customers (name) VALUES ('O''Neil, \"Ann\"'), (E'tab\\there'), ('')")
        await conn.execute("INSERT INTO orders VALUES (2, 1, NULL, ''), (1, 3, '\\.', E'back\\\\slash')")
    shop.says(
        calls(("remember", {"kind": "note", "subject": "From outside \U0001f600", "body": 'a "quoted"\nline'})),
        finishes("Remembered."),
    )
    await shop.run(mail())
    shop.says(calls(("remember", {"kind": "fact", "subject": "From the owner"})), finishes())
    await shop.run(b"Remember it.")
    return shop


def read_all(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_an_exported_agent_is_the_same_in_another_database(open_shop: Any, tmp_path: Path) -> None:
    shop = await lived_in(open_shop)
    first, second = tmp_path / "first", tmp_path / "second"
    await portable.save(shop.database, shop.name, first)
    address = dataclasses.replace(shop.database.address, database="elsewhere")
    async with database._prepared(address) as elsewhere:
        await portable.load(elsewhere, first)
        try:
            assert await briefings(elsewhere, shop.name) == await briefings(shop.database, shop.name)
            await portable.save(elsewhere, shop.name, second)
            assert read_all(second) == read_all(first)
            labels = "SELECT subject, integrity, origin_run FROM memories ORDER BY id"
            assert await rows(elsewhere, shop.name, labels) == await rows(shop.database, shop.name, labels)
            await _runs_there(elsewhere, shop)
        finally:
            await portable.remove(elsewhere, shop.name)
    assert await rows(shop.database, shop.name, "SELECT count(*) FROM orders") == [{"count": 2}]


async def _runs_there(elsewhere: pool.Database, shop: Workshop) -> None:
    """Runs count from 1 again in another database: their results must not be lost among the imported ones."""
    before = len(await rows(elsewhere, shop.name, "SELECT FROM results"))
    there = Workshop(elsewhere, shop.agent, shop.model, shop.mail, shop.engine, [])
    there.engine = dataclasses.replace(shop.engine, database=elsewhere, worker=None)  # type: ignore[arg-type]
    there.think(database=elsewhere)
    there.says(finishes("Done elsewhere."))
    numbers = [await there.run(b"Go.") for _ in range(3)]
    assert 1 in numbers
    assert len(await rows(elsewhere, shop.name, "SELECT FROM results")) == before + 3


async def test_what_is_exported_says_what_there_is(open_shop: Any, tmp_path: Path) -> None:
    shop = await lived_in(open_shop)
    await portable.save(shop.database, shop.name, tmp_path / "out")
    files = read_all(tmp_path / "out")
    assert set(files) == {
        "agent.toml",
        "INSTRUCTIONS.md",
        "lessons/be-kind.md",
        "schema/01_customers.sql",
        "schema/02_orders.sql",
        "data/customers.csv",
        "data/orders.csv",
        "data/memories.jsonl",
        "data/results.jsonl",
    }
    kept = [json.loads(line) for line in files["data/memories.jsonl"].splitlines()]
    assert [(row["subject"], row["integrity"]) for row in kept] == [
        ("From outside \U0001f600", "outside"),
        ("From the owner", "owner"),
    ]
    with pytest.raises(errors.Conflict):
        await portable.save(shop.database, shop.name, tmp_path / "out")


async def test_a_table_whose_name_leads_elsewhere_is_not_exported(shop: Workshop, tmp_path: Path) -> None:
    async with shop.database.login(shop.name) as conn:
        await conn.execute('CREATE TABLE "../../evil" AS SELECT 1 AS i')
    with pytest.raises(errors.Conflict, match="outside of"):
        await portable.save(shop.database, shop.name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("evil*"))


async def test_a_changed_folder_becomes_the_next_revision(open_shop: Any, tmp_path: Path) -> None:
    shop = await lived_in(open_shop)
    folder = tmp_path / "out"
    await portable.save(shop.database, shop.name, folder)
    before = await briefings(shop.database, shop.name)
    (folder / "INSTRUCTIONS.md").write_text("Be brief.\n")
    (folder / "lessons" / "be-kind.md").unlink()
    agent, n = await portable.renew(shop.database, folder)
    assert (agent.name, n) == (shop.name, 2)
    after = await briefings(shop.database, shop.name)
    assert all(after[task] != before[task] for task in before)
    async with shop.database.api() as conn:
        agent = await agents.get(conn, shop.name)
        await revisions.decide(conn, agent, 1, "rollback")
    assert await briefings(shop.database, shop.name) == before

    (folder / "schema" / "03_more.sql").write_text("CREATE TABLE more (id int);")
    with pytest.raises(errors.Conflict, match="schema/ differs"):
        await portable.renew(shop.database, folder)


async def test_a_removed_agent_leaves_its_costs_and_nothing_else(open_shop: Any) -> None:
    shop = await open_shop()
    shop.says(finishes())
    done = await shop.run(b"Go.")
    scopes = "SELECT FROM pocketlet.budget WHERE scope = 'run:' || %s OR scope LIKE 'agent:' || %s || ':%%'"
    assert len(await shop.rows(scopes, done, shop.agent.id)) == 2
    waiting = await shop.create(b"Later.")
    assert await shop.jobs(waiting) == 1
    await portable.remove(shop.database, shop.name)
    assert await traces(shop.database, shop.name) == []
    assert await shop.jobs(waiting) == 0
    assert await shop.rows(scopes, done, shop.agent.id) == []
    ledger = await shop.rows(
        "SELECT agent_id, run_id, cost > 0 AS paid FROM pocketlet.ledger WHERE agent = %s", shop.name
    )
    assert ledger == [{"agent_id": None, "run_id": None, "paid": True}]
    for table in ("run", "revision", "feedback", "decision", "effect"):
        query = f"SELECT FROM pocketlet.{table} WHERE agent_id = %s"
        assert await shop.rows(query, shop.agent.id) == []
    await portable.load(shop.database, _folder_of(shop))  # the name is free again


def _folder_of(shop: Workshop) -> Path:
    return shop.mail.maildir.parent / shop.name


printable = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r"), max_size=60)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2026-11-22", "2026-11-22T00:00:00+00:00"),
        ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00+00:00"),
        ("'2026-11-22T09:00:00+23:00'", "2026-11-21T10:00:00+00:00"),
    ],
)
def test_since_is_a_point_in_time(given: str, stored: str) -> None:
    assert playbooks.parse_lesson("l", f"---\nsince: {given}\n---\nBe kind.", since="never").since == stored


@given(
    topic=printable,
    body=printable.filter(str.strip),
    when=st.dictionaries(printable, printable, max_size=3),
    expect=st.lists(
        st.builds(lambda text: {"kind": "contains", "text": text}, printable.filter(str.strip)), max_size=3
    ),
)
def test_a_lesson_is_read_back_as_it_was_written(
    topic: str, body: str, when: dict[str, str], expect: list[dict[str, str]]
) -> None:
    since = "2026-11-22T00:00:00+00:00"
    lesson = playbooks.Lesson("l", topic or "t", body.strip(), when, "owner", since, expect=tuple(expect))
    again = playbooks.parse_lesson("l", playbooks.spell_lesson(lesson), since="never")
    assert again == lesson


@pytest.mark.parametrize(
    "expect", ["sorry", "[sorry]", "7", "{kind: contains}", "[{kind: contains}]", "[{kind: nice, text: x}]"]
)
def test_what_a_lesson_expects_is_a_list_of_assertions(expect: str) -> None:
    with pytest.raises(errors.BadAgent, match=r"lessons/l\.md: `expect` must be like"):
        playbooks.parse_lesson("l", f"---\nexpect: {expect}\n---\nBe kind.", since="2026-11-22")


def test_who_decides_on_changes_is_said_in_the_manifest() -> None:
    least = 'name = "x"\njob = "y"\nmodel = "openai:z"\n'
    assert manifests.parse(least).adopt == "proven"
    assert manifests.parse(least + '[learning]\nadopt = "ask"').adopt == "ask"
    for more, said in (('adopt = "never"', "must be"), ("adopt = 1", "must be"), ("when = 1", "has no `when`")):
        with pytest.raises(errors.BadAgent, match=rf"agent\.toml: `learning.*{said}"):
            manifests.parse(f"{least}[learning]\n{more}")
    with pytest.raises(errors.BadAgent, match="`learning` must be a table"):
        manifests.parse(f'{least}learning = "ask"')
