"""One slot, shown by the command: a list with its items in order, an item, and one that stands alone."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import command_line
import pytest

from pocketlet.agents.waking import rounds
from pocketlet.db import pool

MANIFEST = """
name = "lister"
job = "Look at each."
model = "openai:standin"
price = {input = 0.5, output = 1.5}

[triggers.orders]
result_of = "nobody"
each = "body"
at_once = 2
"""


@pytest.fixture(scope="module")
def desk(bare: command_line.Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[command_line.Cli]:
    """The program, with an agent `lister` whose one trigger is a list."""
    folder = tmp_path_factory.mktemp("lister")
    (folder / "agent.toml").write_text(MANIFEST)
    assert bare("agent", "import", folder).code == 0
    yield bare
    bare("agent", "remove", "lister", "--yes")


async def test_a_list_is_shown_with_its_items_in_order(
    desk: command_line.Cli, db: pool.Database, tmp_path: Path
) -> None:
    body = tmp_path / "orders.json"
    body.write_text(json.dumps(["red", "green", "blue"]))
    fired = await asyncio.to_thread(desk, "trigger", "fire", "lister", "orders", "--input", body, "--json")
    number = fired.json["slot"]
    alone = (await asyncio.to_thread(desk, "slot", "show", number)).out
    assert "state: due" in alone
    assert "items" not in alone
    await rounds.begin_due(db)
    await rounds.begin_due(db)
    told = (await asyncio.to_thread(desk, "slot", "show", number, "--json")).json
    assert (told["state"], told["run"], told["item_count"], told["body_bytes"]) == ("claimed", None, 3, 24)
    found = [(item["position"], item["state"], item["run"] is not None) for item in told["items"]]
    assert found == [(1, "claimed", True), (2, "claimed", True), (3, "due", False)]
    text = (await asyncio.to_thread(desk, "slot", "show", number)).out
    assert "items: 3" in text
    assert [line.split()[0] for line in text.splitlines()[-3:]] == ["1", "2", "3"]
    item = (await asyncio.to_thread(desk, "slot", "show", told["items"][1]["slot"])).out
    assert f"item 2 of slot {number}" in item
    listed = (await asyncio.to_thread(desk, "slot", "list", "lister", "--json")).json["slots"]
    assert [(row["slot"], row["items"]) for row in listed] == [(number, 3)]


def test_a_slot_that_is_not_there_is_told(desk: command_line.Cli) -> None:
    missing = desk("slot", "show", 9_999_999)
    assert missing.code != 0
    assert "slot list" in missing.err
