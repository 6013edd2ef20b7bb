"""What a provider really did, which no worker can see: the referee's side of every effect."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

WINDOW = 24.0  # hours for which the provider keeps an idempotency key
#: What may happen to one arrival. Late: nothing is answered until the client has hung up; before or after: is it done?
BREAKS = ("drop before", "drop after", "late before", "late after")
#: Answers that refuse, or say that it broke; `500 after` did it all the same.
ANSWERS = ("422 before", "500 before", "500 after")
MAIL_ANSWERS = ("rcpt 451", "data 451", "data 554")


@dataclass
class Truth:
    """By the number of the effect: `faults` are used up one an arrival, `done` counts what changed something.

    `bytes_done`: what was done, each time; `heads`: the first lines of requests. `hours`: how far the clock was turned
    for this effect; `keys`: of the keyed ones, with the hour at which each was first seen.
    """

    faults: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    done: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    arrivals: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    bytes_done: defaultdict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    heads: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    hours: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    keys: dict[str, float] = field(default_factory=dict)
    state: dict[int, bytes] = field(default_factory=dict)
    _seen: defaultdict[int, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    _busy: defaultdict[int, set[asyncio.Task[None]]] = field(default_factory=lambda: defaultdict(set))

    @asynccontextmanager
    async def arrival(self, number: int) -> AsyncGenerator[str]:
        """One request or mail that arrived whole; gives its fault."""
        task = asyncio.current_task()
        assert task
        self._busy[number].add(task)
        self.arrivals[number] += 1
        self._seen[number].set()
        try:
            yield self.faults[number].pop(0) if self.faults[number] else ""
        finally:
            self._busy[number].discard(task)

    def watch(self, number: int) -> asyncio.Event:
        """Set as soon as something of this effect arrives, from now on."""
        self._seen[number] = asyncio.Event()
        return self._seen[number]

    async def settled(self, number: int) -> None:
        """Returns once nothing of this effect is under way any more."""
        if busy := self._busy[number]:
            await asyncio.wait(set(busy))

    def put(self, number: int, content: bytes) -> None:
        """State by id: the same content again changes nothing."""
        if self.state.get(number) != content:
            self.state[number] = content
            self.act(number, content)

    def keyed(self, number: int, key: str, content: bytes) -> None:
        """Done once a key, for as long as the provider remembers the key."""
        hour = self.hours[number]
        if key and hour - self.keys.get(key, -WINDOW) < WINDOW:
            return
        self.keys[key] = hour
        self.act(number, content)

    def act(self, number: int, content: bytes) -> None:
        """Something was done."""
        self.done[number] += 1
        self.bytes_done[number].append(content)
