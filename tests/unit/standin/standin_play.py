"""Plays the harness against a stand-in model that runs as a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai

import pocketlet.demo

DEMO = Path(pocketlet.demo.__file__).parent
SKILL = (DEMO / "crm" / "skills" / "reply-to-customer" / "SKILL.md").read_text(encoding="utf-8")
COMMENT = "Never promise a delivery date; offer 10 % if it is more than 7 days late."
PROMISE = "It will be with you by 2026-03-05."
OFFER = "we would like to offer you 10 % off"

SYSTEM = """You work for the owner.

# Job
Answer the shop's customer mail.

# Instructions
Be brief.
{lessons}
# Skills
- reply-to-customer: Answer a mail to the shop.

# Tables
customers(id bigint, name text, email text, city text) -- people who have bought from us
products(id bigint, name text, price numeric(10,2)) -- what we sell; price: for a customer, in EUR
"""
TASK = """# Task
trigger: mail
from: {sender}
to: shop@crm.example
subject: {subject}
facts: intent=late_order
<outside>
{body}
</outside>
"""
LETTERS = "last_written\tdirection\tlast_subject\n2026-02-10\tin\tHi\n(1 row)"
HISTORY = (
    "name\torder_no\tproduct\tpromised_on\tdays_late\texpected_on\n"
    "Ann O'Neil\tA-1042\tCopper Kettle\t2026-02-18\t{days}\t2026-03-05\n(1 row)"
)
PAST = "product\tprice\tstock\ttimes_sold\tlast_sold_on\tusual_days\nOak Caddy\t23.00\t\t9\t2026-02-01\t5\n(1 row)"

Result = Callable[[str, dict[str, Any]], str]


def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "pocketlet.demo.standin", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("standin listening on http://127.0.0.1:")
    return process, line.split()[-1]


def stop(process: subprocess.Popen[str]) -> None:
    with process:
        process.terminate()


def tools(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": n, "parameters": {"type": "object"}}} for n in names]


WORKER_TOOLS = tools("sql", "skill", "send_mail", "search", "read", "remember", "finish")
MANAGER_TOOLS = tools("draft_lesson", "retire_lesson", "sql", "finish")


def prompt(lessons: str = "", *, subject: str = "Where is my parcel?", body: str = "It is late!") -> list[Any]:
    section = f"\n# Lessons\n{lessons}\n" if lessons else ""
    task = TASK.format(sender="Ann O'Neil <ann@example.org>", subject=subject, body=body)
    return [
        {"role": "system", "content": SYSTEM.format(lessons=section)},
        {"role": "user", "content": task},
    ]


def world(*, days: int = 12, sent: str = "sent to ann@example.org", known: bool = True, skill: str = SKILL) -> Result:
    def result(tool: str, arguments: dict[str, Any]) -> str:
        if tool == "skill":
            return SKILL
        if tool == "send_mail":
            return sent
        if tool == "finish":
            return "ok"
        query = arguments["query"]
        if "from messages" in query:
            return LETTERS
        if "promised_on < current_date" in query:
            return HISTORY.format(days=days) if known else "name\torder_no\n(0 rows)"
        return PAST if "Oak Caddy" in query else "id\tname\temail\tcity\n1\tAnn\tann@example.org\tGraz\n(1 row)"

    return result


async def run(
    client: openai.AsyncOpenAI, messages: list[Any], result: Result, *, model: str = "standin", **options: Any
) -> list[tuple[str, dict[str, Any]]]:
    """Play the harness until the run is finished; gives all calls."""
    calls: list[tuple[str, dict[str, Any]]] = []
    offered = options.pop("tools", WORKER_TOOLS)
    messages = list(messages)
    for _ in range(40):
        answer = await client.chat.completions.create(model=model, messages=messages, tools=offered, **options)
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls or []:
            try:
                arguments = json.loads(call.function.arguments)
            except ValueError:
                text = "error: the arguments are not JSON"
            else:
                calls.append((call.function.name, arguments))
                text = result(*calls[-1])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
        if calls and calls[-1][0] == "finish":
            break
    return calls


async def run_anthropic(
    client: anthropic.AsyncAnthropic, messages: list[Any], result: Result, *, model: str = "standin", **options: Any
) -> list[tuple[str, dict[str, Any]]]:
    """The same on the other wire; a `seed` goes where that wire has room for it."""
    calls: list[tuple[str, dict[str, Any]]] = []
    seed = {"metadata": {"user_id": str(options["seed"])}} if "seed" in options else {}
    system, *rest = [message["content"] for message in messages]
    said: list[Any] = [{"role": "user", "content": text} for text in rest]
    offered = [anthropic_tool(tool["function"]) for tool in options.get("tools", WORKER_TOOLS)]
    for _ in range(40):
        answer: Any = await client.messages.create(
            model=model, max_tokens=500, system=system, messages=said, tools=offered, **seed
        )
        blocks = [block.model_dump(exclude_none=True, warnings=False) for block in answer.content]
        said.append({"role": "assistant", "content": blocks})
        results = [answered(block, result, calls) for block in answer.content if block.type == "tool_use"]
        said.append({"role": "user", "content": results or "Go on."})
        if calls and calls[-1][0] == "finish":
            break
    return calls


def answered(block: Any, result: Result, calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What a call gave, as a block; a call that was made well is added to `calls`."""
    if isinstance(block.input, dict):
        calls.append((block.name, block.input))
        return {"type": "tool_result", "tool_use_id": block.id, "content": result(*calls[-1])}
    content = [{"type": "text", "text": "error: the arguments are not an object"}]
    return {"type": "tool_result", "tool_use_id": block.id, "content": content, "is_error": True}


def anthropic_tool(function: dict[str, Any]) -> dict[str, Any]:
    return {"name": function["name"], "input_schema": function["parameters"]}


def only(calls: list[tuple[str, dict[str, Any]]], tool: str) -> dict[str, Any]:
    found = [arguments for name, arguments in calls if name == tool]
    assert len(found) == 1, calls
    return found[0]
