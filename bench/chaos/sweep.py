"""The killing: at each point in turn, then at any moment, with Postgres restarted under it; and how soon runs go on."""

import asyncio
import itertools
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.chaos import ground as grounds
from bench.chaos import herd as herds
from bench.chaos import points

from pocketlet.platform import server

SIDES = ("before", "after")
PATIENCE = 15.0  # seconds that a process has to come by a point at which none has died yet
FRUITLESS = 6  # lives of a lane in a row without such a point, before the rest is called missed
#: Reached only where a process ends well.
AT_THE_END = ("agents.loop._time_left", "platform.queue.unregister")
HELD = """
SELECT r.id, pocketlet.now() AS at FROM pocketlet.run r JOIN pocketlet.worker w ON w.id = r.worker_id
 WHERE w.pid = %s AND r.state = 'running'
"""


@dataclass
class Sweep:
    """What was done to the workers. `losses`: a run and when its worker was killed with another one at
    work; `slept`: when it was stopped; `crowded`: when it was killed while every worker died within seconds.
    """

    ground: grounds.Ground
    dice: random.Random
    died_at: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    missed: list[str] = field(default_factory=list[str])
    losses: list[tuple[int, object]] = field(default_factory=list[tuple[int, object]])
    slept: list[tuple[int, object]] = field(default_factory=list[tuple[int, object]])
    crowded: list[tuple[int, object]] = field(default_factory=list[tuple[int, object]])
    kills: int = 0
    sleeps: int = 0
    restarts: int = 0

    async def points(self, chosen: Sequence[points.Point]) -> None:
        """Dies at both sides of each point, on two lanes: a process with listeners, and one without.

        Each life ends at the first point that nobody has died at yet, so what is left gets rarer and rarer.
        """
        names = {f"{point.where} {side}": (point.name, side) for point in chosen for side in SIDES}
        left = dict(names)
        await asyncio.gather(self._lane("up", left), self._lane("worker", left))
        self.died_at |= set(names.values()) - set(left.values())
        self.missed += [f"{name} {side}" for name, side in left.values()]

    async def _lane(self, role: str, left: dict[str, tuple[str, str]]) -> None:
        fruitless = 0
        for life in itertools.count():
            if not left or fruitless >= FRUITLESS:
                return
            before = len(left)
            await self._live(role, life, left)
            fruitless = 0 if len(left) < before else fruitless + 1

    async def _live(self, role: str, life: int, left: dict[str, tuple[str, str]]) -> None:
        """One life. One that does not come by such a point is killed wherever it is."""
        chosen = self.ground.folder / f"{role}-{life}"
        chosen.write_text("".join(f"{line}\n" for line in left), encoding="utf-8")
        creature = await self.ground.herd.start(role, f"among {chosen} {1 + life % 2}")
        ends_well = creature.alive and any(name in AT_THE_END for name, _ in left.values()) and life % 3 == 2
        if ends_well:
            await creature.gone(2.0)
            creature.signal(signal.SIGTERM)
        if not await creature.gone(PATIENCE):
            await creature.kill()
        self.kills += 1
        died = chosen.with_name(f"{chosen.name}.died")
        for line in died.read_text(encoding="utf-8").splitlines() if died.exists() else ():
            left.pop(line, None)
        self.crowded += await self._held(creature)

    async def _held(self, creature: herds.Creature) -> list[tuple[int, object]]:
        """Which runs it had; whoever is quicker than this look has taken them up in no time."""
        return [(int(str(row["id"])), row["at"]) for row in await self.ground.rows(HELD, creature.pid)]

    async def storm(self, seconds: float, asleep: float) -> None:
        """Random kills, sleeps of `asleep` seconds, and Postgres restarted every 5 to 40 s, for so long."""
        until = asyncio.get_running_loop().time() + seconds
        herd = [await self.ground.herd.start(role) for role in ("up", "worker")]
        striking = [
            asyncio.create_task(self._kills(herd, until)),
            asyncio.create_task(self._sleeps(herd, until, asleep)),
            asyncio.create_task(self._restarts(until)),
        ]
        await asyncio.gather(*striking)
        for creature in herd:
            await creature.kill()
            self.crowded += await self._held(creature)

    async def _kills(self, herd: list[herds.Creature], until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self.dice.uniform(2, 12))
            place = self.dice.randrange(len(herd))
            creature = herd[place]
            await creature.kill()
            self.kills += 1
            self.losses += await self._held(creature)
            herd[place] = await self.ground.herd.start(creature.role)

    async def _sleeps(self, herd: list[herds.Creature], until: float, asleep: float) -> None:
        """A sleeper wakes when its runs are long with others."""
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self.dice.uniform(3, 10))
            creature = self.dice.choice(herd)
            creature.signal(signal.SIGSTOP)
            self.slept += await self._held(creature)
            await asyncio.sleep(asleep)
            creature.signal(signal.SIGCONT)
            self.sleeps += 1

    async def _restarts(self, until: float) -> None:
        home = self.ground.config.home
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self.dice.uniform(5, 40))
            pid = server.status(home).pid
            how = self.dice.choice((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
            herds.strike(pid, how)
            for _ in range(400):
                if not server.status(home).running:
                    break
                await asyncio.sleep(0.05)
            lease = await asyncio.to_thread(server.acquire, home)
            await asyncio.to_thread(lease.release)
            self.restarts += 1
