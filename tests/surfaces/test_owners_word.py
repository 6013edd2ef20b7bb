"""The owner's word through the commands: an edit, a standing rule, a refusal that teaches, and a dry run."""

from collections.abc import Iterator
from pathlib import Path

import command_line
import pytest

SENTENCE = "Answer my shop's mail (orders, returns) from what we already know."
LETTER = "From: Ann <ann@customer.example>\nTo: shop@shop.example\nSubject: My order\n\nWhere is my order 12?\n"


@pytest.fixture(scope="module")
def desk(
    bare: command_line.Cli, standin_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[command_line.Cli]:
    """The program on the stand-in, with an agent `asker` that answers mail."""
    cli = command_line.Cli({**bare.env, "OPENAI_BASE_URL": standin_url, "POCKETLET_MODEL": "openai:standin"})
    assert cli("chat", "asker", SENTENCE, "--accept").code == 0
    yield cli
    cli("agent", "remove", "asker", "--yes")


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.eml"
    path.write_text(LETTER)
    return path


def asked(desk: command_line.Cli, letter: Path) -> int:
    """The approval that a new run waits for."""
    run = desk("run", "asker", "--input", letter, "--json")
    assert run.code == 3, run.err
    return run.json["approvals"][0]["approval"]


def test_an_edited_text_is_what_goes(desk: command_line.Cli, letter: Path, tmp_path: Path) -> None:
    number = asked(desk, letter)
    (tmp_path / "own.txt").write_text("Dear Ann, it is on its way.\n")
    told = desk("approve", number, "--edit", tmp_path / "own.txt", "--json")
    assert "This text goes instead:\n  | Dear Ann, it is on its way.\n" in told.err
    assert "do not show" not in told.err
    assert told.code == 7  # there is no mail server here: it is approved, and waits
    effect = told.json["effects"][-1]
    assert (effect["state"], effect["request"]["body"]) == ("approved", "Dear Ann, it is on its way.\n")
    assert [one["state"] for one in told.json["effects"]] == ["replaced", "approved"]


def test_what_does_not_show_in_an_edit_is_drawn(desk: command_line.Cli, letter: Path, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("Dear Ann,\npay here\u202e:\u200b\nexample.com/x\n")
    told = desk("approve", asked(desk, letter), "--edit", tmp_path / "own.txt")
    assert "  | pay here⟨U+202E⟩:⟨U+200B⟩\n  | example.com/x\n" in told.err
    assert "it holds 2 characters that do not show" in told.err


def test_flags_that_contradict(desk: command_line.Cli, letter: Path, tmp_path: Path) -> None:
    number = asked(desk, letter)
    assert desk("approve", number, "--edit", letter, "--always", 3).code == 2
    assert desk("refuse", number, "--teach").code == 2
    (tmp_path / "odd").write_bytes(b"\xff")
    assert "is not UTF-8 text" in desk("approve", number, "--edit", tmp_path / "odd").err
    assert desk("refuse", number, "--because", "No.").code == 0


def test_a_standing_rule_is_shown_and_ended(desk: command_line.Cli, letter: Path) -> None:
    assert desk("rule", "list").out.startswith("There are none")
    told = desk("approve", asked(desk, letter), "--always", 5, "--days", 9)
    assert "5 a day, until" in told.err
    [rule] = desk("rule", "list", "--json").json["rules"]
    assert (rule["agent"], rule["tool"], rule["destination"]) == ("asker", "send_mail", "ann@customer.example")
    assert desk("run", "asker", "--input", letter, "--json").json["effects"][0]["rule"] == "standing-rule"
    assert desk("rule", "remove", rule["number"]).out == f"Rule {rule['number']} of asker is ended.\n"
    assert desk("rule", "remove", rule["number"]).code == 6


def test_a_refusal_teaches(desk: command_line.Cli, letter: Path) -> None:
    told = desk("refuse", asked(desk, letter), "--because", "Never promise a date.", "--teach")
    assert told.code == 0
    assert "the manager makes a lesson of it" in told.err


def test_a_dry_run_sends_nothing(desk: command_line.Cli, letter: Path) -> None:
    run = desk("run", "asker", "--input", letter, "--dry-run", "--json")
    assert run.code == 0, run.err
    assert [effect["state"] for effect in run.json["effects"]] == ["captured"]
