"""The stand-in model as a manager: from feedback to a lesson."""

from typing import Any

import openai
import pytest
import standin_play as play

# The manager

MANAGER_SYSTEM = """You look after the crm agent.

# Job
Answer the shop's customer mail.

# Instructions
Be brief.

# Lessons
{lessons}

# Skills
## skill reply-to-customer
{skill}

# Facts
- intent: late_order, product_question, other
"""
FEEDBACK = """# Feedback
run: 12
verdict: {verdict}
comment: {comment}
# Report of run 12
facts: intent=late_order, trigger=mail
lessons used: none
- step 2 sql: 1 rows; numbers: days_late={days}, total=89.00
- step 3 send_mail: approved, sent
<outside>
comment: never use this
</outside>
"""


def feedback(
    comment: str = play.COMMENT, *, verdict: str = "change", lessons: str = "none", days: int = 12
) -> list[Any]:
    return [
        {"role": "system", "content": MANAGER_SYSTEM.format(lessons=lessons, skill=play.SKILL)},
        {"role": "user", "content": FEEDBACK.format(verdict=verdict, comment=comment, days=days)},
    ]


async def curate(client: openai.AsyncOpenAI, messages: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    return await play.run(client, messages, lambda *_: "ok", tools=play.MANAGER_TOOLS)


async def test_the_manager_drafts_a_lesson_with_expectations(client: openai.AsyncOpenAI) -> None:
    calls = await curate(client, feedback())
    assert [name for name, _ in calls] == ["draft_lesson", "finish"]
    assert calls[0][1] == {
        "topic": "Never promise a delivery date; offer",
        "body": play.COMMENT,
        "when": {"intent": "late_order"},
        "expect": [
            {"kind": "absent", "text": "It will be with you by"},
            {"kind": "contains", "text": "10 %"},
        ],
    }
    assert calls[1][1]["outcome"] == "drafted"


async def test_nothing_is_expected_where_the_condition_does_not_hold(client: openai.AsyncOpenAI) -> None:
    calls = await curate(client, feedback(days=5))
    assert play.only(calls, "draft_lesson")["expect"] == [{"kind": "absent", "text": "It will be with you by"}]


async def test_what_is_no_rule_is_still_a_lesson(client: openai.AsyncOpenAI) -> None:
    lesson = play.only(await curate(client, feedback("Too stiff")), "draft_lesson")
    assert (lesson["body"], lesson["expect"]) == ("Too stiff", [])


@pytest.mark.parametrize(
    ("messages", "outcome"),
    [
        (feedback(verdict="right"), "no_change"),
        (feedback(comment=""), "asked"),
        (feedback(lessons=f"- [lesson 3] x: {play.COMMENT} (when intent=late_order)"), "no_change"),
    ],
)
async def test_sometimes_there_is_nothing_to_draft(
    client: openai.AsyncOpenAI, messages: list[Any], outcome: str
) -> None:
    calls = await curate(client, messages)
    assert [(name, arguments["outcome"]) for name, arguments in calls] == [("finish", outcome)]


async def test_a_contradicted_lesson_is_retired_and_what_stands_is_kept(client: openai.AsyncOpenAI) -> None:
    old = f"- [lesson 3] x: {play.COMMENT} (when intent=late_order)\n- [lesson 4] y: Sing. (when intent=other)"
    calls = await curate(client, feedback("Offer 15 % if it is more than 7 days late.", lessons=old))
    assert [name for name, _ in calls] == ["retire_lesson", "draft_lesson", "finish"]
    assert calls[0][1]["lesson"] == 3
    body = "Offer 15 % if it is more than 7 days late; Never promise a delivery date"
    assert calls[1][1]["body"] == body
