"""Two cases that no promise covers yet, measured: a worker that sleeps before its first byte, a mail filed late."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field, replace

from bench.effects import ground as grounds
from bench.effects import lives

from pocketlet import errors
from pocketlet.agents import effects, outward


@dataclass(frozen=True)
class Sleeper:
    """A carrier (effects.Carrier) that stands still between the row that says `dispatching` and the first byte."""

    inner: effects.Carrier
    asleep: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    async def carry(self, effect: effects.Effect) -> str:
        """As the carrier inside, much later."""
        self.asleep.set()
        await self.awake.wait()
        return await self.inner.carry(effect)

    async def look(self, effect: effects.Effect) -> bool | None:
        """As the carrier inside."""
        return await self.inner.look(effect)


async def sleepers(ground: grounds.Ground, first: int, count: int) -> dict[str, int]:
    """How many effects of each class are done twice if a worker sleeps while another one takes its run to the end."""
    found = dict.fromkeys(lives.CLASSES, 0)
    for number in range(first, first + count):
        told = replace(lives.script(number, random.Random(number), answers=False), faults=(), ends=(), leaves=False)
        run = await lives.approved(ground, told, lives.Seen())
        claimed = await ground.claim(run)
        context, effect = ground.context(claimed, number), await ground.found(run)
        sleeper = Sleeper(ground.carrier(context, effect.kind))
        task = asyncio.ensure_future(outward.act(context, effect, sleeper))
        await sleeper.asleep.wait()
        await lives.to_the_end(ground, run, told, lives.Seen())
        sleeper.awake.set()
        with contextlib.suppress(errors.PocketletError):
            await task
        await ground.truth.settled(number)
        found[told.effect_class] += ground.truth.done[number] > 1
    return found


async def filed_late(ground: grounds.Ground, first: int, count: int) -> int:
    """How many of `count` mails go out twice if the Sent folder shows one only after the next worker has looked."""
    doubled = 0
    for number in range(first, first + count):
        told = lives.Script(number, "checkable", "late", ("filed late",), ("killed after",), 0.0, leaves=False)
        await lives.live(ground, told, lives.Seen())
        doubled += ground.truth.done[number] > 1
    return doubled
