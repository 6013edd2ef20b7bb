"""The talk with an agent's manager, and the first sentence of a new agent."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from pocketlet import clock, errors
from pocketlet.surfaces.api import chat
from pocketlet.surfaces.web import pages, streams
from pocketlet.surfaces.web.screens import filled, once, screen

MOST_BYTES = 400_000  # of a message with its file
PATIENCE = 20.0  # seconds that they may take
LOOK, QUIET, LONGEST = 0.1, 15.0, 600.0  # seconds: between looks; until a sign of life; of one stream
EXAMPLES = (
    "From now on, name the weekday and the date.",
    "What did you send last week?",
    "How many runs failed today?",
)
JOBS = (
    (
        "A shop's mail",
        "Answer my shop's mail about orders and returns from what we already know. Never promise a date.",
    ),
    (
        "Invoices that came",
        "Read the invoices that come by mail, and keep track of them with sender, amount and due date.",
    ),
    ("A morning brief", "Every morning, tell me in five lines what happened yesterday and what waits for me today."),
    ("Leads", "Answer people who ask for a quote: ask for what is missing, and keep track of who asked for what."),
)


async def show(look: screen.Look) -> Response:
    """The talk, the newest turn last, with what is said next below it."""
    agent = look.path["agent"]
    talk = await chat.history(look.caller, agent, cursor=look.asked("cursor"))
    turns = list(reversed(talk.items))
    values = {
        "talk": talk,
        "turns": turns,
        "moving": [turn.run for turn in turns if _moves(turn)],
        "earlier": f"/agents/{agent}/chat?cursor={talk.next}" if talk.next else "",
        "latest_left": bool(look.asked("cursor")),
        "draft": look.asked("say")[: chat.LONGEST],
        "examples": EXAMPLES,
        "longest": chat.LONGEST,
        "longest_file": chat.LONGEST_FILE,
    }
    title = "A new agent" if talk.empty else "The manager"
    return await screen.page(look, screen.View("chat.html", title, "chat", agent), **values)


async def say(look: screen.Look) -> Response:
    """Takes a message in, once, with the file that goes with it."""
    agent = look.path["agent"]
    form = await _form(look)
    file = {"name": form.get("file", ""), "text": form["text"]} if form.get("text") else None
    body = filled.body(chat.Message, message=form.get("message", ""), attached=file)

    async def ask() -> once.Came:
        asked = await chat.say(look.caller, agent, body)
        return once.Came(f"/agents/{agent}/chat#turn-{asked.run}", "")

    return await once.act(look, form, ask)


async def live(look: screen.Look) -> Response:
    """A turn as it goes on, as parts of the page: each is the whole turn as it is committed by then."""
    agent, run = look.path["agent"], filled.number(look.path["run"])
    first = await chat.turn(look.caller, agent, run)  # refused before anything is sent

    async def messages() -> AsyncIterator[str]:
        turn, until, told = first, clock.monotonic() + LONGEST, clock.monotonic()
        yield streams.message("", _part(look, turn))
        while _moves(turn) and clock.monotonic() < until:
            await asyncio.sleep(LOOK)
            now = await chat.turn(look.caller, agent, run)
            if now != turn or clock.monotonic() - told > QUIET:
                turn, told = now, clock.monotonic()
                yield streams.message("", _part(look, turn))
        if not _moves(turn):
            yield streams.message("over", str(run))

    return streams.Stream(look.request, look.caller, messages())


def _part(look: screen.Look, turn: chat.Turn) -> str:
    """Only the newest turn may have the page's filled button: "Send" is it while there is nothing to accept."""
    newest = look.asked("newest") == "yes"
    values = {"turn": turn, "agent": look.path["agent"], "primary": newest, "fresh": True}
    answer = pages.Page("screens/chat_turn.html", "").of(look.request, **values)
    return bytes(answer.body).decode()


def _moves(turn: chat.Turn) -> bool:
    return turn.state in ("queued", "running") or (turn.card is not None and turn.card.about.state == "draft")


async def stop(look: screen.Look) -> Response:
    """Stops a turn."""
    agent, run = look.path["agent"], filled.number(look.path["run"])
    turn = await chat.stop(look.caller, agent, run)
    said = "The turn is stopped." if turn.state == "stopped" else "The turn stops before its next step."
    return screen.to(f"/agents/{agent}/chat#turn-{run}", said)


async def retry(look: screen.Look) -> Response:
    """Lets a turn go on."""
    agent, run = look.path["agent"], filled.number(look.path["run"])

    async def act() -> once.Came:
        await chat.retry(look.caller, agent, run)
        return once.Came(f"/agents/{agent}/chat#turn-{run}", "The turn goes on from where it was.")

    return await once.act(look, await look.form(), act)


async def _form(look: screen.Look) -> dict[str, str]:
    """message, key, and `file` and `text` of what is attached. Raises errors.BadInput."""
    request = look.request
    if not request.headers.get("content-type", "").startswith("multipart/form-data;"):
        return await look.form()
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MOST_BYTES:
        raise errors.BadInput(f"That is too long: {MOST_BYTES} bytes at most.", hint="Attach a smaller file.")
    try:
        async with asyncio.timeout(PATIENCE), request.form(max_files=1, max_fields=5, max_part_size=MOST_BYTES) as sent:
            found = {name: value for name, value in sent.items() if isinstance(value, str)}
            file = sent.get("file")
            if isinstance(file, UploadFile) and file.filename:
                found |= {"file": file.filename, "text": _text(await file.read())}
    except (TimeoutError, ClientDisconnect, HTTPException, MultiPartException) as error:
        raise errors.BadInput("This form can't be read.", hint="Open the page again.") from error
    return {name: value.replace("\x00", "").replace("\r\n", "\n") for name, value in found.items()}


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.BadInput(
            "The file is no text in UTF-8.", hint="Attach a text, CSV, Markdown or JSON file."
        ) from error
    if not text.strip() or len(text) > chat.LONGEST_FILE:
        raise errors.BadInput(
            f"An attached file has 1 to {chat.LONGEST_FILE:,} characters.", hint="Attach a part of it."
        )
    return text


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in the form of a new agent."""

    message: str = ""
    name: str = ""
    model: str = ""


async def new(look: screen.Look) -> Response:
    """Describe a job."""
    chosen = look.asked("job")
    number = int(chosen) if chosen in {str(at + 1) for at in range(len(JOBS))} else 0
    return await _new(look, Filled(JOBS[number - 1][1] if number else ""))


async def _new(look: screen.Look, given: Filled, wrong: str = "") -> Response:
    view = screen.View("new.html", "Describe a job", "new", status=422 if wrong else 200)
    values = {"filled": given, "wrong": wrong, "offer": await chat.offer(look.caller), "examples": JOBS}
    return await screen.page(look, view, longest=chat.LONGEST, **values)


async def begin(look: screen.Look) -> Response:
    """Makes the agent, once, and goes to the talk with its manager."""
    form: Mapping[str, str] = await look.form()
    given = Filled(form.get("message", ""), form.get("name", "").strip(), form.get("model", "").strip())

    async def make() -> once.Came:
        body = filled.body(chat.Job, message=given.message, name=given.name, model=given.model)
        made = await chat.begin(look.caller, body)
        return once.Came(f"/agents/{made.agent}/chat", f"{made.agent} is made, and its manager reads your words.")

    try:
        return await once.act(look, form, make)
    except (errors.BadInput, errors.BadSetting, errors.Conflict) as error:
        return await _new(look, given, filled.amiss(error))


TURN = "/agents/{agent}/chat/{run}"
SCREENS = (
    screen.Screen("GET", "/agents/{agent}/chat", show),
    screen.Screen("POST", "/agents/{agent}/chat", say),
    screen.Screen("GET", f"{TURN}/live", live),
    screen.Screen("POST", f"{TURN}/stop", stop),
    screen.Screen("POST", f"{TURN}/retry", retry),
    screen.Screen("GET", "/new", new),
    screen.Screen("POST", "/new", begin),
)
