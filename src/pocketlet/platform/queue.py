"""The job queue: procrastinate on the same Postgres. This is the one module that lets it open connections of its own.

A job is only "advance run N". Everything a run has done is in its journal, so a job may be done again at any time:
when a worker dies, another one (or the next one on the same machine, at once) brings its jobs back.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import procrastinate
from procrastinate import exceptions as queue_errors
from procrastinate import jobs
from procrastinate import worker as workers_of_queue

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.platform import leases, notices

Q = queries.load("queue")
log = logging.getLogger(__name__)

HEARTBEAT = 3.0  # seconds
RESCUE_EVERY = 2.0  # seconds
POLL_EVERY = 1.0  # seconds; a missed notification waits no longer than this
DRAIN = 10.0  # seconds that running jobs get at a graceful stop
STALLED = 900.0  # seconds after which a run that wrote nothing is taken from its worker; a step is cut before that

Advance = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where this process listens, if it does: for mail, and for HTTP."""

    mail: int | None = None
    web: int | None = None


async def register(database: pool.Database, role: str, ports: Ports | None = None) -> int:
    """This process as a worker row; its id. `role`: up, worker, demo or command."""
    listens = ports or Ports()
    row = {"host": os.uname().nodename, "pid": os.getpid(), "role": role}
    row |= {"mail_port": listens.mail, "web_port": listens.web}
    async with database.api() as conn:
        made = await (await conn.execute(Q["register"], row)).fetchone()
    return made["id"] if made else 0


async def workers(conn: pool.Conn) -> list[dict[str, object]]:
    """Workers with a fresh heartbeat."""
    return list(await (await conn.execute(Q["workers"], {"dead_after": leases.DEAD_AFTER})).fetchall())


async def unregister(database: pool.Database, worker: int) -> None:
    """This worker is gone; what it was at goes on elsewhere."""
    async with database.api() as conn:
        await conn.execute(Q["hand_back"], {"id": worker})
        await conn.execute(Q["unregister"], {"id": worker})


@asynccontextmanager
async def working(
    database: pool.Database, worker: int, advance: Advance, *, concurrency: int = 4
) -> AsyncGenerator[None]:
    """Jobs are done in the background for as long as the block lasts; then running ones get DRAIN seconds."""
    app, lease = _app(database), leases.Lease()

    @app.task(name="advance", queue="runs", retry=procrastinate.RetryStrategy(max_attempts=100, wait=1))
    async def _advance(run: int) -> None:
        async with lease.held():
            await advance(run)

    async with app.open_async():
        stop = asyncio.Event()
        hands = _Hands(app, concurrency)
        done = asyncio.create_task(hands.work(stop))
        alive = asyncio.create_task(_keep_alive(database, worker, hands, lease, stop))
        done.add_done_callback(lambda _: stop.set())  # no heartbeat from a process that works no more
        try:
            yield
        finally:
            stop.set()
            done.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await done
            await alive


class _Hands:
    """The queue library's worker. It gives up when its connections break at a bad moment; then a new one takes over."""

    def __init__(self, app: procrastinate.App, concurrency: int) -> None:
        self._app = app
        self._concurrency = concurrency
        self._worker: workers_of_queue.Worker | None = None

    @property
    def number(self) -> int | None:
        """What the queue calls it; None for the first milliseconds."""
        return self._worker.worker_id if self._worker else None

    async def work(self, stop: asyncio.Event) -> None:
        """Until cancelled."""
        while not stop.is_set():
            self._worker = workers_of_queue.Worker(
                self._app,
                queues=["runs"],
                concurrency=self._concurrency,
                fetch_job_polling_interval=POLL_EVERY,
                update_heartbeat_interval=HEARTBEAT,
                stalled_worker_timeout=leases.DEAD_AFTER,
                shutdown_graceful_timeout=DRAIN,
                install_signal_handlers=False,
                delete_jobs=jobs.DeleteJobCondition.ALWAYS.value,
            )
            try:
                await self._worker.run()
            except (queue_errors.ConnectorException, pool.DatabaseError, OSError) as error:
                log.warning("the queue lost its connection and starts again: %s", error.__cause__ or error)
                await _wait(stop, POLL_EVERY)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _keep_alive(
    database: pool.Database, worker: int, hands: _Hands, lease: leases.Lease, stop: asyncio.Event
) -> None:
    """The heartbeat of this worker, and the rescue of what dead ones left. Postgres may be away for a while."""
    while not stop.is_set():
        number, beat = hands.number, asyncio.get_running_loop().time()
        try:
            async with database.api() as conn:
                await conn.execute(Q["heartbeat"], {"id": worker, "queue_worker": number})
            lease.renew(beat)
            await rescue(database)
        except (errors.PocketletError, pool.DatabaseError) as error:
            log.warning("the heartbeat was missed: %s", error)
        await _wait(stop, RESCUE_EVERY if number is not None else 0.02)


async def rescue(database: pool.Database) -> int:
    """Brings back the jobs of workers that are gone; how many. A dead process of this machine is seen at once."""
    async with database.api() as conn:
        await _seize(conn)
        found = await (await conn.execute(Q["same_host"], {"host": os.uname().nodename})).fetchall()
        gone = [row["id"] for row in found if not is_alive(row["pid"])]
        given_up = await (await conn.execute(Q["bury"], {"gone": gone, "dead_after": leases.DEAD_AFTER})).fetchall()
        runs = [row["run"] for row in given_up]
        row = await (await conn.execute(Q["bring_back"], {"runs": runs})).fetchone()
    return row["count"] if row else 0


async def _seize(conn: pool.Conn) -> None:
    """Takes runs from workers that are there and get nowhere with them, and tells the owner."""
    rows = await (await conn.execute(Q["seize"], {"seconds": STALLED})).fetchall()
    for row in rows:
        said = f"Run {row['id']} wrote nothing for {STALLED / 60:g} minutes: it was taken from its worker."
        hint = f"`pocketlet show {row['id']}` tells how far it came."
        await notices.report(conn, notices.Notice(stalled(row["id"]), said, hint, row["agent_id"], row["id"]))


def stalled(run: int) -> str:
    """The key of the notice of a run that got nowhere."""
    return notices.of_run(run, "stalled")


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.is_file() and stat.read_text(errors="replace").rpartition(")")[2].split()[:1] == ["Z"])


def _app(database: pool.Database) -> procrastinate.App:
    kwargs = {**database.conninfo("pd_api"), "options": "-c search_path=queue,pg_catalog,pg_temp"}
    return procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=kwargs, min_size=1, max_size=6))
