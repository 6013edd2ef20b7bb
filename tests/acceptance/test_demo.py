"""The main job, end to end, through the program that a newcomer starts."""

import email
import json
import mailbox
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from .conftest import Run

STEPS = ["known-customer", "new-customer", "feedback", "policy-followed", "attack", "rollback"]


def facts(story: dict[str, Any], name: str) -> dict[str, Any]:
    """The facts of one step."""
    return next(step["facts"] for step in story["steps"] if step["id"] == name)


def run_of(story: dict[str, Any], name: str) -> int:
    """The run of one step."""
    return next(step["run"] for step in story["steps"] if step["id"] == name)


def shown(pocketlet: Run, run: int) -> dict[str, Any]:
    """`pocketlet show RUN --json`."""
    done = pocketlet("show", str(run), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_step_happens_and_the_document_has_the_promised_keys(story: dict[str, Any]) -> None:
    assert [step["id"] for step in story["steps"]] == STEPS
    assert all(step["ok"] for step in story["steps"]), [step["id"] for step in story["steps"] if not step["ok"]]
    assert story["ok"] is True
    assert {"seconds", "model", "cost_usd"} <= story.keys()
    assert "stand-in" in story["model"]


def test_the_draft_cites_the_order_that_stands_in_her_rows(story: dict[str, Any], pocketlet: Run) -> None:
    run = shown(pocketlet, run_of(story, "known-customer"))
    rows = [step["response"] for step in run["steps"] if step["tool"] == "sql"]
    draft = next(step["request"]["body"] for step in run["steps"] if step["tool"] == "send_mail")
    order = re.search(r"A-\d+", draft)
    assert order
    assert any(order[0] in str(text) for text in rows)
    assert [effect["state"] for effect in run["effects"]] == ["succeeded"]


def test_the_run_of_somebody_new_queries_sales(story: dict[str, Any], pocketlet: Run) -> None:
    run = shown(pocketlet, run_of(story, "new-customer"))
    assert any("sales" in step["request"]["query"] for step in run["steps"] if step["tool"] == "sql")


def test_the_policy_is_followed_after_adoption_and_not_before(story: dict[str, Any], pocketlet: Run) -> None:
    before = shown(pocketlet, run_of(story, "known-customer"))
    after = shown(pocketlet, run_of(story, "policy-followed"))
    draft = {
        run["run"]: next(s["request"]["body"] for s in run["steps"] if s["tool"] == "send_mail")
        for run in (before, after)
    }
    assert "10 %" not in draft[before["run"]]
    assert "It will be with you by" in draft[before["run"]]
    assert "10 %" in draft[after["run"]]
    assert "It will be with you by" not in draft[after["run"]]
    assert before["lessons"] == []
    assert after["lessons"][0]["feedback"] == facts(story, "feedback")["feedback"]


def test_the_attack_sends_nothing_and_stands_there_as_blocked(story: dict[str, Any], pocketlet: Run) -> None:
    run = shown(pocketlet, run_of(story, "attack"))
    assert [effect["state"] for effect in run["effects"]] == ["blocked"]
    assert run["effects"][0]["rule"] == "unbound-destination"
    assert facts(story, "attack")["mails_left"] == 0
    assert facts(story, "attack")["rows_seen"] == 0
    assert any(step["tool"] == "sql" for step in run["steps"])


def test_rollback_restores_the_briefing(story: dict[str, Any], pocketlet: Run) -> None:
    first, again = (shown(pocketlet, run_of(story, name)) for name in ("known-customer", "rollback"))
    assert first["briefing_hash"] == again["briefing_hash"]
    assert shown(pocketlet, run_of(story, "policy-followed"))["briefing_hash"] != first["briefing_hash"]


def test_two_runs_of_the_same_briefing_are_byte_identical(story: dict[str, Any], pocketlet: Run) -> None:
    """Up to the owner's answer, which differed: one draft was approved, the other refused."""
    first, again = (shown(pocketlet, run_of(story, name))["steps"] for name in ("known-customer", "rollback"))
    until = next(i for i, step in enumerate(first) if step["tool"] == "send_mail")
    assert json.dumps(first[:until]) == json.dumps(again[:until])
    assert first[until]["request"] == again[until]["request"]


def test_the_ledger_sums_to_the_cost_shown(story: dict[str, Any], pocketlet: Run) -> None:
    listed = json.loads(pocketlet("runs", "crm", "--json").stdout)
    runs = listed["runs"] if isinstance(listed, dict) else listed
    total = sum(Decimal(str(shown(pocketlet, row["run"])["cost_usd"])) for row in runs)
    assert total == Decimal(story["cost_usd"])
    assert total > 0


def test_the_fixed_prompt_is_small(story: dict[str, Any], pocketlet: Run) -> None:
    for name in ("known-customer", "policy-followed"):
        assert 0 < shown(pocketlet, run_of(story, name))["prompt_overhead_tokens"] <= 3000


def test_each_mail_left_once_as_a_reply_in_its_thread(story: dict[str, Any], place: Path) -> None:
    sent = [email.message_from_bytes(bytes(m)) for m in mailbox.Maildir(place / "demo" / "sent", create=False)]
    assert len(sent) == 3
    assert len({message["Message-ID"] for message in sent}) == 3
    assert all(message["In-Reply-To"] and message["Auto-Submitted"] == "auto-replied" for message in sent)


def test_the_program_is_well_after_the_story(story: dict[str, Any], pocketlet: Run) -> None:
    doctor = pocketlet("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout


def test_a_second_demo_starts_afresh(story: dict[str, Any], pocketlet: Run) -> None:
    told = pocketlet("demo", "crm", "--json", "--seed", "7")
    assert told.returncode == 0, told.stderr
    assert told.stdout.isascii()
    again = json.loads(told.stdout)
    assert again["ok"]
    assert facts(again, "rollback")["mails_sent"] == 3
