"""The queries that the stand-in brings along are ones that the reader runs on an agent's own tables."""

import pytest

from pocketlet.db import bulk, pool, reader
from pocketlet.demo.standin import chat, precedent, proposals, recipe
from pocketlet.platform import apps

VALUES = {"from_address": "ann@example.org", "subject": "Opening hours?", "body": "You don't say when."}


@pytest.mark.parametrize(
    ("subject", "entity", "found"),
    [("opening hours", None, True), ("shoes", "ann@example.org", True), ("shoes", None, False), ("", None, False)],
)
async def test_what_is_known_is_found_by_the_sender_or_by_words(
    db: pool.Database, app: str, subject: str, entity: str | None, found: bool
) -> None:
    async with db.login(app) as conn:
        row = {"subject": subject, "entity": entity}
        await conn.execute("INSERT INTO memories (subject, entity, body) VALUES (%(subject)s, %(entity)s, 'At 9')", row)
    query = recipe.fill_sql(recipe.read(proposals.SKILL).queries[0].text, VALUES)
    rows = await reader.query(db, apps.reader(app), query or "")
    assert rows.rows == (((subject, "At 9"),) if found else ())


async def test_what_was_said_of_like_runs_can_be_asked(db: pool.Database, app: str) -> None:
    async with db.login(app) as conn:
        listed = await bulk.table_map(conn, app)
    query = precedent.query(listed, {"kind": "it's", "tier": "gold"})
    assert (await reader.query(db, apps.reader(app), query or "")).columns == ("comment",)


@pytest.mark.parametrize("words", [frozenset[str](), frozenset({"week"}), frozenset({"today"})])
async def test_what_was_done_can_be_asked(db: pool.Database, app: str, words: frozenset[str]) -> None:
    rows = await reader.query(db, apps.manager(app), chat.DONE.replace("{span}", chat.span("created_at", words)))
    assert rows.columns[0] == "id"
