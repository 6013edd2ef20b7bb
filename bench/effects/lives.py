"""One effect from its plan to its end, through workers that die, lose the run, or never learn what was answered."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.effects import ground as grounds
from bench.effects import postbox, provider
from bench.effects import truth as truths

from pocketlet import errors
from pocketlet.agents import approving, effects, journal, outward, runs, toolbox

CLASSES = ("idempotent", "keyed", "checkable", "unsafe")
#: How a worker's life ends. Before and after: of the carrier's work; inside: while the provider has the request.
ENDS = (
    "well", "well", "well", "killed before", "killed inside", "killed after", "killed before commit",
    "stale before", "stale inside", "down",
)  # fmt: skip
MOST_LIVES = 12
TEXTS = ("plain", "zwölf Größen", "漢字 and \N{PILE OF POO}", "a\u202eb", "x" * 300, '{"n": 1}', "line\nline\n.\n..")


class Killed(BaseException):
    """The worker's process is gone, at this point."""


@dataclass(frozen=True)
class Script:
    """What will happen to one effect. `hours` pass after the first life; `leaves`: the owner does not answer."""

    number: int
    effect_class: str
    text: str
    faults: tuple[str, ...]
    ends: tuple[str, ...]
    hours: float
    leaves: bool


@dataclass
class Seen:
    """What the driver saw: figures by name, and what should never be, in words."""

    figures: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def count(self, name: str) -> None:
        """One more."""
        self.figures[name] = self.figures.get(name, 0) + 1


def script(number: int, dice: random.Random, *, answers: bool) -> Script:
    """Any mix of faults and deaths; `answers`: the provider also answers with errors."""
    effect_class = CLASSES[number % len(CLASSES)]
    faults = [*truths.BREAKS]
    if answers:
        faults += truths.MAIL_ANSWERS if effect_class == "checkable" else truths.ANSWERS
    return Script(
        number,
        effect_class,
        dice.choice(TEXTS),
        tuple(dice.choice(["", *faults]) for _ in range(dice.choice((0, 1, 1, 2, 4)))),
        tuple(dice.choice(ENDS) for _ in range(dice.choice((0, 1, 1, 2, 3)))),
        dice.choice((0.0, 0.0, 0.0, 23.9, 25.0)) if effect_class == "keyed" else 0.0,
        dice.random() < 0.3,
    )


async def live(ground: grounds.Ground, told: Script, seen: Seen) -> None:
    """Plans the effect, has it approved, and takes it on until it rests, whatever comes in between."""
    await to_the_end(ground, await approved(ground, told, seen), told, seen)


async def approved(ground: grounds.Ground, told: Script, seen: Seen) -> int:
    """A run whose one effect the owner has said yes to."""
    run = await ground.begin(told.number)
    ground.truth.faults[told.number] += told.faults
    await _plan(ground, run, told)
    await _answer(ground, run, yes=True, seen=seen)
    return run


async def to_the_end(ground: grounds.Ground, run: int, told: Script, seen: Seen) -> None:
    """Worker after worker, and the owner's answers in between."""
    number, ends = told.number, list(told.ends)
    for life in range(MOST_LIVES):
        await _one_life(ground, run, told, ends.pop(0) if ends else "well", seen)
        await ground.truth.settled(number)
        effect = await ground.found(run)
        if life == 0 and told.hours and effect.state == "dispatching":
            await ground.turn(effect, number, told.hours)
        if effect.waits:
            await _check_question(ground, effect, seen)
            if told.leaves:
                return
            await _answer(ground, run, yes=ground.truth.done[number] == 0, seen=seen)
        async with ground.database.api() as conn:
            state = await runs.state(conn, run)
        if state == "failed":
            async with ground.database.api() as conn:
                await runs.retry(conn, run)
        if state == "done":
            return
    seen.wrong.append(f"effect {number} never came to rest")


async def _plan(ground: grounds.Ground, run: int, told: Script) -> None:
    """The tool's own first call: the effect is decided on, and the owner is asked."""
    claimed = await ground.claim(run)
    context = ground.context(claimed, told.number)
    if told.effect_class == "checkable":
        to = postbox.recipient(told.number, told.number // grounds.FOLDER)
        act = outward.SEND_MAIL.act(context, {"to": to, "subject": f"Number {told.number}", "body": told.text})
    else:
        verb, path = provider.PATHS[told.effect_class]
        args = {"connection": ground.connection.name, "method": verb, "path": path.replace("{id}", str(told.number))}
        act = ground.http.act(context, {**args, "body": {"text": told.text}})
    outcome = await act
    assert outcome.parks, outcome
    await _park(ground, claimed)


async def _park(ground: grounds.Ground, run: runs.Run) -> None:
    async with ground.database.api() as conn:
        await runs.rest(conn, run, "waiting", outcome="waiting")


async def _answer(ground: grounds.Ground, run: int, *, yes: bool, seen: Seen) -> None:
    """The owner's word, after a look at what the provider really did."""
    (question,) = await _questions(ground, run)
    async with ground.database.api() as conn:
        await approving.decide(conn, int(str(question["approval"])), yes=yes)
    seen.count(f"{question['question']} answered {'yes' if yes else 'no'}")


async def _questions(ground: grounds.Ground, run: int) -> list[dict[str, object]]:
    open_ones = """
        SELECT a.id AS approval, a.question, a.request_hash FROM pocketlet.approval a
          JOIN pocketlet.effect e ON e.id = a.effect_id WHERE e.run_id = %s AND a.state = 'pending'
    """
    return await ground.rows(open_ones, run)


async def _check_question(ground: grounds.Ground, effect: effects.Effect, seen: Seen) -> None:
    questions = await _questions(ground, effect.run_id)
    seen.count(f"unknown {effect.effect_class}")
    if effect.state != "unknown" or [row["question"] for row in questions] != ["send-again"]:
        seen.wrong.append(f"effect {effect.id} is {effect.state} with the questions {questions}")
    if any(row["request_hash"] != effect.request_hash for row in questions):
        seen.wrong.append(f"the question on effect {effect.id} is on other bytes")


async def _one_life(ground: grounds.Ground, run: int, told: Script, end: str, seen: Seen) -> None:
    """One worker with the run, as far as it gets; the fence must stop it if another one took the run."""
    seen.count(end)
    claimed = await ground.claim(run)
    lost: list[int] = []

    async def lose() -> None:
        lost.append(ground.truth.arrivals[told.number])
        await ground.claim(run)

    if end == "stale before":
        await lose()
    try:
        outcome = await _act(ground, claimed, told, end, lose)
        if end != "killed before commit":
            await _write(ground, claimed, outcome)
            seen.wrong += [f"a stale worker wrote effect {told.number}"] if lost else []
    except Killed:
        return
    except errors.LostRun:
        seen.count("stopped by the fence")
        seen.wrong += [] if lost else [f"effect {told.number}: the fence stopped a worker that held the run"]
        if end == "stale before" and ground.truth.arrivals[told.number] > lost[0]:
            seen.wrong.append(f"a stale worker sent effect {told.number}")
    except errors.PocketletError as error:
        await _fail(ground, claimed, error)


async def _fail(ground: grounds.Ground, run: runs.Run, error: errors.PocketletError) -> None:
    with contextlib.suppress(errors.LostRun):
        async with ground.database.api() as conn:
            await runs.rest(conn, run, "failed", error=str(error), exit_code=error.exit_code, outcome="failed")


async def _act(
    ground: grounds.Ground, run: runs.Run, told: Script, end: str, lose: Callable[[], Awaitable[None]]
) -> toolbox.Outcome:
    down = end == "down"
    context = ground.context(run, told.number, down=down)
    effect = await ground.found(run.id)
    carrier = Doomed(ground.carrier(context, effect.kind, down=down), end, lose)
    acting = outward.act(context, effect, carrier)
    if end != "killed inside":
        return await acting
    arrived = asyncio.ensure_future(ground.truth.watch(told.number).wait())
    task = asyncio.ensure_future(acting)
    await asyncio.wait({arrived, task}, return_when=asyncio.FIRST_COMPLETED)
    arrived.cancel()
    if task.done():
        return await task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, errors.PocketletError):
        await task
    raise Killed


async def _write(ground: grounds.Ground, run: runs.Run, outcome: toolbox.Outcome) -> None:
    """What the loop does with an outcome: parks, or the effect and its step in one transaction, and the end."""
    if outcome.parks:
        return await _park(ground, run)
    step = journal.Step(1, "tool", "act", {}, outcome.text or None, outcome.error, run.label, {})
    async with ground.database.api() as conn:
        if outcome.commit:
            await outcome.commit(conn)
        await journal.write(conn, run.id, run.fence, step)
        await runs.rest(conn, run, "done", outcome="done")
    return None


@dataclass(frozen=True)
class Doomed:
    """A carrier (effects.Carrier) whose worker dies, or loses the run to another, while it carries."""

    inner: effects.Carrier
    end: str
    lose: Callable[[], Awaitable[None]]

    async def carry(self, effect: effects.Effect) -> str:
        """As the carrier inside, if the worker lives so long."""
        if self.end == "killed before":
            raise Killed
        try:
            return await self.inner.carry(effect)
        finally:
            if self.end == "killed after":
                raise Killed
            if self.end == "stale inside":
                await self.lose()

    async def look(self, effect: effects.Effect) -> bool | None:
        """As the carrier inside."""
        return await self.inner.look(effect)
