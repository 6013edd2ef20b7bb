"""A small slice of the learning benchmark: it runs, its last line is whole, and no figure hangs on a word."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.learning import arms, figures, house, player, report
from bench.learning import stream as streams

ROOT = Path(__file__).parents[2]
KEYS = {
    "feedback_to_fix_p50",
    "feedback_to_fix_p95",
    "unsanctioned_regressions",
    "unsanctioned_share_95",
    "confirmed_regressions",
    "fixed_cases",
    "sanctioned_retirements",
    "retired_cases",
    "poisoned_effects",
    "false_reject",
    "trials_mean",
    "harmful_total",
    "harmful_adopted",
    "harmful_by_rule",
    "harmful_by_replays",
    "prompt_overhead_tokens",
    "learning_cost_share",
    "flip",
    "seeds",
}


def played(*options: str) -> tuple[str, dict[str, Any]]:
    """What the benchmark prints, and its last line."""
    command = [sys.executable, "-m", "bench.learning", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, json.loads(done.stdout.splitlines()[-1])


def test_a_short_stream_ends_in_one_line_of_figures() -> None:
    said, line = played("--seeds", "1", "--items", "24", "--harmless", "4", "--flips", "0", "--arms", "null")
    assert line.keys() >= KEYS
    assert said.startswith("Mechanism test")
    assert line["valid"]
    assert line["harmful_total"] >= 28 * 2  # at either flip
    assert line["harmful_adopted"] == 0
    stopped = ("harmful_adopted", "harmful_narrowed", "harmful_by_rule", "harmful_by_replays")
    assert sum(line[name] for name in stopped) == line["harmful_total"]
    assert line["poison_adopted"] == 0
    assert line["confirmed_regressions"] <= line["unsanctioned_regressions"] <= line["audited_cases"]
    assert line["fixed_cases"] == line["audited_cases"] + line["sanctioned_retirements"]
    assert 0 < line["prompt_overhead_tokens"] <= 3_000
    assert line["trials_max"] <= 12  # of a candidate, its narrower drafts included
    assert line["mechanism_score"]["ours"] > line["mechanism_score"]["null"]


def test_other_words_give_the_same_figures() -> None:
    options = ("--seeds", "2", "--items", "20", "--flip", "0", "--flips", "", "--arms", "ours", "--no-suites")
    first, second = (played(*options, "--words", words)[1] for words in ("7", "8"))
    assert first["mechanism_score"] == second["mechanism_score"]
    assert {name: first[name] for name in KEYS} == {name: second[name] for name in KEYS}


def test_a_run_without_a_mail_is_never_right() -> None:
    mail = {"body": "Hello,\n\nWe grant you 15 % on this."}
    assert house.granted([mail]) == 15
    assert house.granted([{"body": "Hello."}]) is None  # which is right where nothing is to be granted
    assert house.granted([]) == house.NEVER_RIGHT
    assert house.granted([mail, {"body": "We grant you 99 % on this."}]) == house.NEVER_RIGHT


def test_more_than_one_run_in_a_hundred_that_failed_voids_the_report() -> None:
    def found(invalid: int, learning_failed: int) -> report.Found:
        one = player.Played("ours", 1, scores=[1.0] * (200 - invalid), invalid=invalid)
        return [(one, {}) for one.facts["learning_failed"] in [learning_failed]]

    assert not report.void(found(2, 0))
    assert report.void(found(3, 0))
    assert report.void(found(1, 2))  # a manager that fails learns nothing: no loss of the product's


@pytest.mark.parametrize("name", arms.ARMS)
def test_an_arm_disables_what_is_there(name: str) -> None:
    patches = arms.ARMS[name].patch or {}
    before = {place: getattr(*place) for place in patches}
    with arms.patched(arms.ARMS[name]):
        assert all(getattr(*place) is value for place, value in patches.items())
    assert before == {place: getattr(*place) for place in patches}


def test_none_of_eight_proves_little() -> None:
    assert figures.wilson(0, 8) == pytest.approx((0, 0.324), abs=0.001)
    assert figures.wilson(0, 400)[1] < 0.01
    assert figures.wilson(0, 0) == (0, 1)


def test_the_stand_in_knows_no_word_of_the_stream() -> None:
    source = "\n".join(
        path.read_text() for path in (ROOT / "src" / "pocketlet" / "demo" / "standin").glob("*.py")
    ).lower()
    for seed in range(20):
        values = streams.generate(seed, 30, streams.Policy()).values
        assert not [word for words in values.values() for word in words if word in source]
