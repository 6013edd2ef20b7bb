"""Approvals: what waits for the owner's word, letter by letter, and the answers to it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import approvals, home
from pocketlet.surfaces.web.screens import filled, once, screen

HERE = "/approvals"
RECENT = 8  # answers that stand beside the page
Answer = Callable[[screen.Look, int, dict[str, str]], Awaitable[approvals.Answered]]


async def show(look: screen.Look) -> Response:
    """All that waits; the first letter is open, or the one that was asked for."""
    return await _page(look, filled.number(look.asked("open", "0")))


async def one(look: screen.Look) -> Response:
    """One question, whatever became of it."""
    question = await approvals.show(look.caller, filled.number(look.path["approval"]))
    title = _title(question)
    view = screen.View("approvals_one.html", title, "approvals", question.agent)
    return await screen.page(look, view, question=question)


async def alike(look: screen.Look) -> Response:
    """Questions of one agent, tool and rule, each in full, and one answer to all: the second step of a bulk."""
    like = (await approvals.show(look.caller, filled.number(look.path["approval"]))).alike
    waiting = await approvals.listing(look.caller, limit=200)
    found = [question for question in waiting.items if question.alike == like][:50]
    if not found:
        raise errors.Conflict("None of these waits any more.", hint="The list shows what does.")
    view = screen.View("approvals_together.html", "Answer these together", "approvals", found[0].agent)
    return await screen.page(look, view, questions=found)


async def answer(look: screen.Look, word: Answer) -> Response:
    """One of the four answers. A second click is the same word."""
    form = await look.form()
    number = filled.number(look.path["approval"])

    async def acted() -> once.Came:
        answered = await word(look, number, form)
        return once.Came(_next(answered, form), answered.said)

    return await once.act(look, form | {"key": form.get("hash", "")}, acted)


def _next(answered: approvals.Answered, form: Mapping[str, str]) -> str:
    """The page to go on with: what becomes of what was taught, the run it was asked from, or the list."""
    if answered.feedback:
        return f"/feedback/{answered.feedback}"
    return f"/runs/{answered.runs[0]}" if form.get("back") == "run" and answered.runs else HERE


async def together(look: screen.Look) -> Response:
    """One answer to all that the page showed."""
    form = await look.form()
    hashes = {name.removeprefix("hash-"): value for name, value in form.items() if name.startswith("hash-")}
    body = {"questions": [{"approval": name, "request_hash": value} for name, value in hashes.items()]}
    body |= {"yes": form.get("word") == "approve", "because": form.get("because", "")}

    async def acted() -> once.Came:
        answered = await approvals.together(look.caller, filled.body(approvals.Together, **body))
        return once.Came(HERE, answered.said)

    return await once.act(look, form | {"key": "together"}, acted)


async def remove_rule(look: screen.Look) -> Response:
    """Ends a standing rule."""
    done = await approvals.remove_rule(look.caller, filled.number(look.path["rule"]))
    return screen.to(HERE, done.said)


async def _page(look: screen.Look, opened: int) -> Response:
    waiting = await approvals.listing(look.caller, limit=50, cursor=look.asked("after"))
    recent = await approvals.listing(look.caller, answered=True, limit=RECENT)
    rules = await approvals.rules(look.caller)
    others = [one for one in (await home.waiting(look.caller)).items if one.kind != "approval"]
    known = {question.approval for question in waiting.items}
    first = opened if opened in known else waiting.items[0].approval if waiting.items else 0
    values: dict[str, Any] = {"waiting_for_you": waiting.items, "next": waiting.next, "opened": first}
    values |= {"recent": recent.items, "rules": rules.items, "groups": _groups(waiting.items)}
    values |= {"others": others}
    return await screen.page(look, screen.View("approvals.html", "Approvals", "approvals"), **values)


def _groups(waiting: Sequence[approvals.Question]) -> list[tuple[approvals.Question, int]]:
    """Of each kind of which several wait the first, and how many there are."""
    found: dict[str, list[approvals.Question]] = {}
    for question in waiting:
        found.setdefault(question.alike, []).append(question)
    return [(questions[0], len(questions)) for questions in found.values() if len(questions) > 1]


def _title(question: approvals.Question) -> str:
    if question.state == "waiting":
        return "Waiting for you"
    return {"edited": "You changed this", "expired": "Nobody answered in time"}.get(
        question.state, f"This was {question.state}"
    )


async def _approve(look: screen.Look, approval: int, form: dict[str, str]) -> approvals.Answered:
    return await approvals.approve(
        look.caller, approval, filled.body(approvals.ApprovalWord, request_hash=form.get("hash"))
    )


async def _edit(look: screen.Look, approval: int, form: dict[str, str]) -> approvals.Answered:
    body = {"request_hash": form.get("hash"), "body": form.get("body", ""), "teach": form.get("teach") == "yes"}
    return await approvals.edit(look.caller, approval, filled.body(approvals.ApprovalEdit, **body))


async def _refuse(look: screen.Look, approval: int, form: dict[str, str]) -> approvals.Answered:
    body = {"request_hash": form.get("hash"), "because": form.get("because", ""), "teach": form.get("teach") == "yes"}
    return await approvals.refuse(look.caller, approval, filled.body(approvals.Refusal, **body))


async def _allow(look: screen.Look, approval: int, form: dict[str, str]) -> approvals.Answered:
    body = {"request_hash": form.get("hash"), "per_day": form.get("per_day", ""), "approve": True}
    return await approvals.allow(look.caller, approval, filled.body(approvals.Allowance, **body))


ANSWERS: Mapping[str, Answer] = {"approve": _approve, "edit": _edit, "refuse": _refuse, "allow": _allow}


def _answering(word: Answer) -> screen.Handler:
    async def handle(look: screen.Look) -> Response:
        return await answer(look, word)

    return handle


SCREENS = (
    screen.Screen("GET", HERE, show),
    screen.Screen("POST", f"{HERE}/together", together),
    screen.Screen("GET", f"{HERE}/{{approval}}", one),
    screen.Screen("GET", f"{HERE}/{{approval}}/together", alike),
    *[screen.Screen("POST", f"{HERE}/{{approval}}/{word}", _answering(act)) for word, act in ANSWERS.items()],
    screen.Screen("POST", "/rules/{rule}/remove", remove_rule),
)
