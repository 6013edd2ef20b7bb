"""The sub-agent's hat: read the skill that fits, run its queries, reply by the rules, finish."""

import re
from email import utils

from . import answer, compose, family, language, precedent, prompt, recipe, temptation

MAX_TEXT = 2000
MAX_SUBJECT = 80


def act(request: prompt.Request, traits: family.Traits, dice: family.Dice) -> answer.Answer:
    """The next call of a run."""
    task = prompt.report(request.user)
    if request.result("finish") is not None:
        return answer.Say("Done.")
    sent = request.result("send_mail")
    if sent is not None:
        return _finish_sent(request, sent)
    if dice.falls(traits.slip, "slip"):
        return _finish("nothing_to_do", f"Nothing to do for “{_subject(task)}”.")
    if dice.falls_for_all_turns(traits.gullible, "gullible"):
        tempted = temptation.follow(request, task)
        if tempted:
            return tempted
    return _by_skill(request, task, traits, dice)


def _by_skill(request: prompt.Request, task: prompt.Report, traits: family.Traits, dice: family.Dice) -> answer.Answer:
    name = _fitting_skill(request, task)
    if name is None:
        return _finish("nothing_to_do", f"No skill fits “{_subject(task)}”.")
    text = request.result("skill", name=name)
    if text is None:
        return answer.Use("skill", {"name": name})
    own = _own_query(request, task, traits)
    if own is not None and request.result("sql", query=own) is None:
        return answer.Use("sql", {"query": own})
    steps = recipe.read(text)
    values = _values(task)
    tables: dict[str, recipe.Table] = {}
    query = _look_up(request, steps, values, tables)
    if query:
        return query
    reply = next((step for step in steps.replies if step.wanted(tables)), None)
    if reply is None or dice.falls_for_all_turns(traits.other_outcome, "flip"):
        return _finish("needs_person", f"“{_subject(task)}” is left to a person. {_found(tables)}")
    writer = compose.Writer(
        [*_rules(request.within(int(traits.window))), *_heard(request, own)],
        _situation(task, values),
        values,
        obeys=lambda index: dice.falls(traits.obey, "obey", index),
    )
    return _send(request, task, writer.write(reply.text, steps.phrases))


def _own_query(request: prompt.Request, task: prompt.Report, traits: family.Traits) -> str | None:
    wants = traits.sql > 1 and "sql" in request.tools
    return precedent.query(request.section("Tables"), task.facts) if wants else None


def _heard(request: prompt.Request, query: str | None) -> list[language.Rule]:
    result = request.result("sql", query=query) if query else None
    return precedent.rules(result) if result else []


def _look_up(
    request: prompt.Request, steps: recipe.Recipe, values: dict[str, str], tables: dict[str, recipe.Table]
) -> answer.Use | None:
    """The next query to run, or None after the last; fills `tables`, and `values` from their first rows."""
    for step in steps.queries if "sql" in request.tools else ():
        query = recipe.fill_sql(step.text, values) if step.wanted(tables) else None
        if query is None:
            continue
        result = request.result("sql", query=query)
        if result is None:
            return answer.Use("sql", {"query": query})
        rows = recipe.table(result)
        tables[step.name] = rows
        values.update(rows[0] if rows else {})
    return None


def _send(request: prompt.Request, task: prompt.Report, text: str) -> answer.Answer:
    subject = re.sub(r"^(?:re:\s*)+", "", _subject(task), flags=re.I)
    to = _sender(task)[1]
    if not to:
        return _finish("done", text)
    if "send_mail" not in request.tools:
        return _finish("needs_person", f"There is no way to send this reply:\n{text}")
    return answer.Use("send_mail", {"to": to, "subject": f"Re: {subject}", "body": text})


def _finish_sent(request: prompt.Request, sent: str) -> answer.Answer:
    call = next(call for call in reversed(request.calls) if call.name == "send_mail" and call.result is not None)
    what = f"“{call.arguments.get('subject')}” to {call.arguments.get('to')}"
    if sent.startswith(("blocked", "refused")):
        return _finish("blocked", f"Did not send {what}: {sent[:200]}")
    if not sent.startswith("sent"):
        return _finish("needs_person", f"Could not send {what}: {sent[:200]}")
    queries = sum(call.name == "sql" for call in request.calls)
    return _finish("done", f"Sent {what} after {queries} queries.")


def _finish(outcome: str, summary: str) -> answer.Use:
    return answer.Use("finish", {"outcome": outcome, "summary": summary.strip()})


def _fitting_skill(request: prompt.Request, task: prompt.Report) -> str | None:
    if "skill" not in request.tools:
        return None
    wanted = _fitting_words(task)
    for name, description in re.findall(r"^- ([\w-]+):[ \t]*(.*)$", request.section("Skills"), re.MULTILINE):
        if language.words(f"{name.replace('-', ' ')} {description}") & wanted:
            return name
    return None


def _fitting_words(task: prompt.Report) -> frozenset[str]:
    facts = " ".join(task.facts.values()).replace("_", " ")
    return language.words(f"{task.fields.get('trigger', '')} {facts} {_subject(task)}")


def _rules(request: prompt.Request) -> list[language.Rule]:
    """The rules of the instructions, then those of the lessons."""
    found = language.rules(request.section("Instructions"), strict=True)
    for name, body in re.findall(r"^- \[lesson ([\w-]+)\] [^:\n]*: (.+)$", request.section("Lessons"), re.MULTILINE):
        found.extend(language.rules(body, lesson=name))
    return found


def _situation(task: prompt.Report, values: dict[str, str]) -> language.Situation:
    numbers = {name: float(value) for name, value in values.items() if re.fullmatch(r"-?\d+(\.\d+)?", value)}
    facts = " ".join(f"{name} {value}" for name, value in task.facts.items()).replace("_", " ")
    return language.Situation(numbers, language.words(f"{facts} {_subject(task)} {task.text}"))


def _values(task: prompt.Report) -> dict[str, str]:
    name, address = _sender(task)
    text = " ".join(task.text.split())[:MAX_TEXT]
    own = {"from_name": name or address, "from_address": address, "subject": _subject(task), "body": text}
    return {**task.facts, **task.fields, **own}


def _sender(task: prompt.Report) -> tuple[str, str]:
    return utils.parseaddr(task.fields.get("from", ""))


def _subject(task: prompt.Report) -> str:
    """The subject of a mail, or the beginning of another text."""
    return task.fields.get("subject") or task.text.partition("\n")[0][:MAX_SUBJECT] or "(no subject)"


def _found(tables: dict[str, recipe.Table]) -> str:
    return " ".join(f"{name}: {len(rows)} rows." for name, rows in tables.items())
