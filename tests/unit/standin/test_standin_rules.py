"""The paraphrases of rules that the stand-in model understands."""

import openai
import pytest
import standin_play as play

from pocketlet.demo.standin import language

# Rules and their paraphrases

FORBIDDEN = [
    "Never promise a delivery date.",
    "Do not promise delivery dates",
    "Don't promise a delivery date, please.",
    "You must not promise any delivery date",
    "We should never promise a delivery date",
    "Avoid promising a delivery date",
    "Stop promising delivery dates!",
    "Refrain from promising a delivery date",
    "Promising a delivery date is not allowed",
    "No longer promise a delivery date",
    "Under no circumstances promise a delivery date",
    "It is forbidden to promise a delivery date",
    "From now on, you are not allowed to promise a delivery date.",
    "A delivery date must not be promised.",
]
REQUIRED = [
    "Offer 10 %.",
    "Always offer 10%",
    "You must offer 10 percent",
    "Please offer 10 %",
    "Make sure to offer 10 %",
    "Be sure to offer 10 %",
    "Remember to offer 10 %",
    "Don't forget to offer 10 %",
    "It is mandatory to offer 10 %",
    "10 % must be offered",
    "Offering 10 % is required",
    "We should give 10 % off",
]
CONDITIONAL = [
    "Offer 10 % if it is more than 7 days late",
    "If it is more than 7 days late, offer 10 %",
    "When it's over 7 days late, always offer 10 %",
    "Offer 10 % when the order is more than 7 days late",
    "Whenever an order is more than 7 days late then offer 10 %",
    "In case it is at least 8 days late, you must offer 10 %",
    "Offer 10 %, but only if it is 8 or more days late",
    "Offer 10 % unless it is less than 8 days late",
    "More than 7 days late: offer 10 %",
    "For orders more than 7 days late, offer 10 %",
    "As soon as it is > 7 days late, please offer 10 %",
    "Provided it is longer than 7 days late, offer 10 %",
]


@pytest.mark.parametrize("rule", FORBIDDEN)
async def test_prohibitions(client: openai.AsyncOpenAI, rule: str) -> None:
    body = play.only(await play.run(client, play.prompt(f"- [lesson 3] x: {rule}"), play.world()), "send_mail")["body"]
    assert play.PROMISE not in body
    assert "promis" not in body.replace("was promised for", "").lower()


@pytest.mark.parametrize("rule", REQUIRED)
async def test_obligations(client: openai.AsyncOpenAI, rule: str) -> None:
    assert (
        play.OFFER
        in play.only(await play.run(client, play.prompt(f"- [lesson 3] x: {rule}"), play.world()), "send_mail")["body"]
    )


@pytest.mark.parametrize("rule", CONDITIONAL)
@pytest.mark.parametrize("days", [7, 8])
async def test_conditional_obligations(client: openai.AsyncOpenAI, rule: str, days: int) -> None:
    calls = await play.run(client, play.prompt(f"- [lesson 3] x: {rule}"), play.world(days=days))
    assert (play.OFFER in play.only(calls, "send_mail")["body"]) is (days == 8)


def test_clauses_are_rules_of_their_own() -> None:
    rules = language.rules("Never sing. Pay 2.50 at the gate and never run; if it rains, go home")
    assert [(rule.forbids, rule.act) for rule in rules] == [
        (True, "sing"),
        (False, "Pay 2.50 at the gate"),
        (True, "run"),
        (False, "go home"),
    ]
    assert not rules[3].applies(language.Situation({}, language.words("sun")))
    assert rules[3].applies(language.Situation({}, language.words("it rained")))
