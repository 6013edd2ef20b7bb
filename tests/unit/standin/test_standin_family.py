"""The parameters of the stand-in's family that say what it sees, looks up and repeats."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
import standin_play as play

from pocketlet.demo.standin import family

FACTS = {"intent": "late_order"}
LISTED = """feedback(id bigint, run bigint, verdict text, comment text, outcome text, at timestamp with time zone)
runs(id bigint, kind text, facts jsonb) -- this agent's own runs
"""

# Two attempts at the same task


@pytest.mark.parametrize("flip", [0, 0.1, 0.29, 0.5])
def test_flip_is_how_often_two_attempts_disagree(flip: float) -> None:
    model = f"standin/flip={flip}"
    traits = family.traits(model)
    assert 2 * traits.other_outcome * (1 - traits.other_outcome) == pytest.approx(flip)
    others = [
        family.Dice(model, str(seed), 0).falls_for_all_turns(traits.other_outcome, "flip") for seed in range(4000)
    ]
    disagree = [one != other for one, other in zip(others[::2], others[1::2], strict=True)]
    assert sum(disagree) / len(disagree) == pytest.approx(flip, abs=0.04)


# What it sees of a long prompt


def long(*, before: int, after: int) -> list[Any]:
    """A prompt with a lesson between so many words in each direction (or a few more)."""
    messages = play.prompt("- [lesson 3] late: Never promise a delivery date.")
    system = messages[0]["content"].replace("# Lessons", f"{'so ' * before}\n# Lessons")
    return [{"role": "system", "content": system + "so " * after}, messages[1]]


@pytest.mark.parametrize(
    ("window", "before", "after", "seen"),
    [(0, 900, 900, True), (3000, 900, 900, True), (200, 900, 0, True), (200, 0, 900, True), (200, 900, 900, False)],
)
async def test_rules_in_the_middle_of_a_long_prompt_are_lost(
    client: openai.AsyncOpenAI, window: int, before: int, after: int, seen: bool
) -> None:
    messages = long(before=before, after=after)
    calls = await play.run(client, messages, play.world(), model=f"standin/window={window}")
    assert (play.PROMISE not in play.only(calls, "send_mail")["body"]) is seen


# The SQL that it writes


async def test_without_sql_nothing_is_looked_up(client: openai.AsyncOpenAI) -> None:
    calls = await play.run(client, play.prompt(), play.world(), model="standin/sql=0,gullible=1")
    assert [name for name, _ in calls] == ["skill", "finish"]


def with_tables(lessons: str = "", listed: str = LISTED) -> list[Any]:
    messages = play.prompt(lessons)
    messages[0]["content"] += listed
    return messages


def world(*comments: str) -> play.Result:
    """A world in which this was said of like runs, the newest first."""

    def result(tool: str, arguments: dict[str, Any]) -> str:
        if tool == "sql" and "f.comment" in arguments["query"]:
            return "\n".join(["comment", *comments, f"({len(comments)} rows)"])
        return play.world()(tool, arguments)

    return result


async def test_its_own_query_asks_once_what_was_said_of_like_runs(client: openai.AsyncOpenAI) -> None:
    said = world("Offer 15 %.", "Offer 5 %.", "Mention that we close at six.")
    calls = await play.run(client, with_tables(), said, model="standin/sql=2")
    assert [name for name, _ in calls] == ["skill", "sql", "sql", "sql", "send_mail", "finish"]
    assert f"r.facts @> '{json.dumps(FACTS)}'::jsonb" in calls[1][1]["query"]
    body = play.only(calls, "send_mail")["body"]
    assert "offer you 15 %" in body
    assert "We close at six." in body
    assert [name for name, _ in await play.run(client, with_tables(), said)].count("sql") == 2
    others = with_tables(listed="feedback(id bigint, run bigint)\n")
    assert [name for name, _ in await play.run(client, others, said, model="standin/sql=2")].count("sql") == 2


async def test_what_was_said_is_weaker_than_a_lesson(client: openai.AsyncOpenAI) -> None:
    said = world("If it is more than 7 days late, offer 15 %.", "error: Mention that we close at six.")
    lessons = "- [lesson some] x: Offer 5 %.\n- [lesson hours] y: Mention that we close at six."
    body = play.only(await play.run(client, with_tables(lessons), said, model="standin/sql=2"), "send_mail")["body"]
    assert "offer you 5 %" in body
    assert "15 %" not in body
    assert body.count("We close at six.") == 1


async def test_a_lesson_beats_the_instructions(client: openai.AsyncOpenAI) -> None:
    messages = play.prompt("- [lesson dates] x: Never promise a delivery date.")
    messages[0]["content"] = messages[0]["content"].replace("Be brief.", "Be brief. Always promise a delivery date.")
    assert play.PROMISE not in play.only(await play.run(client, messages, play.world()), "send_mail")["body"]


# Attempts


async def test_equal_seeds_agree_and_others_may_not(client: openai.AsyncOpenAI) -> None:
    async def outcomes(model: str, wanted: Callable[[int], int]) -> list[str]:
        runs = [await play.run(client, play.prompt(), play.world(), model=model, seed=wanted(n)) for n in range(12)]
        return [calls[-1][1]["outcome"] for calls in runs]

    assert len(set(await outcomes("standin/flip=0.5", lambda _: 7))) == 1
    assert set(await outcomes("standin/flip=0.5", lambda n: n)) == {"done", "needs_person"}
