"""The breaker over all providers: what opens it, how long it stays open, who tries next, and what an outage costs."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from pocketlet import clock, errors
from pocketlet.db import pool
from pocketlet.platform import breaker

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
RESERVE = """
INSERT INTO pocketlet.ledger (agent, step_seq, kind, model, scopes, reserved, price, price_version)
VALUES ('breaker', 1, 'run', 'openai:none', '{}', 0, '{}', 'test') RETURNING id
"""
RELEASE = "UPDATE pocketlet.ledger SET state = 'released' WHERE id = %s"


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = START

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Clock:
    turned = Clock()
    monkeypatch.setattr(clock, "now", turned)
    return turned


@pytest.fixture(autouse=True)
async def closed(db: pool.Database) -> AsyncGenerator[None]:
    """The breaker is the installation's: no test leaves it open."""
    yield
    async with db.api() as conn:
        await breaker.note(conn, ok=True)
        await conn.execute("UPDATE pocketlet.ledger SET state = 'released' WHERE agent = 'breaker'")


class Provider:
    """Calls to a provider as `thinking` makes them: checked and reserved, then noted and settled."""

    def __init__(self, db: pool.Database) -> None:
        self.db = db
        self.up = False
        self.calls = 0
        self.gate: asyncio.Event | None = None

    async def begin(self) -> int:
        """The reservation of a call. Raises errors.ModelPaused."""
        async with self.db.api() as conn:
            await breaker.check(conn)
            row = await (await conn.execute(RESERVE)).fetchone()
        self.calls += 1
        assert row
        return row["id"]

    async def end(self, reserved: int) -> None:
        async with self.db.api() as conn:
            await breaker.note(conn, ok=self.up, why="" if self.up else "it answered 503")
            await conn.execute(RELEASE, (reserved,))

    async def ask(self) -> bool:
        """Whether a call was made."""
        try:
            reserved = await self.begin()
        except errors.ModelPaused:
            return False
        if self.gate:
            await self.gate.wait()
        await self.end(reserved)
        return True

    async def state(self) -> breaker.State:
        async with self.db.api() as conn:
            return await breaker.state(conn)


@pytest.fixture
def provider(db: pool.Database) -> Provider:
    return Provider(db)


async def test_five_failures_in_a_row_open_it(provider: Provider, hand: Clock) -> None:
    asked = [await provider.ask() for _ in range(8)]
    assert asked == [True] * 5 + [False] * 3
    with pytest.raises(errors.ModelPaused, match=r"until 09:00:30 UTC: 5 calls in a row failed.*503") as refused:
        await provider.begin()
    assert refused.value.until == START + timedelta(seconds=30)
    assert refused.value.hint


async def test_a_success_between_starts_the_count_anew(provider: Provider, hand: Clock) -> None:
    for up in (*[False] * 4, True, *[False] * 4, True):
        provider.up = up
        assert await provider.ask()
    assert (await provider.state()).failures == 0


async def test_the_pause_grows_and_each_ends_with_one_call(provider: Provider, hand: Clock) -> None:
    for _ in range(5):
        await provider.ask()
    for pause in (30, 120, 600, 600):
        hand.turn(pause - 1)
        assert not await provider.ask()
        hand.turn(1)
        assert [await provider.ask() for _ in range(3)] == [True, False, False]
    assert (await provider.state()).opened == 5


async def test_while_one_tries_the_others_wait(provider: Provider, hand: Clock) -> None:
    for _ in range(5):
        await provider.ask()
    hand.turn(30)
    probe = await provider.begin()
    assert (await provider.state()).probing
    assert not await provider.ask()
    provider.up = True
    await provider.end(probe)
    assert all([await provider.ask() for _ in range(10)])
    assert await provider.state() == breaker.CLOSED


async def test_two_workers_that_come_at_once_make_one_try(provider: Provider, hand: Clock) -> None:
    for _ in range(5):
        await provider.ask()
    hand.turn(30)
    provider.gate = asyncio.Event()
    tries = [asyncio.create_task(provider.ask()) for _ in range(6)]
    done, _ = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 5:
        done, _ = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED, timeout=1)
    provider.gate.set()
    assert sorted(await asyncio.gather(*tries)) == [False] * 5 + [True]


async def test_a_try_whose_worker_died_is_made_again(provider: Provider, hand: Clock) -> None:
    for _ in range(5):
        await provider.ask()
    hand.turn(30)
    await provider.begin()
    hand.turn(119)
    assert not await provider.ask()
    hand.turn(1)
    assert await provider.ask()
    assert (await provider.state()).opened == 2


async def test_calls_that_were_under_way_do_not_lengthen_the_pause(provider: Provider, hand: Clock) -> None:
    under_way = [await provider.begin() for _ in range(8)]
    for reserved in under_way:
        await provider.end(reserved)
    state = await provider.state()
    assert (state.failures, state.opened, state.until) == (8, 1, START + timedelta(seconds=30))


@pytest.mark.parametrize("at_once", [1, 4])
async def test_a_queue_of_runs_makes_six_calls_in_the_first_minute_of_an_outage(
    provider: Provider, hand: Clock, at_once: int
) -> None:
    """R13. The recorded case: a provider that always fails, while 60 runs wait and each tries again every second."""
    for _ in range(60):
        for _ in range(60 // at_once):
            batch: list[int] = []
            for _ in range(at_once):
                try:
                    batch.append(await provider.begin())
                except errors.ModelPaused:
                    break
            for reserved in batch:
                await provider.end(reserved)
        hand.turn(1)
    assert provider.calls == 6


async def test_a_day_of_outage_costs_as_many_calls_as_it_has_pauses(provider: Provider, hand: Clock) -> None:
    for _ in range(24 * 60):
        await provider.ask()
        hand.turn(60)
    assert provider.calls <= 5 + 2 + 24 * 6


async def test_in_doubt_calls_under_way_count_as_failures(provider: Provider, hand: Clock) -> None:
    await provider.ask()
    under_way = [await provider.begin() for _ in range(4)]
    with pytest.raises(errors.ModelPaused) as refused:
        await provider.begin()
    assert refused.value.until == START + breaker.DOUBT
    provider.up = True
    await provider.end(under_way.pop())
    await provider.begin()  # one of them worked: no doubt any more


async def test_while_all_is_well_any_number_may_be_under_way(provider: Provider, hand: Clock) -> None:
    assert len([await provider.begin() for _ in range(30)]) == 30


COUNTING = [
    (errors.ModelBusy("overloaded"), True),
    (errors.ModelBusy("slow down", retry_after=7), False),
    (errors.ModelUnreachable("no connection"), True),
    (errors.ModelTimeout("too slow"), True),
    (errors.BadModelReply("nonsense"), True),
    (errors.NoModel("the key was refused"), False),
    (errors.OverBudget("no money"), False),
]


@pytest.mark.parametrize(("error", "expected"), COUNTING, ids=lambda value: str(value))
def test_which_failures_count(error: errors.PocketletError, expected: bool) -> None:
    assert breaker.counts(error) is expected
