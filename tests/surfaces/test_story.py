"""The whole job through the commands: mail, draft, approval, feedback, trial, adoption, and the better draft."""

import itertools
from decimal import Decimal
from pathlib import Path

import crm_story
import pytest


def test_import_says_what_it_made(story: crm_story.Story) -> None:
    assert story.imported.code == 0
    assert story.imported.json == {"agent": "clishop", "revision": 1, "notes": []}


def test_a_run_that_asks_exits_with_3_and_shows_the_exact_mail(story: crm_story.Story) -> None:
    run = story.asked.json
    assert story.asked.code == 3
    assert (run["agent"], run["revision"], run["state"]) == ("clishop", 1, "waiting")
    assert len(run["briefing_hash"]) == 64
    assert run["prompt_overhead_tokens"] > 0
    assert run["lessons"] == []
    [question] = run["approvals"]
    assert (question["from"], question["to"]) == ("shop@crm.example", run["input"]["sender"])
    assert question["subject"] == "Re: Where is my parcel?"
    assert "It will be with you by" in question["body"]
    assert question["class"] == "checkable"
    assert question["request_hash"] == run["effects"][0]["request_hash"]
    assert story.approvals.json["approvals"] == [question]
    assert f"run {run['run']}  step 1  model" in story.asked.err


def test_approval_sends_and_finishes(story: crm_story.Story) -> None:
    run = story.approved.json
    assert story.approved.code == 0
    assert (run["run"], run["state"], run["approvals"]) == (story.asked.json["run"], "done", [])
    [effect] = run["effects"]
    assert {"id", "kind", "state", "to", "request_hash", "rule", "class"} <= effect.keys()
    assert (effect["kind"], effect["state"]) == ("mail", "succeeded")
    assert Decimal(run["cost_usd"]) == sum(Decimal(step["cost_usd"]) for step in run["timings"])


def test_every_step_shows_what_was_new(story: crm_story.Story) -> None:
    run = story.approved.json
    steps = run["steps"]
    assert [step["seq"] for step in steps] == list(range(1, len(steps) + 1))
    first = steps[0]
    assert [message["role"] for message in first["request"]["messages"]] == ["system", "user"]
    assert first["request"]["hash"] == run["briefing_hash"]
    assert first["response"].keys() == {"text", "calls", "finish", "usage"}
    for before, step in itertools.pairwise(steps):
        if step["kind"] == "model":
            [message] = step["request"]["messages"]
            assert (message["role"], message["content"]) == ("tool", before["response"])
    assert [part["part"] for part in run["briefing"]][:3] == ["rules", "job", "instructions"]
    assert [part["part"] for part in run["briefing"]][-2:] == ["tools", "task"]


def test_refusal_reaches_the_agent(story: crm_story.Story) -> None:
    run = story.refused.json
    assert (story.refused.code, run["state"], run["effects"][0]["state"]) == (0, "done", "refused")
    [step] = [step for step in run["steps"] if step["tool"] == "send_mail"]
    assert "We are closed." in step["response"]


def test_feedback_gives_a_tried_draft(story: crm_story.Story) -> None:
    taught = story.taught.json
    assert story.taught.code == 0
    assert (taught["verdict"], taught["revision"], taught["parent"]) == ("change", 2, 1)
    assert f"+{crm_story.RULE}" in taught["diff"]
    assert taught["counts"] == {"fixed": 1}
    assert taught["trials"][0]["verdict"] == "fixed"
    assert taught["next"] == ["pocketlet adopt clishop 2", "pocketlet discard clishop 2"]
    assert Decimal(taught["cost_usd"]) > 0


def test_adoption_is_the_feedbacks_outcome_and_keeps_the_evidence(story: crm_story.Story) -> None:
    adopted = story.adopted.json
    assert (adopted["agent"], adopted["revision"], adopted["decision"], adopted["current"]) == (
        "clishop",
        2,
        "adopt",
        2,
    )
    assert (adopted["state"], adopted["decided_by"]) == ("current", "owner")
    assert adopted["evidence"]["counts"] == {"fixed": 1}
    shown = story.cli("show", story.asked.json["run"], "--json").json
    assert shown["feedback"][0]["outcome"] == "adopted as revision 2"


def test_the_next_run_follows_the_lesson_and_says_where_it_comes_from(story: crm_story.Story) -> None:
    run = story.better.json
    [lesson] = run["lessons"]
    assert lesson["body"] == crm_story.RULE
    assert lesson["feedback"] == story.taught.json["feedback"]
    assert (lesson["taught_on_run"], lesson["comment"]) == (story.asked.json["run"], crm_story.RULE)
    assert "10 %" in run["approvals"][0]["body"]
    assert "It will be with you by" not in run["approvals"][0]["body"]


def test_the_text_of_show_has_every_part(story: crm_story.Story) -> None:
    run = story.better.json
    text = story.cli("show", run["run"]).out
    for part in (
        run["briefing_hash"], f"{run['prompt_overhead_tokens']} tokens", "== Lessons used: 1", "from feedback",
        "== Steps:", "== Effects: 1", "rule send-mail-asks", "cost 0.",
    ):  # fmt: skip
        assert part in text


def test_approvals_in_text_are_word_for_word(story: crm_story.Story) -> None:
    question = story.better.json["approvals"][0]
    text = story.cli("approvals").out
    for line in question["body"].splitlines():
        assert f"  | {line}\n" in text
    assert f"pocketlet approve {question['approval']}" in text


def test_runs_revisions_and_diff(story: crm_story.Story) -> None:
    rows = story.cli("runs", "clishop", "--json").json["runs"]
    better = story.better.json["run"]  # other tests go on from there
    assert [row["kind"] for row in rows if row["run"] <= better].count("run") == 3
    assert better in [row["run"] for row in rows]
    newest, first = story.cli("revisions", "clishop", "--json").json["revisions"][-2:]
    assert (newest["revision"], newest["state"], newest["author"]) == (2, "current", "manager")
    assert (first["revision"], first["state"]) == (1, "adopted")
    assert story.cli("diff", "clishop", 1, 2, "--json").json["diff"] == story.taught.json["diff"]
    assert story.cli("diff", "clishop", 1, 1).out == "Revisions 1 and 1 are the same.\n"


def test_rollback_and_forward_again(story: crm_story.Story) -> None:
    assert story.cli("rollback", "clishop", "--json").json["current"] == 1
    assert story.cli("rollback", "clishop", 2, "--json").json["current"] == 2
    again = story.cli("adopt", "clishop", 2)
    assert again.code == 6
    assert again.err.startswith("Error: Revision 2 is the current one.\nNext: ")


def test_right_is_kept_as_a_case_without_a_manager(story: crm_story.Story) -> None:
    given = story.cli("feedback", story.refused.json["run"], "--json")
    assert given.code == 0
    assert (given.json["verdict"], given.json["manager_run"], given.json["revision"]) == ("right", None, None)
    assert given.json["outcome"] == "kept as a case; nothing to change"


def test_sql_reads_and_only_reads(story: crm_story.Story) -> None:
    found = story.cli("sql", "clishop", "select 1 as a, null as b, E'x\\ty' as c")
    assert (found.code, found.out) == (0, "a\tb\tc\n1\t\\N\tx\\ty\n")
    document = story.cli("sql", "clishop", "-", "--json", stdin="select count(*) from customers").json
    assert document["columns"] == ["count"]
    assert int(document["rows"][0][0]) > 0
    assert story.cli("sql", "clishop", "delete from customers").code == 4
    assert story.cli("sql", "clishop", " ").code == 2


def test_cost_adds_up(story: crm_story.Story) -> None:
    document = story.cli("cost", "clishop", "--json").json
    assert {row["kind"] for row in document["rows"]} == {"run", "manager", "trial"}
    assert Decimal(document["total_usd"]) == sum(Decimal(row["cost_usd"]) for row in document["rows"])
    assert Decimal(document["total_usd"]) > 0
    assert "total 0." in story.cli("cost").out


def test_doctor_finds_nothing_amiss(story: crm_story.Story) -> None:
    result = story.cli("doctor", "--json")
    assert [check for check in result.json["checks"] if check["state"] == "red"] == []
    assert (result.code, result.json["ok"]) == (0, True)
    assert len(result.json["checks"]) >= 20


def test_status_counts(story: crm_story.Story) -> None:
    document = story.cli("status", "--json").json
    assert document["postgres"]["running"]
    assert document["runs"]["waiting"] >= 1
    assert document["approvals"] >= 1
    assert {"agent": "clishop", "revision": 2} in document["agents"]
    assert Decimal(document["spend_today_usd"]) > 0
    assert "approvals" in story.cli("status").out


@pytest.mark.parametrize("command", ["approve", "refuse"])
def test_an_answer_counts_once(story: crm_story.Story, command: str) -> None:
    answered = story.cli(command, story.approvals.json["approvals"][0]["approval"])
    assert answered.code == 6
    assert "was approved already" in answered.err


def test_export_and_import_elsewhere_is_the_same_agent(story: crm_story.Story, tmp_path: Path) -> None:
    saved = story.cli("agent", "export", "clishop", tmp_path / "copy", "--json")
    assert saved.json == {"agent": "clishop", "revision": 2, "folder": str(tmp_path / "copy")}
    assert story.cli("agent", "export", "clishop", tmp_path / "copy").code == 6
    shown = story.cli("agent", "show", "clishop", "--json").json
    assert [lesson["text"] for lesson in shown["lessons"]] == [crm_story.RULE]
    assert len(list((tmp_path / "copy" / "lessons").iterdir())) == 1
    assert story.cli("agent", "import", tmp_path / "copy").code == 6
    assert crm_story.RULE in story.cli("agent", "show", "clishop").out


def test_a_draft_is_adopted_or_discarded_and_not_rolled_back_to(story: crm_story.Story) -> None:
    taught = story.cli("feedback", story.better.json["run"], "Offer free shipping.", "--verdict", "wrong")
    assert taught.code == 0
    assert "`pocketlet adopt clishop 3` or `pocketlet discard clishop 3`" in taught.out
    assert "Trials: " in taught.out
    back = story.cli("rollback", "clishop", 3)
    assert (back.code, back.err.splitlines()[0]) == (6, "Error: Revision 3 is a draft.")
    discarded = story.cli("discard", "clishop", 3, "--because", "Too dear.", "--json")
    assert {"agent": "clishop", "revision": 3, "decision": "discard", "current": 2}.items() <= discarded.json.items()
    assert (discarded.json["because"], discarded.json["decided_by"]) == ("Too dear.", "owner")
    shown = story.cli("show", story.better.json["run"], "--json").json
    assert shown["feedback"][-1]["outcome"] == "discarded with revision 3: Too dear."
    assert story.cli("rollback", "clishop", 3).code == 6
    assert story.cli("adopt", "clishop", 3).code == 6


def test_an_edited_draft_is_feedback(story: crm_story.Story, tmp_path: Path) -> None:
    (tmp_path / "edited").write_text("Dear customer,\n\nit is on its way.\n")
    given = story.cli("feedback", story.refused.json["run"], "--edited", tmp_path / "edited", "--json")
    assert (given.code, given.json["verdict"], given.json["state"]) == (0, "change", "done")
    assert given.json["outcome"]


def test_a_waiting_run_can_be_stopped(story: crm_story.Story, tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes((story.place / "known.eml").read_bytes())
    asked = story.cli("run", "clishop", "--input", tmp_path / "mail.eml", "--json").json
    stopped = story.cli("stop", asked["run"], "--json")
    assert stopped.json == {"run": asked["run"], "state": "stopped", "stop_requested": True}
    assert story.cli("stop", asked["run"]).code == 6
    assert asked["approvals"][0] not in story.cli("approvals", "--json").json["approvals"]
