"""Points at which a test lets this process die or sleep: around each transaction, and each call that goes out.

A point needs no line of its own: it is where the work goes through anyway (`db.pool`, the gateways), and it is told by
the place in the source that asked for the work. Unless a test has armed one, a point costs a look at a variable.
"""

import functools
import inspect
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass
class _Order:
    """`left`: passes until `signal`, by side of a point; `log` gets each point once, `told` the one that it was."""

    left: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    signal: int = signal.SIGKILL
    log: Path | None = None
    told: Path | None = None


@dataclass
class _State:
    order: _Order | None = None


_state = _State()


def arm(order: str) -> None:
    """`WHERE SIDE N kill|stop`: at the N-th pass of that side (before, after) this process dies, or stops (SIGSTOP).

    WHERE is FILE:LINE of what opens the transaction, or a gateway's function as `module.name`. `among FILE N`: it dies
    at the first of the lines `WHERE SIDE` of FILE that it passes for the N-th time, and adds that one to FILE.died.
    `log FILE`: points that are passed are written there, each once. Empty: nothing happens.
    """
    match order.split():
        case [where, side, times, how]:
            _state.order = _Order({(where, side): int(times)}, signal.SIGSTOP if how == "stop" else signal.SIGKILL)
        case ["among", path, times]:
            lines = [line.rpartition(" ") for line in Path(path).read_text(encoding="utf-8").splitlines()]
            chosen = {(where, side): int(times) for where, _, side in lines}
            _state.order = _Order(chosen, told=Path(f"{path}.died"))
        case ["log", path]:
            _state.order = _Order(log=Path(path))
            _passed.cache_clear()
        case _:
            _state.order = None


def block(opened: AbstractAsyncContextManager[T]) -> AbstractAsyncContextManager[T]:
    """A transaction or login that the caller's caller opens: before its end, and after it."""
    if _state.order is None:
        return opened
    here = inspect.currentframe()
    return _block(opened, _place(here.f_back and here.f_back.f_back if here else None))


@asynccontextmanager
async def _block(opened: AbstractAsyncContextManager[T], where: str) -> AsyncGenerator[T]:
    async with opened as inside:
        yield inside
        _pass(where, "before")
    _pass(where, "after")


def io(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """A gateway's function: before it, and after it."""
    where = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    async def around(*args: P.args, **kwargs: P.kwargs) -> R:
        if _state.order is None:
            return await function(*args, **kwargs)
        _pass(where, "before")
        given = await function(*args, **kwargs)
        _pass(where, "after")
        return given

    return around


def _place(frame: FrameType | None) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def _pass(where: str, side: str) -> None:
    order = _state.order
    if order is None:
        return
    if order.log:
        _passed(order.log, where)
        return
    left = order.left.get((where, side), 0) - 1
    order.left[where, side] = left
    if left == 0:
        if order.told:
            _write(order.told, f"{where} {side}")
        os.kill(os.getpid(), order.signal)


@functools.cache
def _passed(log: Path, where: str) -> None:
    _write(log, where)


def _write(log: Path, line: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
