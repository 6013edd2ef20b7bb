"""What waits for the owner's word: the exact bytes that would leave, and the answer to them, bound to their hash."""

import email
import email.policy
import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import pydantic

from pocketlet import clock, errors
from pocketlet.agents import approving, mcp_tools, outward, report
from pocketlet.db import pool, queries
from pocketlet.learning import feedback
from pocketlet.platform import compose, connections
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Q = queries.load("approvals_page")
Hash = Annotated[str, pydantic.Field(max_length=100, description="`request_hash` of what you were shown.")]
Because = Annotated[str, pydantic.Field(max_length=feedback.MAX_COMMENT, description="Why; the agent reads it.")]


class RuleOffer(endpoint.Model):
    """The standing rule that "allow this kind" would make: this tool, to this destination alone, until that day."""

    tool: str
    to: str
    review_on: date


class Question(endpoint.Model):
    """One question. `state`: waiting, approved, edited, refused, expired or withdrawn. `question`: send, or send-again
    after a break. `effect_class`: what a break past the send means. `label`: the least trusted text that the run has
    read. `rule`: why it is asked. `sender` to `body` are read back from a mail's bytes, `url` and `request` from a
    request's; `headers` are names. `unseen`: characters in it that do not show, as codes. `alike`: questions with the
    same value may be answered together.
    """

    approval: int
    state: str
    question: str
    why: str
    agent: str
    run: int
    tool: str
    kind: str
    effect_class: str
    rule: str
    label: str
    to: str
    sender: str = ""
    subject: str = ""
    body: str = ""
    attachments: list[str] = pydantic.Field(default_factory=list[str])
    url: str = ""
    request: dict[str, Any] | None = None
    headers: list[str] = pydantic.Field(default_factory=list[str])
    unseen: list[str]
    request_hash: str
    edited: bool
    asked_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    because: str
    alike: str
    offer: RuleOffer | None

    @property
    def spelled(self) -> str:
        """A request's body as it would leave; of a call its arguments."""
        asked = self.request or {}
        return (
            str(asked["body"])
            if "body" in asked
            else json.dumps(asked.get("arguments", {}), ensure_ascii=False, indent=1)
        )

    @property
    def showing(self) -> str:
        """A mail's text without what does not show, to be edited."""
        return "".join(char for char in self.body.replace("\r\n", "\n") if compose.visible(char) == char)


class ApprovalWord(endpoint.Model):
    """Yes to exactly these bytes."""

    request_hash: Hash


class ApprovalEdit(endpoint.Model):
    """Your own text in the place of a mail's. `teach`: the agent learns from the difference."""

    request_hash: Hash
    body: Annotated[str, pydantic.Field(max_length=approving.LONGEST)]
    teach: bool = False


class Refusal(endpoint.Model):
    """No. `teach`: what you say is feedback, too, and the manager drafts a lesson of it."""

    request_hash: Hash
    because: Because = ""
    teach: bool = False


class Allowance(endpoint.Model):
    """A standing rule: unasked to this destination, `per_day` times, for `days`. `approve`: and yes to this one."""

    request_hash: Hash
    per_day: Annotated[int, pydantic.Field(ge=1, le=1000)]
    days: Annotated[int, pydantic.Field(ge=1, le=366)] = approving.REVIEW
    approve: bool = False


class Shown(endpoint.Model):
    """One of several questions, as it was shown."""

    approval: int
    request_hash: Hash


class Together(endpoint.Model):
    """One answer to several questions of one agent, tool and rule."""

    questions: Annotated[list[Shown], pydantic.Field(min_length=1, max_length=50)]
    yes: bool
    because: Because = ""


class Answered(endpoint.Model):
    """What was decided, of which runs. `feedback`: its number, if it teaches; `rule`: that of a standing rule made."""

    said: str
    approvals: list[int]
    runs: list[int]
    feedback: int | None = None
    rule: int | None = None


class Rule(endpoint.Model):
    """A standing rule. `left`: how often it may still be used today (UTC). `stale`: it allows nothing any more."""

    number: int
    agent: str
    tool: str
    kind: str
    destination: str
    per_day: int
    left: int
    review_on: date
    stale: bool


class Rules(endpoint.Model):
    """All in force."""

    items: list[Rule]


async def listing(
    caller: callers.Caller,
    *,
    answered: bool = False,
    agent: str = "",
    run: int | None = None,
    limit: paging.Limit = 50,
    cursor: paging.Cursor = "",
) -> endpoint.Page[Question]:
    """Lists the approvals that wait for you, the oldest first; or those answered, the newest first."""
    async with caller.database.api() as conn:
        only = (await callers.agent(conn, caller, agent)).id if agent else None
        values = {"owner": caller.owner.id, "agent": only, "run": run, "limit": limit + 1}
        values |= {"after": paging.after(cursor)}
        rows = await (await conn.execute(Q["answered" if answered else "waiting"], values)).fetchall()
        cut, following = paging.cut(rows, limit, "approval")
        return endpoint.Page(items=[await _question(conn, row) for row in cut], next=following)


async def show(caller: callers.Caller, approval: int) -> Question:
    """Shows one approval, whatever became of it."""
    async with caller.database.api() as conn:
        await callers.approval(conn, caller, approval)
        [row] = await (await conn.execute(Q["one"], {"approval": approval})).fetchall()
        return await _question(conn, row)


async def approve(caller: callers.Caller, approval: int, body: ApprovalWord) -> Answered:
    """Approves what an approval asks for: it is sent, byte for byte as shown."""
    async with caller.database.api() as conn:
        await callers.approval(conn, caller, approval)
        await approving.as_shown(conn, approval, body.request_hash)
        decided = await approving.decide(conn, approval, yes=True)
    return _answered(approval, decided, f"You approved it: it leaves for {decided.to} as soon as a worker takes it up.")


async def edit(caller: callers.Caller, approval: int, body: ApprovalEdit) -> Answered:
    """Edits the mail of an approval: your text goes in its place, and is thereby approved under a hash of its own."""
    async with caller.database.api() as conn:
        await callers.approval(conn, caller, approval)
        teaches = body.teach and body.body.strip()
        number = await _taught(conn, approval, feedback.Said("change", edited=body.body)) if teaches else None
        await approving.as_shown(conn, approval, body.request_hash)
        decided = await approving.edit(conn, approval, body.body)
    said = f"Your text leaves for {decided.to} in the place of the agent's."
    if hidden := _unseen(body.body.replace("\r\n", "\n")):
        said += f" It holds {len(hidden)} characters that do not show: {', '.join(hidden[:5])}."
    return _answered(approval, decided, said, number)


async def refuse(caller: callers.Caller, approval: int, body: Refusal) -> Answered:
    """Refuses what an approval asks for: nothing is sent, and the agent is told why."""
    if body.teach and not body.because.strip():
        raise errors.BadInput("To teach it something, say what should be different.", hint="Nothing was decided.")
    async with caller.database.api() as conn:
        await callers.approval(conn, caller, approval)
        number = await _taught(conn, approval, feedback.Said("change", body.because)) if body.teach else None
        await approving.as_shown(conn, approval, body.request_hash)
        decided = await approving.decide(conn, approval, yes=False, because=body.because.strip())
    said = "You refused it: nothing was sent, and the agent was told."
    said += f" The manager makes a lesson of what you said (feedback {number})." if number else ""
    return _answered(approval, decided, said, number)


async def allow(caller: callers.Caller, approval: int, body: Allowance) -> Answered:
    """Makes a standing rule out of an approval, for exactly its tool and destination, until a review date.

    The question itself may stay open.
    """
    async with caller.database.api() as conn:
        await callers.approval(conn, caller, approval)
        await approving.as_shown(conn, approval, body.request_hash)
        rule = await approving.allow(conn, approval, per_day=body.per_day, days=body.days)
        decided = await approving.decide(conn, approval, yes=True) if body.approve else None
    times = "once a day" if body.per_day == 1 else f"{body.per_day} times a day"
    said = f"Rule {rule['rule']}: {rule['tool']} to {rule['to']} goes unasked, {times}, until {rule['review_on']}."
    if decided is None:
        return Answered(said=f"{said} This one still waits for you.", approvals=[], runs=[], rule=rule["rule"])
    sent = f"{said} This one leaves, too."
    return Answered(said=sent, approvals=[approval], runs=[decided.run], rule=rule["rule"])


async def together(caller: callers.Caller, body: Together) -> Answered:
    """Answers several approvals of one agent, tool and rule at once: all of them, or none."""
    shown = {one.approval: one.request_hash for one in body.questions}
    async with caller.database.api() as conn:
        for number in sorted(shown):
            await callers.approval(conn, caller, number)
        for number in sorted(shown):  # all locks first: the audit chain's is the last one
            await approving.as_shown(conn, number, shown[number])
        found = [await _row(conn, number) for number in sorted(shown)]
        if len({_alike(row) for row in found}) > 1:
            said = "These are not questions of one agent, tool and rule."
            raise errors.BadInput(said, hint="Nothing was decided. Answer each kind by itself.")
        because = body.because.strip()
        decided = [await approving.decide(conn, number, yes=body.yes, because=because) for number in sorted(shown)]
    said = f"You {'approved' if body.yes else 'refused'} {len(decided)} questions."
    return Answered(said=said, approvals=sorted(shown), runs=sorted({one.run for one in decided}))


async def rules(caller: callers.Caller, *, agent: str = "") -> Rules:
    """Lists the standing rules: what your agents may do unasked."""
    async with caller.database.api() as conn:
        mine = [await callers.agent(conn, caller, agent)] if agent else await callers.everyone(conn, caller)
        found = [row for one in mine for row in await approving.rules(conn, one.id)]
    return Rules(items=[Rule(**row) for row in found])


async def remove_rule(caller: callers.Caller, rule: int) -> endpoint.Done:
    """Ends a standing rule: from now on you are asked again."""
    async with caller.database.api() as conn:
        await callers.rule(conn, caller, rule)
        agent = await approving.remove_rule(conn, rule)
    return endpoint.Done(said=f"Rule {rule} of {agent} is ended: you are asked again.")


async def _taught(conn: pool.Conn, approval: int, said: feedback.Said) -> int:
    """The feedback on the run that waits; before the answer, as an agent is locked before what it wants."""
    number, _ = await feedback.give(conn, (await _row(conn, approval))["run"], said)
    return number


def _answered(approval: int, decided: approving.Decided, said: str, number: int | None = None) -> Answered:
    return Answered(said=said, approvals=[approval], runs=[decided.run], feedback=number)


async def _row(conn: pool.Conn, approval: int) -> Mapping[str, Any]:
    [row] = await (await conn.execute(Q["one"], {"approval": approval})).fetchall()
    return row


def _alike(row: Mapping[str, Any]) -> str:
    """What questions of one rule have in common."""
    return " ".join(str(row[name]) for name in ("agent", "tool", "rule", "question"))


async def _question(conn: pool.Conn, row: Mapping[str, Any]) -> Question:
    names = ("approval", "state", "question", "why", "agent", "run", "tool", "kind", "rule", "label", "because")
    names = (*names, "request_hash", "expires_at", "decided_at", "edited")
    known: dict[str, Any] = {name: row[name] for name in names}
    known |= {"effect_class": row["class"], "asked_at": row["created_at"], "alike": _alike(row)}
    known |= {"offer": _offer(row) if row["state"] == "waiting" else None}
    told = report.read_back(row)
    known |= {"sender" if name == "from" else name: value for name, value in told.items()}
    if row["kind"] == "mail":
        mail = email.message_from_bytes(bytes(row["message"] or b""), policy=email.policy.default)
        known["headers"] = [str(name) for name in mail]
        known["attachments"] = [part.get_filename() or "without a name" for part in mail.iter_attachments()]
    elif row["kind"] == "http":
        known["headers"] = await _headers(conn, told["request"])
    texts = [str(value) for name, value in told.items() if name != "request"]
    texts += [] if row["kind"] == "mail" else mcp_tools.texts(told["request"])
    return Question(**known, unseen=_unseen("\n".join(texts).replace("\r\n", "\n")))


async def _headers(conn: pool.Conn, asked: Mapping[str, Any]) -> list[str]:
    try:
        return outward.field_names(asked, await connections.get(conn, asked["connection"]))
    except errors.NotFound:  # it was removed since; then nothing is sent, either
        return []


def _unseen(text: str) -> list[str]:
    """The characters that do not show, in order of first appearance, as codes."""
    return [compose.visible(char).strip("⟨⟩") for char in dict.fromkeys(text) if compose.visible(char) != char]


def _offer(row: Mapping[str, Any]) -> RuleOffer | None:
    to = approving.rule_for(row)
    review_on = clock.now().date() + timedelta(days=approving.REVIEW)
    return RuleOffer(tool=row["tool"], to=to, review_on=review_on) if to else None


ENDPOINTS = (
    endpoint.Endpoint("GET", "/approvals", "read", listing),
    endpoint.Endpoint("POST", "/approvals/together", "approve", together, keyed=True),
    endpoint.Endpoint("GET", "/approvals/{approval}", "read", show),
    endpoint.Endpoint("POST", "/approvals/{approval}/approve", "approve", approve, keyed=True),
    endpoint.Endpoint("POST", "/approvals/{approval}/edit", "approve", edit, keyed=True),
    endpoint.Endpoint("POST", "/approvals/{approval}/refuse", "approve", refuse, keyed=True),
    endpoint.Endpoint("POST", "/approvals/{approval}/allow", "approve", allow, keyed=True),
    endpoint.Endpoint("GET", "/rules", "read", rules),
    endpoint.Endpoint("DELETE", "/rules/{rule}", "approve", remove_rule),
)
