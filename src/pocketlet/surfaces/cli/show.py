"""`pocketlet runs` and `show`."""

import json
from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import arguments, outcome, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.command()
@click.argument("agent")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many.")
@output.as_json
def runs(agent: str, *, limit: int, as_json: bool) -> None:
    """List an agent's runs, newest first."""
    rows, pause = session.api(_listing, agent, limit)
    if as_json:
        output.document({"agent": agent, "runs": rows, "models_paused": pause})
        return
    columns = ("run", "kind", "revision", "state", "outcome", "cost", "created", "subject")
    output.table(columns, [_listed(row) for row in rows])
    if pause:
        output.note(f"No model is asked until {output.when(pause['until'])} UTC: {pause['why']}")


def _listed(row: dict[str, Any]) -> list[object]:
    shown = [row[name] for name in ("run", "kind", "revision", "state", "outcome")]
    return [*shown, output.money(row["cost_usd"]), output.when(row["created_at"]), (row["subject"] or "")[:60]]


async def _listing(conn: "pool.Conn", name: str, limit: int) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The runs, and until when and why no model is asked, if the breaker is open."""
    from pocketlet.agents import agent as agents
    from pocketlet.agents import runs as all_runs
    from pocketlet.platform import breaker

    rows = await all_runs.listing(conn, await agents.get(conn, name), limit)
    state = await breaker.state(conn)
    return rows, {"until": state.until, "why": state.why} if state.until else None


@click.command()
@arguments.run
@output.as_json
def show(run: int, *, as_json: bool) -> None:
    """Show all of a run: briefing, lessons, steps, acts and cost."""
    found = session.api(_report, run)
    if as_json:
        output.document(found)
        return
    _head(found)
    _briefing(found)
    _steps(found)
    _acts(found)
    _end(found)


async def _report(conn: "pool.Conn", number: int) -> dict[str, Any]:
    from pocketlet.agents import report
    from pocketlet.learning import blame

    found = await report.run(conn, number)
    return found | {"purpose": await blame.purpose(conn, number, found["kind"])}


def _head(run: dict[str, Any]) -> None:
    output.line(f"Run {run['run']} of {run['agent']}, {run['kind']} on revision {run['revision']}: {run['state']}")
    if run["purpose"]:
        output.line(f"  for      {_trial(run['purpose']) if run['kind'] == 'trial' else _curation(run['purpose'])}")
    output.line(f"  facts    {output.pairs(run['facts'])}")
    output.line(f"  label    {run['label']}")
    output.line(f"  model    {run['model'] or ''}")
    output.line(f"  began    {output.when(run['started_at'])}")
    output.line(f"  ended    {output.when(run['ended_at'])}")


def _trial(purpose: dict[str, Any]) -> str:
    case = f"case {purpose['case']}, of run {purpose['case_run']}"
    sake = f"{purpose['purpose']} trial {purpose['attempt']} for revision {purpose['draft']}"
    failed = "; ".join(purpose["evidence"].get("failed", []))
    return f"{case}; {sake}: {purpose['verdict']}" + (f" (does not hold: {failed})" if failed else "")


def _curation(purpose: dict[str, Any]) -> str:
    said = ", ".join(f"feedback {item['feedback']} on run {item['run']}" for item in purpose["feedback"])
    draft = f" -> revision {purpose['revision']}" if purpose["revision"] else ""
    return f"{said}{draft}: {purpose['outcome'] or 'not settled yet'}"


def _briefing(run: dict[str, Any]) -> None:
    _title(f"Briefing {run['briefing_hash'] or '(not compiled yet)'}")
    output.line(f"{run['prompt_overhead_tokens'] or 0} tokens before the task")
    for part in run["briefing"]:
        output.line()
        output.line(f"[{part['part']}: {part['tokens']} tokens]")
        output.line(part["text"])
    _title(f"Lessons used: {len(run['lessons']) or 'none'}")
    for lesson in run["lessons"]:
        output.line(f"{lesson['name']} (when {output.pairs(lesson['when']) or 'always'}): {lesson['body']}")
        if lesson["feedback"]:
            said = f", of run {lesson['taught_on_run']}: {lesson['comment']}" if lesson["verdict"] else ""
            output.line(f"  from feedback {lesson['feedback']}{said}")


def _steps(run: dict[str, Any]) -> None:
    _title(f"Steps: {len(run['steps'])}")
    for step, timing in zip(run["steps"], run["timings"], strict=True):
        output.line()
        cost = f", {output.money(timing['cost_usd'])}" if step["kind"] == "model" else ""
        took = f"{timing['seconds']:.2f} s{cost}, label {step['label']}"
        output.line(f"{step['seq']}. {step['tool'] or 'model'} ({took})")
        if step["kind"] == "model":
            _model_step(step)
        else:
            output.line(f"> {_json(step['request'])}")
            output.line(f"error: {step['error']}" if step["error"] else str(step["response"]))


def _model_step(step: dict[str, Any]) -> None:
    output.line(f"> request {step['request']['hash']}, new:")
    for message in step["request"]["messages"]:
        # The briefing was shown in full above, and a tool's result with its own step.
        what = "the briefing" if message["role"] in ("system", "user") else f"the result of {message['tool']}"
        output.line(f">   {message['role']}: {what}, {len(message['content'])} characters")
    if step["response"]["text"]:
        output.line(step["response"]["text"])
    for call in step["response"]["calls"]:
        output.line(f"calls {call['tool']} {call['raw'] if call['args'] is None else _json(call['args'])}")
    output.line(f"usage {output.pairs(step['response']['usage'])}")


def _acts(run: dict[str, Any]) -> None:
    _title(f"Effects: {len(run['effects']) or 'none'}")
    for effect in run["effects"]:
        output.line(f"{effect['id']}. {effect['kind']} to {effect['to']}: {effect['state']} (rule {effect['rule']})")
        output.line(f"   step {effect['seq']}, {effect['class']}, hash {effect['request_hash']}")
        if effect["response"]:
            output.line(f"   {effect['response']}")
    for question in run["approvals"]:
        output.line()
        outcome.ask(question)


def _end(run: dict[str, Any]) -> None:
    _title("End")
    output.line(f"{run['outcome'] or run['state']}: {run['result'] or ''}".removesuffix(": "))
    if run["error"]:
        output.line(f"error: {run['error']}")
    if run["hint"]:
        output.line(f"next: {run['hint']}")
    output.line(f"cost {output.money(run['cost_usd'])}, uncertain {output.money(run['uncertain_usd'])}")
    for given in run["feedback"]:
        said = f": {given['comment']}" if given["comment"] else ""
        output.line(f"feedback {given['id']} ({given['verdict']}){said} -> {given['outcome'] or 'not settled yet'}")


def _title(text: str) -> None:
    output.line()
    output.line(f"== {text}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
