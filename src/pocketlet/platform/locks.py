"""Advisory locks on files (flock), which the kernel drops when their holder dies, however it dies."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def open_file(path: Path) -> int:
    """A descriptor of the lock file at `path`, which is created (0600) if missing. Nothing is locked yet."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


@contextmanager
def exclusive(descriptor: int) -> Generator[None]:
    """Wait for the exclusive lock on `descriptor`; hold it inside the block."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def exclusive_file(path: Path) -> Generator[None]:
    """Wait for the exclusive lock on the file at `path`; hold it inside the block."""
    descriptor = open_file(path)
    try:
        with exclusive(descriptor):
            yield
    finally:
        os.close(descriptor)


def share(descriptor: int) -> None:
    """Take a shared lock, waiting for an exclusive holder to leave."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def try_exclusive(descriptor: int) -> bool:
    """Whether the exclusive lock could be had at once. A shared lock on `descriptor` is lost either way."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock_and_close(descriptor: int) -> None:
    """Give up the lock, for copies of the descriptor in forked children too, and close it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
