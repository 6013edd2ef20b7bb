"""The manager's hat in a conversation: an owner's message becomes one proposal, one query, or a plain reply."""

import re

from . import answer, language, manager, prompt, proposals, recipe, scope, tables

MESSAGE = re.compile(r"^# Message[ \t]*$\n?", re.MULTILINE)
GREETING = re.compile(
    r"^(?:(?:hi|hello|hey|good (?:morning|day|evening))\b(?:\s+(?:there|all|manager)\b)?|dear\s+\w+)[\s,.!:]*", re.I
)
SMALL_TALK = re.compile(r"^(?:thanks?|yes|no|okay|ok|sure|great|fine)\b", re.I)
ASKS = re.compile(
    r"^(?:please\s+)?(?:(?:i|we)(?:['’]d| would)? (?:want|need|like)\b|(?:can|could|would|will) you\b"
    r"|you (?:are to|shall|should|will)\b|your (?:job|task)\b)",
    re.I,
)
RULE = re.compile(r"\b(?:from now on|always|never)\b", re.I)
INQUIRY = re.compile(r"^(?:what|how many|which|when|show)\b", re.I)
TABLE = re.compile(
    r"\b(?:table (?:for|of)|keep track of)\s+(?P<name>[^(),.:;]+?)\s*(?:\bwith\b|\(|:)\s*(?P<columns>[^()]+)", re.I
)
CORRESPONDENCE = language.all_words("send sent answer write wrote written")
SENT = "select run, at, recipient, state from sent{span} order by at desc limit 20"
DONE = "select id, kind, state, outcome, created_at from run_log{span} order by id desc limit 20"
ABLE = (
    "I can propose what this agent is for, a lesson (“from now on …”, always, never) or a table"
    " (“keep track of … (a, b)”), and I can look up what was done and sent (“what …?”, “how many …?”, “show …”)."
)


def act(request: prompt.Request) -> answer.Answer:
    """The next step of a turn of the conversation: a call, and after its result the reply to the owner."""
    message = _message(request.user)
    use = _use(request, message)
    if use is None or use.tool not in request.tools:
        return answer.Say(ABLE)
    result = request.result(use.tool, **use.arguments)
    if result is None:
        return use
    if answer.refused(result):
        return answer.Say(f"That was not possible. {result}")
    return answer.Say(_rows(result) if use.tool == "sql" else proposals.told(use))


def _message(user: str) -> str:
    parts = MESSAGE.split(user, maxsplit=1)
    return GREETING.sub("", parts[-1].strip())


def _use(request: prompt.Request, message: str) -> answer.Use | None:
    """The one call that a message asks for."""
    sentences = [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+|\n+", message) if sentence.strip()]
    jobs = [sentence for sentence in sentences if _asks_for_a_job(sentence)]
    if jobs and _empty(request):
        return proposals.agent(jobs[0], [sentence for sentence in sentences if sentence != jobs[0]])
    table = next(filter(None, map(TABLE.search, sentences)), None)
    if table:
        return proposals.table(table["name"], table["columns"], table.string)
    rules = [sentence for sentence in sentences if RULE.search(sentence) and not sentence.endswith("?")]
    if rules:
        return _lesson(request, " ".join(rules)[: manager.MAX_BODY])
    asked = next((sentence for sentence in sentences if sentence.endswith("?") or INQUIRY.match(sentence)), None)
    return answer.Use("sql", {"query": _query(request, asked)}) if asked else None


def _empty(request: prompt.Request) -> bool:
    return prompt.report(request.section("Agent")).fields.get("state") == "empty"


def _asks_for_a_job(sentence: str) -> bool:
    if len(sentence.split()) < 3 or any(other.search(sentence) for other in (SMALL_TALK, RULE, TABLE)):
        return False
    told = not sentence.endswith("?") and not INQUIRY.match(sentence) and bool(language.rules(sentence))
    return told or bool(ASKS.match(sentence))


def _lesson(request: prompt.Request, body: str) -> answer.Use:
    when = scope.singled_out(scope.declared(request.section("Facts")), body)
    return answer.Use("propose_lesson", {"topic": manager.topic(body), "body": body, "when": when, "expect": []})


def _query(request: prompt.Request, asked: str) -> str:
    said = language.all_words(asked)
    if said & CORRESPONDENCE and tables.lists(request.section("Tables"), "sent"):
        return SENT.replace("{span}", span("at", said))
    return DONE.replace("{span}", span("created_at", said))


def span(column: str, said: frozenset[str]) -> str:
    """A filter of the last seven days or of this day, if that is asked for."""
    if language.stem("week") in said:
        return f" where {column} > now() - interval '7 days'"
    return f" where {column} >= current_date" if "today" in said else ""


def _rows(result: str) -> str:
    rows = recipe.table(result)
    if not rows:
        return "There are none."
    told = "; ".join(", ".join(f"{name} {value}" for name, value in row.items() if value) for row in rows)
    return f"{len(rows)} row{'' if len(rows) == 1 else 's'}: {told}."
