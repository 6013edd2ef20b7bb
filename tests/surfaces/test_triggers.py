"""Triggers, slots and today through the commands."""

from collections.abc import Iterator
from pathlib import Path

import command_line
import pytest

MANIFEST = """
name = "ticker"
job = "Watch the stock."
model = "openai:standin"
price = {input = 0.5, output = 1.5}
zone = "Europe/Berlin"

[triggers.morning]
schedule = "every weekday at 9"
task = "Write down what is low in stock."

[triggers.mail]
mail = "ticker@shop.example"
"""


@pytest.fixture(scope="module")
def desk(
    bare: command_line.Cli, standin_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[command_line.Cli]:
    """The program on the stand-in, with an agent `ticker` that has two triggers."""
    folder = tmp_path_factory.mktemp("ticker")
    (folder / "agent.toml").write_text(MANIFEST)
    cli = command_line.Cli({**bare.env, "OPENAI_BASE_URL": standin_url, "POCKETLET_MODEL": "openai:standin"})
    assert cli("agent", "import", folder).code == 0
    yield cli
    cli("agent", "remove", "ticker", "--yes")


def test_triggers_are_listed_in_words_with_their_next_time(desk: command_line.Cli) -> None:
    told = desk("trigger", "list", "ticker", "--json").json["triggers"]
    assert [row["trigger"] for row in told] == ["mail", "morning"]
    assert told[1]["cron"] if "cron" in told[1] else told[1]["spec"]["cron"] == "0 9 * * 1-5"
    shown = desk("trigger", "list").out
    assert "Europe/Berlin" in shown
    assert "a mail to ticker@shop.example" in shown


def test_a_schedule_is_tried_without_an_agent(desk: command_line.Cli) -> None:
    told = desk("trigger", "when", "every weekday at 9", "--zone", "Europe/Berlin", "-n", 3, "--json").json
    assert (told["cron"], len(told["due"])) == ("0 9 * * 1-5", 3)
    assert len(desk("trigger", "when", "hourly").out.splitlines()) == 6
    wrong = desk("trigger", "when", "whenever you like")
    assert (wrong.code, "Next:" in wrong.err) == (2, True)
    assert "Europe/Berlin" in desk("trigger", "when", "hourly", "--zone", "Europe/Berlim").err


def test_a_trigger_is_paused_fired_and_resumed(desk: command_line.Cli) -> None:
    assert desk("trigger", "pause", "ticker", "morning", "--because", "holiday").code == 0
    assert "paused: holiday" in desk("trigger", "list", "ticker").out
    assert "paused: holiday" in desk("today").out
    assert desk("trigger", "resume", "ticker", "morning").code == 0
    number = desk("trigger", "fire", "ticker", "morning", "--json").json["slot"]
    [slot] = desk("slot", "list", "ticker", "--trigger", "morning", "--json").json["slots"]
    assert (slot["slot"], slot["state"]) == (number, "due")
    again = desk("slot", "replay", number, "--json").json["slot"]
    assert len(desk("slot", "list", "ticker").out.splitlines()) == 3
    assert again != number
    assert "2 due: 2 not begun" in desk("today").out


def test_what_is_not_there_is_said(desk: command_line.Cli) -> None:
    assert desk("trigger", "pause", "ticker", "evening").code == desk("slot", "replay", 9_999_999).code != 0
    assert desk("slot", "list", "--trigger", "morning").code == 2


def test_a_simulation_sends_nothing_and_leaves_no_slot(desk: command_line.Cli, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_text(
        "From: a@b.example\nTo: ticker@shop.example\nSubject: Tea\nMessage-ID: <s1@b.example>\n\nHello?\n"
    )
    before = len(desk("slot", "list", "ticker", "--json").json["slots"])
    told = desk("trigger", "simulate", "ticker", "mail", "--input", letter, "--json")
    assert told.json["state"] in ("done", "failed"), told.err
    assert len(desk("slot", "list", "ticker", "--json").json["slots"]) == before


def test_a_forecast_counts_what_a_schedule_will_bring(desk: command_line.Cli) -> None:
    rows = {row["what"]: row for row in desk("cost", "ticker", "--forecast", "--json").json["rows"]}
    assert 20 <= rows["morning"]["slots"] <= 23
    assert rows["morning"]["usd"] is None
    assert "Without a figure" in desk("cost", "ticker", "--forecast").out
