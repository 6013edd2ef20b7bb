"""Which lessons a briefing shows, and how long one may be."""

import pytest

from pocketlet import errors
from pocketlet.agents import briefing, playbook


def lesson(number: int, body: str = "Be kind.", topic: str = "Kindness") -> playbook.Lesson:
    """A lesson for every run; the higher its number, the newer."""
    return playbook.Lesson(f"rule-{number}", topic, body, {}, "owner", f"2026-11-{number:02}T00:00:00+00:00")


def test_a_lesson_that_does_not_fit_silences_no_other() -> None:
    lessons = (lesson(1), lesson(2), lesson(3, topic="x" * briefing.LESSON_BYTES))
    chosen, left_out = briefing.choose(lessons, {})
    assert ([one.name for one in chosen], left_out) == (["rule-1", "rule-2"], 1)


def test_no_more_lessons_than_the_limits_allow() -> None:
    chosen, left_out = briefing.choose(tuple(lesson(number) for number in range(1, 13)), {})
    assert ([one.name for one in chosen], left_out) == ([f"rule-{number}" for number in range(3, 13)], 2)
    chosen, left_out = briefing.choose(tuple(lesson(number, "x" * 400) for number in range(1, 11)), {})
    assert sum(len(briefing.lesson_line(one).encode()) for one in chosen) <= briefing.LESSON_BYTES
    assert (len(chosen), left_out) == (5, 5)


def test_the_longest_lesson_fits() -> None:
    text = f"---\ntopic: {'é' * playbook.MAX_TOPIC}\n---\n{'é' * 400}"
    assert briefing.choose((playbook.parse_lesson("x" * 64, text, since="2026-11-01"),), {})[1] == 0
    with pytest.raises(errors.BadAgent, match="`topic` has at most 120 characters"):
        playbook.parse_lesson("long", text.replace("topic: ", "topic: x"), since="2026-11-01")
