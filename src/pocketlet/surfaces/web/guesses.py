"""Passwords that were wrong: after a few of one name, no more are tried for a while."""

from collections import defaultdict, deque

from pocketlet import clock

MOST, PERIOD = 10, 600.0  # wrong ones of one name in so many seconds
NAMES = 1_000  # that are kept in mind: more are more than there are owners, and the oldest are forgotten


class Guesses:
    """Counted in this process, the only one that has the page."""

    def __init__(self) -> None:
        self._wrong: defaultdict[str, deque[float]] = defaultdict(deque)

    def wait(self, name: str) -> float:
        """Seconds until another password of this name may be tried; 0 if now."""
        times, now = self._wrong[name], clock.monotonic()
        while times and times[0] <= now - PERIOD:
            times.popleft()
        return times[0] + PERIOD - now if len(times) >= MOST else 0.0

    def wrong(self, name: str) -> None:
        """One more that was not right."""
        if len(self._wrong) > NAMES:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[name].append(clock.monotonic())
