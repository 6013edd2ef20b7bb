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


MANIFEST = 'name = "x"\njob = "y"\nmodel = "openai:z"\n'


def told(skills: str, facts: dict[str, str], **texts: str) -> str:
    """What a run with these facts is told, with skills of these texts."""
    parts = tuple(playbook.parse_skill(name, {"SKILL.md": text}) for name, text in texts.items())
    return briefing.compile_run(playbook.Playbook(MANIFEST + skills, "", skills=parts), "task", facts, (), "m").system


def test_a_skill_is_given_whole_to_the_runs_that_agent_toml_names() -> None:
    texts = {"late": "---\ndescription: Late ones.\n---\nSay sorry.\n", "other": "Be quick.\n"}
    late = '[skills.late]\nwhen = {intent = "late_order", trigger = "mail"}\n'
    fitting, plain = {"intent": "late_order", "trigger": "mail"}, told("", {}, **texts)
    assert plain.endswith("# Skills\n- late: Late ones.\n- other: Be quick.")
    assert told(late, fitting, **texts) == f"{plain}\n\n# Skill late, whole\nSay sorry."
    assert told(late, fitting, **texts) == told(late, dict(reversed(fitting.items())), **texts)
    assert told(late, {**fitting, "intent": "other"}, **texts) == plain
    assert told(late, {"intent": "late_order"}, **texts) == plain
    assert told("[skills.none]\nwhen = {}\n", fitting, **texts) == plain
    assert told("[skills.other]\nwhen = {}\n", {}, **texts).endswith("# Skill other, whole\nBe quick.")


def test_skills_that_do_not_fit_are_left_to_the_tool() -> None:
    skills = '[skills.a]\nwhen = {}\n[skills.b]\nwhen = {k = "v"}\n[skills.c]\nwhen = {}\n'
    long = "x" * (briefing.SKILL_BYTES - 100)
    found = told(skills, {"k": "v"}, a=f"A {long}", b=f"B {long}", c="C.")
    assert "# Skill b, whole" in found  # the more specific one
    assert "# Skill a, whole" not in found
    assert "# Skill c, whole" in found


@pytest.mark.parametrize("skills", ["[skills]\na = 1", "[skills.a]\nif = {}", "[skills.a]\nwhen = {k = 1}"])
def test_what_is_said_of_skills_is_checked(skills: str) -> None:
    with pytest.raises(errors.BadAgent, match=r"`a`|`skills\.a`"):
        playbook.Playbook(MANIFEST + skills, "").manifest  # noqa: B018
