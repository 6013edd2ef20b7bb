"""The stand-in model as a manager in a conversation: proposals, look-ups and plain replies."""

import json
import re
from typing import Any

import openai
import pytest
import standin_play as play

TOOLS = play.tools("sql", "propose_agent", "propose_lesson", "propose_instructions", "propose_table")
SYSTEM = """You look after an agent.

# Job
Answer the shop's customer mail.

# Instructions
Always be brief.

# Facts
- intent: late_order, product_question, other
- tier: gold, silver

# Tables
{tables}

# Agent
name: crm
state: {state}
"""
SENT = "sent(at timestamp with time zone, recipient text, subject text, state text) -- mails that left\n"
ROWS = "id\tkind\tstate\n12\trun\tdone\n11\trun\tdone\n(2 rows)"

Calls = list[tuple[str, dict[str, Any]]]


async def turn(
    client: openai.AsyncOpenAI, message: str, *, state: str = "working", tables: str = "", result: str = "ok"
) -> tuple[Calls, str]:
    """One turn of the conversation: its calls, and the reply that ends it."""
    earlier = "# Conversation\nowner: always sing\nmanager: Nothing to do?\n\n# Message\n"
    system = SYSTEM.format(state=state, tables=tables)
    messages: list[Any] = [{"role": "system", "content": system}, {"role": "user", "content": earlier + message}]
    calls: Calls = []
    for _ in range(5):
        answer = await client.chat.completions.create(model="standin", messages=messages, tools=TOOLS)
        said = answer.choices[0].message
        if not said.tool_calls:
            return calls, said.content or ""
        messages.append(said.model_dump(exclude_none=True))
        [call] = said.tool_calls
        calls.append((call.function.name, json.loads(call.function.arguments)))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise AssertionError(calls)


# An agent for a job

JOB = "Please answer the mail of our club (bookings, opening hours)."


async def test_a_job_for_an_empty_agent_is_proposed_once(client: openai.AsyncOpenAI) -> None:
    calls, reply = await turn(client, f"Hello! {JOB} Be kind to children.", state="empty")
    proposed = play.only(calls, "propose_agent")
    assert (len(calls), proposed["job"], proposed["trigger"]) == (1, JOB, "mail")
    assert proposed["tools"] == ["sql", "search", "read", "skill", "remember", "send_mail"]
    assert proposed["facts"] == {
        "kind": {"bookings": ["booking", "bookings"], "opening_hours": ["opening hour", "opening hours"]}
    }
    assert proposed["instructions"].endswith("\n- Be kind to children.")
    [skill] = proposed["skills"]
    assert skill["name"] == "do-the-job"
    assert {"mail", "task", "text", "json", "bookings", "club"} <= {*re.findall(r"\w+", skill["description"])}
    assert JOB in reply


@pytest.mark.parametrize(
    ("message", "trigger"),
    [
        ("Summarise each report that I give you.", "none"),
        ("I want you to file the letters of my tenants", "mail"),
        ("Could you sort my e-mails, please?", "mail"),
    ],
)
async def test_other_ways_to_ask_for_a_job(client: openai.AsyncOpenAI, message: str, trigger: str) -> None:
    proposed = play.only((await turn(client, message, state="empty"))[0], "propose_agent")
    assert (proposed["job"], proposed["trigger"], proposed["facts"]) == (message, trigger, {})


@pytest.mark.parametrize("message", ["Hello!", "Hi there, manager", "Thank you very much.", "Yes please do it", "Ok"])
async def test_small_talk_is_no_job(client: openai.AsyncOpenAI, message: str) -> None:
    calls, reply = await turn(client, message, state="empty")
    assert calls == []
    assert reply.startswith("I can propose")


async def test_an_agent_that_has_a_job_gets_no_other(client: openai.AsyncOpenAI) -> None:
    assert (await turn(client, JOB))[0] == []


def accepted(proposed: dict[str, Any]) -> str:
    """The system prompt of a run of the agent that was proposed."""
    [skill] = proposed["skills"]
    return (
        f"You work.\n\n# Job\n{proposed['job']}\n\n# Instructions\n{proposed['instructions']}\n\n"
        f"# Skills\n- {skill['name']}: {skill['description']}\n"
    )


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("sender", ["Ann <ann@example.org>", ""])
async def test_the_accepted_agent_does_its_job(client: openai.AsyncOpenAI, known: bool, sender: str) -> None:
    proposed = play.only((await turn(client, JOB, state="empty"))[0], "propose_agent")

    def result(tool: str, arguments: dict[str, Any]) -> str:
        found = "\nOpening hours\tWe open at nine.\n(1 row)" if known else "\n(0 rows)"
        results = {"skill": proposed["skills"][0]["text"], "sql": f"known_subject\tknown_text{found}"}
        return results.get(tool, "sent to ann@example.org")

    task = play.TASK.format(sender=sender, subject="Opening hours?", body="When don't you open?")
    if not sender:
        task = "# Task\ntrigger: text\nfacts: kind=opening_hours\n\nSay when we don't open."
    messages = [{"role": "system", "content": accepted(proposed)}, {"role": "user", "content": task}]
    calls = await play.run(client, messages, result)
    names = ["skill", "sql", "send_mail", "finish"] if sender else ["skill", "sql", "finish"]
    assert [name for name, _ in calls] == names
    assert "don''t" in calls[1][1]["query"]
    text = calls[2][1]["body"] if sender else calls[2][1]["summary"]
    assert ("We open at nine." in text) is known
    assert ("A person will look at it" in text) is not known
    assert "{" not in text
    assert "[" not in text
    assert calls[-1][1]["outcome"] == "done"


# A lesson, a table


@pytest.mark.parametrize(
    ("message", "body", "when"),
    [
        ("From now on sign with Ann.", "From now on sign with Ann.", {}),
        ("Odd. For late orders, always say sorry.", "For late orders, always say sorry.", {"intent": "late_order"}),
        ("never call the gold ones", "never call the gold ones", {"tier": "gold"}),
        ("Gold or silver: always be quick", "Gold or silver: always be quick", {}),
    ],
)
async def test_a_standing_wish_becomes_a_lesson(
    client: openai.AsyncOpenAI, message: str, body: str, when: dict[str, str]
) -> None:
    calls, reply = await turn(client, message)
    proposed = play.only(calls, "propose_lesson")
    assert (proposed["body"], proposed["when"], proposed["expect"]) == (body, when, [])
    assert ":" not in proposed["topic"]
    assert body in reply


@pytest.mark.parametrize(
    "message",
    [
        "I need a table for our guests with name, first visit and the wishes.",
        "Keep track of guests (name, First visit, wishes)",
    ],
)
async def test_a_table_is_proposed(client: openai.AsyncOpenAI, message: str) -> None:
    for state in ("empty", "working"):
        calls, reply = await turn(client, message, state=state)
        columns = [{"name": name, "type": "text"} for name in ("name", "first_visit", "wishes")]
        assert calls == [("propose_table", {"name": "guests", "columns": columns, "comment": message})]
        assert "guests" in reply


# Questions

LOG = "select id, kind, state, outcome, created_at from run_log{} order by id desc limit 20"
LEFT = "select run, at, recipient, state from sent{} order by at desc limit 20"


@pytest.mark.parametrize(
    ("message", "tables", "query"),
    [
        ("What did you do?", SENT, LOG.format("")),
        ("Show me what you did this week", "", LOG.format(" where created_at > now() - interval '7 days'")),
        ("How many mails did you send today?", "", LOG.format(" where created_at >= current_date")),
        ("How many mails were sent today?", SENT, LEFT.format(" where at >= current_date")),
        ("Did you always answer Ann?", SENT, LEFT.format("")),
    ],
)
async def test_a_question_is_looked_up_once(client: openai.AsyncOpenAI, message: str, tables: str, query: str) -> None:
    calls, reply = await turn(client, message, tables=tables, result=ROWS)
    assert calls == [("sql", {"query": query})]
    assert reply == "2 rows: id 12, kind run, state done; id 11, kind run, state done."


async def test_what_is_not_possible_is_said(client: openai.AsyncOpenAI) -> None:
    assert (await turn(client, "What was done?", result="id\tkind\n(0 rows)"))[1] == "There are none."
    assert (await turn(client, "What was done?", result="error: no such view"))[1].endswith("error: no such view")
    assert (await turn(client, "Never sing.", result="refused: too short"))[1].endswith("refused: too short")
    assert (await turn(client, "The weather is fine."))[0] == []


async def test_who_writes_no_sql_says_what_it_can_do(client: openai.AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "# Message\nWhat was done?"}]
    answer = await client.chat.completions.create(model="standin/sql=0", messages=messages, tools=TOOLS)
    assert (answer.choices[0].message.content or "").startswith("I can propose")
