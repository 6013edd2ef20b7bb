"""Ends tasks that use connections, for sure.

A cancellation that comes while a connection breaks can get lost: the error of the rollback takes its place, and whoever
goes on after such errors goes on for ever. So it is said again until the task has ended.
"""

import asyncio
import logging
from collections.abc import Iterable

log = logging.getLogger(__name__)
AGAIN = 0.5  # seconds until a cancellation is repeated


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Returns once all have ended. What one of them failed with is told in the log."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=AGAIN)
        for task in done:
            if not task.cancelled() and (error := task.exception()):
                log.error("%s ended with an error", task.get_name(), exc_info=error)
