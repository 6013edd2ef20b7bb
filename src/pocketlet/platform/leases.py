"""What a worker does on the strength of its last heartbeat, and no longer."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

from pocketlet import errors

DEAD_AFTER = 10.0  # seconds without a heartbeat after which others take the runs
#: Whether the work in which it is asked was lost. What was lost once stays lost, though the heart beats again.
_lost: ContextVar[Callable[[], bool]] = ContextVar("_lost", default=lambda: False)


class Lease:
    """When the last heartbeat is too old, others take the runs: then no work goes on here, and what slept (SIGSTOP, a
    closed laptop) wakes up cancelled.
    """

    def __init__(self) -> None:
        self._until = asyncio.get_running_loop().time() + DEAD_AFTER
        self._limits: set[asyncio.Timeout] = set()

    @property
    def over(self) -> bool:
        """Whether others may have the runs by now."""
        return asyncio.get_running_loop().time() >= self._until

    def renew(self, beat: float) -> None:
        """`beat`: the loop's time just before the heartbeat."""
        self._until = beat + DEAD_AFTER
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(self._until)

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """The work inside ends with the lease. Raises errors.NoPostgres then."""
        limit = asyncio.timeout_at(self._until)
        before = _lost.set(lambda: limit.expired() or self.over)
        try:
            async with limit:
                self._limits.add(limit)
                try:
                    yield
                finally:
                    self._limits.discard(limit)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise errors.NoPostgres(f"There was no heartbeat for {DEAD_AFTER:g} s: the run is not ours.") from error
        finally:
            _lost.reset(before)


def check() -> None:
    """Just before bytes leave that can't be taken back. The cancellation comes too late for that where a process slept
    with an answer in hand ("go on with the mail"): what reads the answer is run before any clock is looked at. And it
    can get lost: `asyncio.wait_for` of Python 3.11 gives the answer instead, if both come at once.

    Raises errors.LostRun if this is the work of a worker whose lease is over, or was since the work began.
    """
    if _lost.get()():
        raise errors.LostRun("This process slept, and the run may be another worker's now: nothing more was sent.")
