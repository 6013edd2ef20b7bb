"""Looking and comparing: cases, trials by hand, blame, another model, and who decided what."""

import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import command_line
import crm_story
import pytest

from pocketlet.agents import playbook as playbooks
from pocketlet.learning import blame, compare
from pocketlet.surfaces.cli import trial

STANDIN = "openai:standin/gullible=1"


def _lesson(number: int, body: str) -> playbooks.Lesson:
    return playbooks.Lesson(f"lesson-{number}", body, body, {}, "owner", "2026-11-22T09:00:00+00:00", id=number)


def _playbook(
    instructions: str, *lessons: playbooks.Lesson, manifest: str = 'name = "x"\n', skill: str = "Do.\n"
) -> playbooks.Playbook:
    return playbooks.Playbook(manifest, instructions, lessons, (playbooks.Skill("s", "s", {"SKILL.md": skill}),))


def _of(*line: tuple[int, playbooks.Playbook]) -> dict[tuple[str, str], int]:
    return {(part.file, part.text): part.revision for part in blame.of(line)}


def test_a_line_belongs_to_the_revision_that_brought_it() -> None:
    found = _of((1, _playbook("one\ntwo\n")), (4, _playbook("zero\none\n\ntwo!\n")), (5, _playbook("one\n\ntwo!\n")))
    lines = {text: n for (file, text), n in found.items() if file == "INSTRUCTIONS.md"}
    assert lines == {"one": 1, "two!": 4}


def test_lines_of_other_files_go_together_with_those_that_came_at_once() -> None:
    found = _of((1, _playbook("", manifest="a\nb\nc\n")), (2, _playbook("", manifest="a\nB\nc\n", skill="Do!\n")))
    assert found == {
        ("agent.toml", "a"): 1,
        ("agent.toml", "B"): 2,
        ("agent.toml", "c"): 1,
        ("skills/s/SKILL.md", "Do!"): 2,
    }


def test_a_lesson_that_comes_back_is_as_old_as_it_was() -> None:
    old, new = _lesson(1, "Old."), _lesson(2, "New.")
    found = _of((1, _playbook("")), (2, _playbook("", old)), (3, _playbook("", new)), (5, _playbook("", old, new)))
    assert found[("lessons/lesson-1.md", "Old.")] == 2
    assert found[("lessons/lesson-2.md", "New.")] == 3


def test_blame_of_nothing_is_nothing() -> None:
    assert blame.of([]) == []


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("pass", "pass", "same"),
        ("fail", "fail", "same"),
        ("fail", "pass", "better"),
        ("pass", "fail", "worse"),
        ("unknown", "pass", "unknown"),
        ("fail", "unknown", "unknown"),
    ],
)
def test_two_verdicts_in_one_word(before: str, after: str, word: str) -> None:
    assert compare.word(before, after) == word


def test_a_trial_that_was_stopped_is_not_known() -> None:
    assert compare.outcome({"verdict": "pending", "evidence": {}}) == ((), ("it was stopped",))


def _cases(story: crm_story.Story) -> list[dict[str, Any]]:
    return story.cli("cases", "clishop", "--json").json["cases"]


def _corrected(story: crm_story.Story) -> dict[str, Any]:
    [case] = [case for case in _cases(story) if case["run"] == story.asked.json["run"]]
    return case


def test_cases_say_what_they_must_show(story: crm_story.Story) -> None:
    case = _corrected(story)
    assert "the answer contains “10 %”" in case["assertions"]
    assert (case["accepted"], case["pinned"], case["retired_by"]) == (False, False, None)
    assert case["scope"] == {"intent": "late_order", "trigger": "mail"}
    assert case["model"] == STANDIN
    shown = story.cli("cases", "clishop").out
    assert f"Case {case['case']}, of run {case['run']} (Where is my parcel?): {case['state']}" in shown
    assert "  must     the answer contains “10 %”\n" in shown


def test_a_case_is_pinned_by_the_owners_word(story: crm_story.Story) -> None:
    number = _corrected(story)["case"]
    pinned = story.cli("cases", "clishop", "--pin", number, "--json")
    assert [case["pinned"] for case in pinned.json["cases"] if case["case"] == number] == [True]
    assert "pinned" in story.cli("cases", "clishop").out
    story.cli("cases", "clishop", "--unpin", number)
    assert not _corrected(story)["pinned"]
    assert story.cli("cases", "clishop", "--pin", 2**40).code == 6
    assert story.cli("cases", "clishop", "--pin", 1, "--unpin", 1).code == 2


def test_a_trial_by_hand_judges_and_changes_nothing(story: crm_story.Story) -> None:
    before, history = _corrected(story), story.cli("revisions", "clishop", "--json").json
    tried = story.cli("trial", "clishop", 2, "--case", before["case"], "--json")
    assert tried.code == 0
    assert tried.json["counts"] == {"pass": 1, "fail": 0, "unknown": 0}
    [row] = tried.json["trials"]
    assert (row["verdict"], row["failed"], row["unknown"], row["model"]) == ("pass", [], [], STANDIN)
    assert Decimal(tried.json["cost_usd"]) == Decimal(row["cost_usd"]) > 0
    shown = story.cli("show", row["run"], "--json").json
    assert {effect["state"] for effect in shown["effects"]} == {"captured"}
    assert shown["purpose"]["purpose"] == "compare"
    assert _corrected(story) == before
    assert story.cli("revisions", "clishop", "--json").json == history


def test_an_earlier_revision_is_judged_by_what_counts_today(story: crm_story.Story) -> None:
    number = _corrected(story)["case"]
    tried = story.cli("trial", "clishop", 1, "--case", number, "--json").json
    [row] = tried["trials"]
    assert row["verdict"] == "fail"
    assert "the answer contains “10 %”" in row["failed"]
    assert "  does not hold: the answer contains “10 %”" in story.cli("trial", "clishop", 1, "--case", number).out


def test_only_the_audit_share(story: crm_story.Story) -> None:
    share = {case["case"] for case in _cases(story) if case["audit"] and case["state"] != "retired"}
    tried = story.cli("trial", "clishop", 2, "--audit", "--json")
    assert tried.code == (0 if share else 6)
    assert {row["case"] for row in tried.json.get("trials", [])} == share


@pytest.mark.parametrize("arguments", [("clishop", 99), ("clishop", 2, "--case", 2**40), ("nobody", 1)])
def test_there_is_nothing_to_try(story: crm_story.Story, arguments: tuple[object, ...]) -> None:
    refused = story.cli("trial", *arguments)
    assert (refused.code, refused.out) == (6, "")
    assert "Next: " in refused.err


def test_blame_leads_from_a_lesson_to_the_word_and_its_cost(story: crm_story.Story) -> None:
    lines = story.cli("blame", "clishop", "--json").json["lines"]
    [lesson] = [line for line in lines if line["file"].startswith("lessons/")]
    assert (lesson["text"], lesson["comment"]) == (crm_story.RULE, crm_story.RULE)
    assert (lesson["author"], lesson["revision"]) == ("manager", 2)
    assert (lesson["run"], lesson["feedback"]) == (story.asked.json["run"], story.taught.json["feedback"])
    assert Decimal(lesson["cost_usd"]) == Decimal(story.taught.json["cost_usd"])
    others = [line for line in lines if line is not lesson]
    assert {line["file"] for line in others} >= {"agent.toml", "INSTRUCTIONS.md", "skills/reply-to-customer/SKILL.md"}
    assert {(line["revision"], line["author"], line["feedback"]) for line in others} == {(1, "owner", None)}
    assert f"on run {lesson['run']} (change): {crm_story.RULE}" in story.cli("blame", "clishop").out


def test_another_model_is_compared_case_by_case(story: crm_story.Story) -> None:
    compared = story.cli("compare", "clishop", "--model", "openai:standin", "--cases", 1, "--json")
    document = compared.json
    assert compared.code == 0
    assert (document["current"], document["model"], document["price"]) == (STANDIN, "openai:standin", "loopback")
    assert sum(document["counts"].values()) == len(document["cases"]) == 1
    [row] = document["cases"]
    assert row["verdict"] == compare.word(row["before"]["verdict"], row["after"]["verdict"])
    assert (Decimal(document["forecast_usd"]), Decimal(document["cost_usd"])) == (0, 0)
    shown = story.cli("show", row["after"]["run"], "--json").json
    assert (shown["kind"], shown["model"], shown["case"]) == ("trial", "openai:standin", row["case"])
    plain = story.cli("compare", "clishop", "--model", "openai:standin", "--cases", 1)
    assert "Replays on openai:standin: 1, about 0.0000 USD (price: loopback)" in plain.err
    assert "A task costs 0.0000 USD on openai:standin." in plain.out


def test_the_same_model_costs_about_what_was_said(story: crm_story.Story) -> None:
    document = story.cli("compare", "clishop", "--model", STANDIN, "--json").json
    assert document["price"] == "agent.toml"
    assert Decimal(document["forecast_usd"]) > 0
    assert document["counts"]["worse"] == document["counts"]["better"] == 0
    assert document["counts"]["same"] >= 1  # other tests' cases of which nothing is known are `unknown`
    assert Decimal(document["per_task_usd"]["before"]) > 0
    assert Decimal(document["cost_usd"]) == sum(Decimal(row["after"]["cost_usd"]) for row in document["cases"])


def test_revisions_say_who_decided_and_why(story: crm_story.Story) -> None:
    rows = {row["revision"]: row for row in story.cli("revisions", "clishop", "--json").json["revisions"]}
    assert (rows[2]["state"], rows[2]["decided_by"]) == ("current", "owner")
    assert rows[2]["evidence"]["replays"] >= 1
    assert "decided by" in story.cli("revisions", "clishop").out
    changed = story.cli("diff", "clishop", 1, 2, "--json").json
    assert (changed["state"], changed["evidence"]) == ("current", rows[2]["evidence"])
    assert story.adopted.json["decided_by"] == "owner"
    assert story.adopted.json["evidence"] == rows[2]["evidence"]


def test_show_says_what_a_run_of_learning_is_for(story: crm_story.Story) -> None:
    taught = story.taught.json
    manager = story.cli("show", taught["manager_run"], "--json").json["purpose"]
    assert manager["feedback"] == [{"feedback": taught["feedback"], "run": taught["run"], "verdict": "change"}]
    assert (manager["revision"], manager["outcome"]) == (2, "adopted as revision 2")
    [tried] = taught["trials"]
    replay = story.cli("show", tried["run"], "--json").json["purpose"]
    assert (replay["case"], replay["draft"], replay["purpose"]) == (tried["case"], 2, "trigger")
    assert replay["verdict"] == "pass"
    assert f"trigger trial {replay['attempt']} for revision 2: pass" in story.cli("show", tried["run"]).out
    assert story.cli("show", taught["run"], "--json").json["purpose"] is None


def test_what_waits_for_a_word_is_counted_and_found(story: crm_story.Story) -> None:
    assert story.cli("status", "--json").json["asked"] == []
    taught = story.cli("feedback", story.better.json["run"], "Offer free wrapping.", "--json").json
    [waiting] = story.cli("status", "--json").json["asked"]
    assert (waiting["agent"], waiting["revision"]) == ("clishop", taught["revision"])
    assert waiting["because"]
    assert "`pocketlet revisions clishop` shows the changes that wait for your word." in story.cli("status").err
    listed = story.cli("revisions", "clishop")
    assert f"`pocketlet diff clishop 2 {waiting['revision']}` shows it" in listed.err
    assert f"{waiting['revision']}         asked" in listed.out
    refused = story.cli("discard", "clishop", waiting["revision"], "--because", "No.", "--json").json
    assert (refused["decision"], refused["state"], refused["because"]) == ("discard", "discarded", "No.")
    assert story.cli("status", "--json").json["asked"] == []


def test_without_cases_there_is_nothing_to_see(cli: command_line.Cli, talker: str) -> None:
    assert cli("cases", talker, "--json").json == {"agent": talker, "cases": []}
    assert "no cases yet" in cli("cases", talker).out
    for refused in (cli("trial", talker, 1), cli("compare", talker, "--model", "openai:fake")):
        assert (refused.code, refused.out) == (6, "")
    [line] = [line for line in cli("blame", talker, "--json").json["lines"] if line["file"] == "agent.toml"]
    assert (line["first"], line["last"], line["revision"]) == (1, 4, 1)


@pytest.fixture
def thrifty(cli: command_line.Cli, tmp_path: Path) -> Iterator[str]:
    """An agent without a price and with next to no budget, with one case that cost nothing on this machine."""
    manifest = 'name = "thrifty"\njob = "Say so."\nmodel = "openai:fake"\nbudget = 0.001\n'
    folder = command_line.write_agent(tmp_path / "thrifty", "thrifty", agent_dot_toml=manifest)
    assert cli("agent", "import", folder).code == 0
    done = cli("run", "thrifty", "--input", "-", "--json", stdin="Hello?")
    assert cli("feedback", done.json["run"]).code == 0
    yield "thrifty"
    assert cli("agent", "remove", "thrifty", "--yes").code == 0


@pytest.mark.parametrize(
    ("wanted", "key", "code", "said"),
    [
        ("fake", None, 2, "provider:name"),
        ("nowhere:fake", None, 2, "no provider"),
        ("anthropic:claude-x", None, 7, "needs a key"),
        ("openai:nobody-knows-it", "k", 5, "No price is known"),
        ("openai:o1-pro", "k", 5, "would cost about"),
    ],
)
def test_what_can_not_be_compared_is_said_before_anything_runs(
    cli: command_line.Cli, thrifty: str, wanted: str, key: str | None, code: int, said: str
) -> None:
    before = cli("runs", thrifty, "--json").json
    keys = {"OPENAI_BASE_URL": None, "OPENAI_API_KEY": key, "ANTHROPIC_API_KEY": None, "ANTHROPIC_BASE_URL": None}
    refused = cli("compare", thrifty, "--model", wanted, **keys)
    assert (refused.code, refused.out) == (code, "")
    assert said in refused.err
    assert "Next: " in refused.err
    assert cli("runs", thrifty, "--json").json == before


def test_a_case_of_which_nothing_is_known_is_no_verdict(cli: command_line.Cli, thrifty: str) -> None:
    compared = cli("compare", thrifty, "--model", "openai:other", "--json")
    [row] = compared.json["cases"]
    assert (row["verdict"], row["before"]["source"], row["before"]["verdict"]) == ("unknown", "recorded", "unknown")
    assert compared.json["per_task_usd"] == {"before": None, "after": None}


def test_replays_that_can_not_be_carried_out_say_nothing(
    cli: command_line.Cli, model: command_line.FakeModel, thrifty: str
) -> None:
    model.status = 400
    tried = cli("trial", thrifty, 1, "--json")
    assert (tried.code, tried.json["counts"]) == (1, {"pass": 0, "fail": 0, "unknown": 1})
    assert tried.json["trials"][0]["unknown"]


def test_ctrl_c_begins_no_further_replay(cli: command_line.Cli, talker: str) -> None:
    for number in range(trial.WAVE + 2):
        done = cli("run", talker, "--input", "-", "--json", stdin=f"Say so {number}.")
        assert cli("feedback", done.json["run"]).code == 0
    with cli.process("trial", talker, 1) as running:
        assert running.stderr is not None
        first = running.stderr.readline()
        running.send_signal(signal.SIGINT)
        told = running.stderr.read()
        assert running.stdout is not None
        assert running.stdout.read() == ""
    assert first == f"Replays of revision 1: {trial.WAVE + 2}, with nothing sent\n"
    assert (running.returncode, told.endswith("Interrupted.\n"), "Traceback" in told) == (130, True, False)
    begun = [run for run in cli("runs", talker, "--json").json["runs"] if run["kind"] == "trial"]
    assert len(begun) <= trial.WAVE
