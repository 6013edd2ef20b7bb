"""Corrections as a test gives them: a run that was wrong, the owner's word, and the manager's scripted draft."""

from typing import Any

from scripted_model import Reply, calls, finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet.learning import feedback, trials

LATE = {"intent": "late_order"}
TIERS = """
[facts.tier]
gold = ["gold"]

[facts.channel]
chat = ["chat"]
"""
ASK = '[learning]\nadopt = "ask"'
RIGHT, WRONG = "We are sorry.", "No idea."


async def answered(shop: Workshop, body: str = WRONG, text: str = "My order is late.") -> int:
    """A run on a late order that wants to send `body`."""
    shop.says(mails(CUSTOMER, body), finishes())
    return await shop.run(mail(text))


def drafting(*first: Reply, **more: object) -> tuple[Reply, ...]:
    """A manager that drafts one lesson, after what it does first."""
    lesson = {"topic": "Late", "body": "Say sorry.", "when": LATE, "expect": [{"kind": "contains", "text": "sorry"}]}
    return (*first, calls(("draft_lesson", lesson | more)), finishes("A rule.", "drafted"))


async def corrected(shop: Workshop, run: int, *script: Reply, said: str = "Say sorry.", **more: Any) -> int:
    """The owner's word on the run, not yet taken up; the feedback's number."""
    shop.says(*(script or drafting()), manager=True)
    async with shop.database.api() as conn:
        number, _ = await feedback.give(conn, run, feedback.Said("change", said, **more))
    return number


def works(trial: dict[str, Any]) -> str:
    """The draft is right wherever it is tried; what is in force is wrong again."""
    return WRONG if trial["purpose"] == "before" else RIGHT


async def report(shop: Workshop, revision: int) -> dict[str, Any]:
    """What the trials of a draft came to."""
    async with shop.database.api() as conn:
        return await trials.report(conn, shop.agent, revision)


async def evidence(shop: Workshop, revision: int) -> dict[str, Any]:
    """What the newest decision on a revision rests on."""
    query = "SELECT evidence FROM pocketlet.decision WHERE agent_id = %s AND revision = %s ORDER BY id DESC LIMIT 1"
    return (await shop.row(query, shop.agent.id, revision))["evidence"]


async def decisions(shop: Workshop) -> list[tuple[int, str, str]]:
    """Revision, verdict and author of every decision, in order."""
    query = "SELECT revision, verdict, author FROM pocketlet.decision WHERE agent_id = %s ORDER BY id"
    return [(row["revision"], row["verdict"], row["author"]) for row in await shop.rows(query, shop.agent.id)]


async def newest(shop: Workshop) -> int:
    """The run that was made last."""
    return (await shop.row("SELECT max(id) AS id FROM pocketlet.run WHERE agent_id = %s", shop.agent.id))["id"]


async def unsettled(shop: Workshop) -> int:
    """Feedback without an outcome."""
    query = "SELECT FROM pocketlet.feedback WHERE agent_id = %s AND outcome IS NULL"
    return len(await shop.rows(query, shop.agent.id))


async def case(shop: Workshop, run: int) -> dict[str, Any]:
    """The row of the case that a run became."""
    return await shop.row("SELECT * FROM pocketlet.cases WHERE run_id = %s", run)
