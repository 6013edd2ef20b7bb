"""`pocketlet chat` against the stand-in: an agent from a sentence, a question, a change, and back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command_line
import pytest

SENTENCE = "Answer my shop's mail (orders, returns) from what we already know."
LETTER = "From: Ann <ann@customer.example>\nTo: shop@shop.example\nSubject: My order\n\nWhere is my order 12?\n"


@pytest.fixture
def desk(bare: command_line.Cli, standin_url: str, tmp_path: Path) -> Iterator[command_line.Cli]:
    """The program on the stand-in, with a letter in the folder; an agent `desk` is removed afterwards."""
    cli = command_line.Cli({**bare.env, "OPENAI_BASE_URL": standin_url, "POCKETLET_MODEL": "openai:standin"})
    (tmp_path / "letter.eml").write_text(LETTER)
    yield cli
    cli("agent", "remove", "desk", "--yes")


def events(result: command_line.Result) -> list[dict[str, Any]]:
    """What it printed with --json."""
    assert result.out.isascii()
    return [json.loads(line) for line in result.out.splitlines()]


def test_an_agent_from_one_sentence(desk: command_line.Cli, tmp_path: Path) -> None:
    talked = desk("chat", "desk", SENTENCE)
    assert talked.code == 0, talked.err
    assert "I propose an agent with this job" in talked.out
    assert "Change card: revision 2, asked." in talked.out
    assert "`pocketlet adopt desk 2` or `pocketlet discard desk 2`" in talked.out
    assert desk("agent", "show", "desk", "--json").json["revision"] == 1
    turned_down = desk("chat", "desk", "discard")  # as a message: it acts on the card of the last turn
    assert turned_down.out.strip() == "desk: revision 2 is discarded."
    twice = desk("chat", "desk", stdin="accept\n")
    assert twice.err.startswith("Error: Revision 2 is discarded, not a draft.")
    again = desk("chat", "desk", SENTENCE, "--accept")
    assert "desk: revision 3 is the current one. `pocketlet rollback desk 1` goes back." in again.out
    run = desk("run", "desk", "--input", tmp_path / "letter.eml", "--json")
    assert run.code == 3, run.err
    [question] = run.json["approvals"]
    assert question["to"] == "ann@customer.example"
    assert "sql" in {step["tool"] for step in run.json["steps"]}


def test_a_question_a_change_and_back(desk: command_line.Cli, tmp_path: Path) -> None:
    assert desk("chat", "desk", SENTENCE, "--accept").code == 0
    first = desk("run", "desk", "--input", tmp_path / "letter.eml", "--json").json
    asked = events(desk("chat", "desk", "How many runs were there?", "--json"))
    assert [event["event"] for event in asked] == ["step", "step", "step", "reply"]
    assert asked[1]["tool"] == "sql"
    assert asked[1]["error"] is None
    assert str(first["run"]) in asked[-1]["text"]
    sent = desk("chat", "desk", "What did you send last week?", "--json")
    assert events(sent)[-1]["text"].startswith("1 row: ")
    looked = desk("show", events(sent)[-1]["run"], "--json").out
    assert "whoever wrote" in looked
    assert "ann@customer.example" not in looked
    assert "mail to ann@customer.example" in desk("show", first["run"]).out
    lines = "From now on never promise a date.\naccept\nundo\nundo\n"
    told = events(desk("chat", "desk", "--json", stdin=lines))
    kinds = [event["event"] for event in told if event["event"] != "step"]
    assert kinds == ["reply", "card", "accept", "undo", "error"]
    card = next(event for event in told if event["event"] == "card")
    assert (card["state"], card["revision"], card["parent"]) == ("asked", 3, 2)
    assert "+From now on never promise a date." in card["diff"]
    again = desk("run", "desk", "--input", tmp_path / "letter.eml", "--json").json
    assert again["briefing_hash"] == first["briefing_hash"]


def test_a_change_is_discarded(desk: command_line.Cli) -> None:
    assert desk("chat", "desk", SENTENCE, "--accept").code == 0
    told = desk("chat", "desk", stdin="\nAlways say thanks.\ndiscard\n")
    assert "desk: revision 3 is discarded." in told.out
    assert "+Always say thanks." in told.out
    assert desk("agent", "show", "desk", "--json").json["lessons"] == []


def test_a_table_is_kept_track_of(desk: command_line.Cli) -> None:
    assert desk("chat", "desk", SENTENCE, "--accept").code == 0
    told = desk("chat", "desk", "Keep track of complaints (customer, reason).", "--accept")
    assert told.code == 0, told.err
    tables = desk("agent", "show", "desk", "--json").json["tables"]
    assert any(line.startswith("complaints(id bigint, customer text, reason text)") for line in tables)
    assert desk("sql", "desk", "SELECT count(*) FROM complaints", "--json").json["rows"] == [["0"]]


def test_what_is_missing_is_said(bare: command_line.Cli, cli: command_line.Cli, talker: str) -> None:
    unset = bare("chat", "nobody", "Answer mail.")
    assert (unset.code, unset.out) == (2, "")
    assert "Next: Set POCKETLET_MODEL" in unset.err
    assert bare("chat", "nobody", "--accept").code == 2
    assert cli("chat", talker, " ").code == 2
    assert cli("chat", talker, "Hello.").out == "Nothing to do.\n"


def test_a_turn_that_fails_is_told_and_the_talk_goes_on(
    cli: command_line.Cli, model: command_line.FakeModel, talker: str
) -> None:
    model.status = 401
    failed = cli("chat", talker, "Hello.", "--json")
    assert failed.code == 7
    assert [event["event"] for event in events(failed)] == ["failed"]
    told = cli("chat", talker, stdin="Hello.\nHello again.\n")
    assert (told.code, told.err.count("Error: ")) == (0, 2)
