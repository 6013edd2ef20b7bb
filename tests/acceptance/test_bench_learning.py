"""A small slice of the learning benchmark: it runs, its last line is whole, and no figure hangs on a word."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.learning import stream as streams

ROOT = Path(__file__).parents[2]
KEYS = {
    "feedback_to_fix_p50",
    "feedback_to_fix_p95",
    "unsanctioned_regressions",
    "sanctioned_retirements",
    "false_reject",
    "trials_mean",
    "harmful_total",
    "harmful_adopted",
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
    said, line = played("--seeds", "1", "--items", "24", "--harmless", "4", "--flips", "", "--arms", "null")
    assert line.keys() >= KEYS
    assert said.startswith("Mechanism test")
    assert line["harmful_total"] >= 20
    assert line["harmful_adopted"] == 0
    assert line["poison_adopted"] == 0
    assert 0 < line["prompt_overhead_tokens"] <= 3_000
    assert line["trials_max"] <= 12 * 3  # a candidate is narrowed at most twice
    assert line["mechanism_score"]["ours"] > line["mechanism_score"]["null"]


def test_other_words_give_the_same_figures() -> None:
    options = ("--seeds", "2", "--items", "20", "--flip", "0", "--flips", "", "--arms", "ours", "--no-suites")
    first, second = (played(*options, "--words", words)[1] for words in ("7", "8"))
    assert first["mechanism_score"] == second["mechanism_score"]
    assert {name: first[name] for name in KEYS} == {name: second[name] for name in KEYS}


def test_the_stand_in_knows_no_word_of_the_stream() -> None:
    source = "\n".join(
        path.read_text() for path in (ROOT / "src" / "pocketlet" / "demo" / "standin").glob("*.py")
    ).lower()
    for seed in range(20):
        values = streams.generate(seed, 30, streams.Policy()).values
        assert not [word for words in values.values() for word in words if word in source]
