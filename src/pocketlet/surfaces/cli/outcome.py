"""What a command prints when a run has come to rest, and the exit code that says the same."""

import json
from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import output

if TYPE_CHECKING:
    from pocketlet.db import pool

WAITS = 3
#: Effects that a person hears of without asking.
TOLD = {"captured": "Only shown, not done", "failed": "Failed", "blocked": "Blocked", "unknown": "Nobody knows"}


async def attended(database: "pool.Database", number: int) -> dict[str, Any]:
    """The run's document, once it rests."""
    from pocketlet.agents import report
    from pocketlet.surfaces.cli import attending

    async with attending.Attendant(database) as attendant:
        await attendant.rest(number)
    async with database.api() as conn:
        return await report.run(conn, number)


def tell(run: dict[str, Any], *, as_json: bool) -> None:
    """Prints the run's outcome and exits with its code."""
    if as_json:
        output.document(run)
    else:
        _summary(run)
    if code := exit_code(run):
        click.get_current_context().exit(code)


def exit_code(run: dict[str, Any]) -> int:
    """3 waits for a person; what the run kept, else 1, if it failed or was stopped; 0 otherwise."""
    match run["state"]:
        case "waiting":
            return WAITS
        case "failed" | "stopped":
            return run["exit_code"] or 1
        case _:
            return 0


def _summary(run: dict[str, Any]) -> None:
    number = run["run"]
    ended = run["state"] if run["outcome"] in (None, run["state"]) else f"{run['state']}, {run['outcome']}"
    output.line(f"Run {number} of {run['agent']} (revision {run['revision']}): {ended}")
    if run["result"]:
        output.line(run["result"])
    overhead = run["prompt_overhead_tokens"]
    output.line(f"{len(run['steps'])} steps, {output.money(run['cost_usd'])}, {overhead or 0} tokens of briefing")
    for effect in run["effects"]:
        if effect["state"] in TOLD:
            output.line(f"{TOLD[effect['state']]}: {effect['tool']} to {_in_one_line(effect['to'])}{_why(effect)}")
    for question in run["approvals"]:
        output.line()
        ask(question)
    if run["error"]:
        output.failure("", run["error"], run["hint"] or f"`pocketlet show {number}`.", as_json=False)
    elif run["state"] == "done" and run["kind"] == "run":
        output.note(f'Next: `pocketlet show {number}`, or teach it: `pocketlet feedback {number} "…"`.')


def _why(effect: dict[str, Any]) -> str:
    if effect["state"] == "captured":
        return f": {json.dumps(effect['request'], ensure_ascii=False)[:2000]}"
    return f": {_in_one_line(effect['response'] or '')[:300]}" if effect["response"] else ""


def ask(question: dict[str, Any]) -> None:
    """A question to the owner: the exact bytes, why it is asked, what they mean after a break, and what to type."""
    number = question["approval"]
    thing = "mail" if question["kind"] == "mail" else "request"
    what = f"Send this {thing}?" if question["question"] == "send" else f"Send this {thing} again?"
    output.line(f"Approval {number} (run {question['run']} of {question['agent']}): {what}")
    output.line(f"  why      {_in_one_line(question['why'])}")
    output.line(f"  class    {question['class']}")
    output.line(f"  hash     {question['request_hash']}")
    output.line(f"  expires  {question['expires_at']:%Y-%m-%d %H:%M} (then the answer is no)")
    _letter(question) if thing == "mail" else _request(question)
    output.line()
    output.line(f"`pocketlet approve {number}`, or `pocketlet refuse {number} --because TEXT`")


def draw(text: str) -> None:
    """On stderr, a text that the owner wrote in the place of a mail's, as it will go: what does not show is drawn."""
    from pocketlet.platform import compose

    output.note("This text goes instead:")
    for line in text.replace("\r\n", "\n").split("\n"):
        output.note(f"  | {line}")
    if hidden := len([char for char in text.replace("\r\n", "\n") if compose.visible(char) != char]):
        output.note(f"Note: it holds {hidden} characters that do not show; they are drawn as ⟨U+…⟩ here, and sent.")


def _in_one_line(text: str) -> str:
    """Text from outside must not look like a line of the question."""
    return " ".join(text.split())


def _request(question: dict[str, Any]) -> None:
    """A request as it will be sent: each field by itself, as JSON, so that nothing in it can pass for another."""
    if question["url"]:
        output.line(f"  Request  {_in_one_line(question['url'])}")
    for name, value in question["request"].items():
        if value not in ("", [], {}):
            output.line(f"  {name:<8} {json.dumps(value, ensure_ascii=False)}")


def _letter(question: dict[str, Any]) -> None:
    output.line(f"  From     {_in_one_line(question['from'])}")
    output.line(f"  To       {_in_one_line(question['to'])}")
    output.line(f"  Subject  {_in_one_line(question['subject'])}")
    output.line()
    for text in question["body"].replace("\r\n", "\n").split("\n"):
        output.line(f"  | {text}")
