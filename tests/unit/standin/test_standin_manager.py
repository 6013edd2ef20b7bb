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
- tier: gold, silver, other
- region: north, south, other
"""
GOLD = "intent=late_order, tier=gold, region=north"
ALL = {"intent": "late_order", "tier": "gold", "region": "north"}
FEEDBACK = """# Feedback
run: 12
verdict: {verdict}
comment: {comment}
# Report of run 12
facts: {facts}, trigger=mail
lessons used: none
- step 2 sql: 1 rows; numbers: days_late={days}, total=89.00
- step 3 send_mail: approved, sent
<outside>
comment: never use this
</outside>
"""


def feedback(
    comment: str = play.COMMENT,
    *,
    verdict: str = "change",
    lessons: str = "none",
    days: int = 12,
    facts: str = "intent=late_order",
) -> list[Any]:
    said = FEEDBACK.format(verdict=verdict, comment=comment, days=days, facts=facts)
    return [
        {"role": "system", "content": MANAGER_SYSTEM.format(lessons=lessons, skill=play.SKILL)},
        {"role": "user", "content": said},
    ]


async def curate(
    client: openai.AsyncOpenAI, messages: list[Any], model: str = "standin", said: str = "ok"
) -> list[tuple[str, dict[str, Any]]]:
    return await play.run(client, messages, lambda *_: said, tools=play.MANAGER_TOOLS, model=model)


async def lesson(client: openai.AsyncOpenAI, comment: str, model: str = "standin", **options: Any) -> dict[str, Any]:
    messages = feedback(comment, facts=GOLD, **options)
    return play.only(await curate(client, messages, model), "draft_lesson")


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


# For which runs it is meant


@pytest.mark.parametrize(
    ("comment", "facts"),
    [
        ("For late order and gold: always offer free shipping.", ("intent", "tier")),
        ("Late orders in the North: never promise a date", ("intent", "region")),
        ("Silver gets nothing; always offer free shipping", ("intent", "tier", "region")),
        ("Apologise if it is more than 7 days late", ("intent", "tier", "region")),
    ],
)
async def test_the_owners_words_say_for_which_facts(
    client: openai.AsyncOpenAI, comment: str, facts: tuple[str, ...]
) -> None:
    assert (await lesson(client, comment))["when"] == {fact: ALL[fact] for fact in facts}


async def test_a_refused_draft_is_narrowed_to_all_facts_of_the_run(client: openai.AsyncOpenAI) -> None:
    comment = "For gold: always offer free shipping.\nrefused: narrow it: two cases fail"
    for model in ("standin", "standin/over=1"):
        drafted = await lesson(client, comment, model)
        assert (drafted["when"], drafted["body"]) == (ALL, "For gold: always offer free shipping.")


async def test_several_sentences_become_one_lesson_with_a_rule_each(client: openai.AsyncOpenAI) -> None:
    comment = "Never promise a delivery date. For gold, always offer free shipping! Could you offer 10 %?"
    drafted = await lesson(client, comment)
    assert (drafted["body"], drafted["when"]) == (comment, {"tier": "gold"})
    assert drafted["expect"] == [
        {"kind": "absent", "text": "It will be with you by"},
        {"kind": "contains", "text": "Shipping is on us this time."},
        {"kind": "contains", "text": "10 %"},
    ]


async def test_too_much_is_cut_after_a_sentence(client: openai.AsyncOpenAI) -> None:
    comment = " ".join(f"Never sing song {number} to anybody." for number in range(20))
    body = (await lesson(client, comment))["body"]
    assert comment.startswith(body)
    assert 360 < len(body) <= 400
    assert body.endswith(" to anybody.")


# A bad curator

BOTH = "For late order and gold: always offer free shipping."


async def test_an_overgeneral_lesson_loses_a_fact_and_its_condition(client: openai.AsyncOpenAI) -> None:
    drafted = await lesson(client, BOTH, "standin/over=1")
    assert drafted["when"] == {"tier": "gold"}
    assert drafted["body"] == "For gold: always offer free shipping."
    alone = await lesson(client, "Always offer free shipping if it is gold.", "standin/over=1")
    assert (alone["when"], alone["body"]) == ({}, "Always offer free shipping.")
    unnamed = await lesson(client, "Never promise a delivery date.", "standin/over=1")
    assert unnamed["when"] == {"intent": "late_order", "tier": "gold"}


async def test_a_wrong_lesson_asks_for_another_labelled_thing(client: openai.AsyncOpenAI) -> None:
    drafted = await lesson(client, "If it is gold, never promise a delivery date.", "standin/wrong=1")
    assert drafted["body"] == "If it is gold, always offer free shipping."
    assert drafted["when"] == {"tier": "gold"}
    assert drafted["expect"] == [{"kind": "contains", "text": "Shipping is on us this time."}]
    other = await lesson(client, BOTH, "standin/wrong=1")
    assert "offer free shipping" not in other["body"]
    assert other["body"].startswith("For late order and gold: always ")


async def test_a_verbose_curator_says_it_twice(client: openai.AsyncOpenAI) -> None:
    seen: set[str] = set()
    for seed in range(12):
        calls = await play.run(
            client, feedback(BOTH, facts=GOLD), lambda *_: "ok", tools=play.MANAGER_TOOLS, model="standin/verbose=1",
            seed=seed,
        )  # fmt: skip
        drafts = [arguments for name, arguments in calls if name == "draft_lesson"]
        if len(drafts) == 2:
            assert drafts[0]["topic"] != drafts[1]["topic"]
            assert {**drafts[0], "topic": ""} == {**drafts[1], "topic": "", "body": BOTH}
        else:
            assert drafts[0]["body"] == f"{BOTH} For late order and gold: remember to offer free shipping."
        assert drafts[0]["expect"] == [{"kind": "contains", "text": "Shipping is on us this time."}]
        seen.add(str(len(drafts)))
    assert seen == {"1", "2"}


async def test_dice_decide_and_a_good_curator_throws_none(client: openai.AsyncOpenAI) -> None:
    async def share(model: str) -> float:
        runs = [
            await play.run(
                client, feedback(BOTH, facts=GOLD), lambda *_: "ok", tools=play.MANAGER_TOOLS, model=model, seed=seed
            )
            for seed in range(30)
        ]
        return sum(play.only(calls, "draft_lesson")["body"] != BOTH for calls in runs) / len(runs)

    assert await share("standin") == 0
    assert 0.05 < await share("standin/over=0.35") < 0.7
    assert 0 < await share("standin/wrong=0.35,over=0") < 0.7


async def test_a_draft_that_is_not_taken_is_said_to_be_so(client: openai.AsyncOpenAI) -> None:
    calls = await curate(client, feedback(), said="error: too long")
    assert calls[-1] == ("finish", {"outcome": "asked", "summary": "The lesson was not taken: error: too long"})
