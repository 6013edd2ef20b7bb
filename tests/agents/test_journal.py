"""Folding the journal: whatever was written can be gone on with, from any point, to the same bytes."""

import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scripted_model import Fault, calls, finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet.agents import journal
from pocketlet.db import pool
from pocketlet.platform.gateways import models

texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
arguments = st.none() | st.dictionaries(texts, values, max_size=3)


@st.composite
def replies(draw: st.DrawFn) -> models.Reply:
    """A reply with up to three calls; ids need not be unique, and arguments may be broken."""
    wanted = tuple(
        models.ToolCall(draw(texts), draw(texts), args, json.dumps(args) if args is not None else draw(texts))
        for args in draw(st.lists(arguments, max_size=3))
    )
    message = {"kind": "response", "parts": [draw(values) for _ in wanted]}
    return models.Reply(draw(texts), wanted, models.Usage(1, 2, 0), message, "m", "stop")


@st.composite
def journals(draw: st.DrawFn) -> list[journal.Step]:
    """Steps as a loop writes them: a reply, then a result for each of its calls; cut off anywhere."""
    steps: list[journal.Step] = []
    for reply in draw(st.lists(replies(), min_size=1, max_size=4)):
        steps.append(journal.model_step(len(steps) + 1, reply, "hash", "owner"))
        for call in reply.calls:
            error = draw(st.none() | texts)
            response = None if error else draw(texts)
            request = call.args if call.args is not None else {"raw": call.raw}
            steps.append(journal.Step(len(steps) + 1, "tool", call.name, request, response, error, "own-data"))
    return steps[: draw(st.integers(1, len(steps)))]


@given(journals())
def test_every_call_has_a_result_or_is_pending(steps: list[journal.Step]) -> None:
    state = journal.fold(steps)
    assert state.next_seq == len(steps) + 1
    made = sum(len(step.response["calls"]) for step in steps if step.kind == "model")
    assert sum(len(turn.results) for turn in state.turns) + len(state.pending) == made
    assert len(state.turns) == sum(step.kind == "model" for step in steps)


@given(journals())
def test_the_state_is_the_same_in_memory_and_read_back(steps: list[journal.Step]) -> None:
    in_memory = [journal.as_stored(step) for step in steps]
    # jsonb keeps keys in an order of its own: shorter first.
    read_back = [journal.Step(**_reordered(dataclasses.asdict(step))) for step in in_memory]
    first, second = journal.fold(in_memory), journal.fold(read_back)
    assert first == second
    assert [json.dumps(turn.reply) for turn in first.turns] == [json.dumps(turn.reply) for turn in second.turns]
    request = models.Request("s", "u", first.turns, (), 10)
    assert models.canonical(request, "m") == models.canonical(dataclasses.replace(request, turns=second.turns), "m")


@given(journals())
def test_a_step_can_be_stored_as_it_is(steps: list[journal.Step]) -> None:
    for step in steps:
        text = pool.canonical(dataclasses.asdict(step))
        assert text.encode()
        assert "\\u0000" not in text.replace("\\\\", "")
        assert journal.as_stored(journal.as_stored(step)) == journal.as_stored(step)


async def test_a_resumed_run_sends_the_bytes_that_an_undisturbed_one_sends(shop: Workshop) -> None:
    shop.says(
        calls(("sql", {"query": "SELECT 1 AS one"}), ("search", {"words": "x", "entity": "y"})),
        mails(CUSTOMER),
        finishes(),
    )
    whole = await shop.run(mail())
    undisturbed = shop.model.requests[shop.name].copy()
    shop.model.requests[shop.name].clear()

    parts = await shop.create(mail())
    for _ in range(4):  # each time as a worker that has only the journal
        shop.model.faults[shop.name] += [None, *[Fault(500)] * 4]
        if await shop.advance(parts) == "failed":
            shop.model.faults[shop.name].clear()
            await shop.change("UPDATE pocketlet.run SET state = 'queued' WHERE id = %s", parts)
    answered = shop.model.requests[shop.name]
    distinct = [body for index, body in enumerate(answered) if body not in answered[:index]]
    for run, sent in ((whole, undisturbed), (parts, distinct)):
        assert {body.pop("seed") for body in sent} == {run}  # the one thing in which two runs differ
    assert [json.dumps(body) for body in distinct] == [json.dumps(body) for body in undisturbed]
    assert [step.request for step in await shop.steps(parts)] == [step.request for step in await shop.steps(whole)]


def _reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reordered(value[key]) for key in sorted(value, key=lambda key: (len(key), key), reverse=True)}
    return [_reordered(item) for item in value] if isinstance(value, list) else value
