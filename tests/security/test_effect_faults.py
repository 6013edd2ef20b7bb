"""A slice of `make bench-effects`: nothing is done twice, or called done if it is not; what is unknown is asked."""

import argparse
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from bench.effects import __main__ as bench
from bench.effects import ground as grounds
from bench.effects import lives, referee

from pocketlet.agents import effects
from pocketlet.db import pool


@pytest.fixture
async def ground(db: pool.Database, home: Path) -> AsyncGenerator[grounds.Ground]:
    async with grounds.opened(db, home, "faults", 0.3) as opened:
        yield opened


async def played(ground: grounds.Ground, count: int) -> tuple[lives.Seen, referee.Verdict]:
    """Effects of the four classes through breaks and deaths, and what the referee says."""
    seen = lives.Seen()
    await bench.drive(ground, argparse.Namespace(effects=count, seed=4, answers=False), seen)
    return seen, await referee.judge(ground)


async def test_breaks_deaths_and_stale_workers_do_nothing_twice(ground: grounds.Ground) -> None:
    seen, verdict = await played(ground, 200)
    assert seen.wrong == []
    assert (verdict.doubled, verdict.lost, verdict.unasked, verdict.changed) == ([], [], [], [])
    assert {effect_class for effect_class, _ in verdict.states} == set(lives.CLASSES)
    assert sum(verdict.states.values()) == 200
    assert verdict.unknown >= 20
    assert seen.figures["stopped by the fence"] >= 20
    assert set(lives.ENDS) <= seen.figures.keys()


async def test_the_referee_sees_a_product_that_sends_again_blindly(
    ground: grounds.Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blindly(*_: object, **__: object) -> effects.Again:
        return effects.Again()

    monkeypatch.setattr(effects, "_after_break", blindly)
    _, verdict = await played(ground, 60)
    assert {said.split("(")[1].split(")")[0] for said in verdict.doubled} >= {"unsafe", "checkable"}


async def test_the_referee_sees_a_product_that_asks_nobody(
    ground: grounds.Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = effects.ask

    async def only_once(conn: pool.Conn, effect: int, question: str, why: str) -> None:
        if question == "send":
            await ask(conn, effect, question, why)

    monkeypatch.setattr(effects, "ask", only_once)
    _, verdict = await played(ground, 40)
    assert verdict.unasked


async def one(ground: grounds.Ground, effect_class: str, fault: str, *ends: str) -> referee.Verdict:
    """One effect with one fault of the provider and these deaths."""
    seen = lives.Seen()
    await lives.live(ground, lives.Script(0, effect_class, "x", (fault,), ends, 0.0, leaves=False), seen)
    assert seen.wrong == []
    return await referee.judge(ground)


@pytest.mark.parametrize("answer", ["422 before", "500 before"])
@pytest.mark.parametrize("effect_class", ["idempotent", "keyed", "unsafe"])
async def test_an_answer_that_refuses_is_not_called_done(
    ground: grounds.Ground, effect_class: str, answer: str
) -> None:
    assert (await one(ground, effect_class, answer)).lost == []


@pytest.mark.parametrize("effect_class", ["idempotent", "keyed"])
async def test_what_was_done_before_the_service_went_down_is_not_called_failed(
    ground: grounds.Ground, effect_class: str
) -> None:
    assert (await one(ground, effect_class, "", "killed after", "down")).denied == []
