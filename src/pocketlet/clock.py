"""The one source of time in Python, so that a test can turn it; Postgres has `pocketlet.now()`."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def monotonic() -> float:
    """Seconds from an arbitrary start, for durations and deadlines."""
    return time.monotonic()
