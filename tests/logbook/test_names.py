"""The name of a new agent: whose another one is, is not told."""

import itertools

import pytest
from desks import Desk

_keys = itertools.count(1)


async def begun(desk: Desk, owner: str, name: str) -> tuple[int, dict[str, str]]:
    """What is answered to an owner who wants an agent of that name."""
    async with desk.client(owner) as client:
        asked = {"message": "Answer mail.", "name": name, "model": "openai:gpt-5-mini"}
        answer = await client.post("/v1/chat", json=asked, headers={"idempotency-key": f"name-{next(_keys)}"})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("name", ["crm", "postgres", "pd_admin", "crm_ro"])
async def test_a_name_that_cant_be_had_is_refused_in_the_same_words(desk: Desk, name: str) -> None:
    status, told = await begun(desk, "second", name)
    assert (status, told["code"]) == (422, "badinput")
    assert told["detail"] == f"The name '{name}' can't be had."
    assert told["hint"] == "Take another one, or none: then one is made of your words."


async def test_ones_own_agent_and_no_name_at_all(desk: Desk) -> None:
    own, wrong = await begun(desk, "second", "foreign"), await begun(desk, "second", "Not a name")
    assert (own[0], own[1]["detail"]) == (409, "There is an agent 'foreign' of yours already.")
    assert (wrong[0], "is not a name" in wrong[1]["detail"]) == (422, True)
