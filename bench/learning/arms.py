"""The arms of the ablation: what learns from the same stream, and how. `ours` is the product as it is."""

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.learning import house, player
from bench.learning import stream as streams

from pocketlet.agents import agent as agents
from pocketlet.learning import feedback, gate, lint


@dataclass(frozen=True)
class Arm:
    """`model`: more traits of the stand-in. `scoped`: it knows the facts. `patch`: what of the gate is disabled."""

    says: str
    learn: str = "none"
    model: Mapping[str, float] | None = None
    scoped: bool = True
    patch: Mapping[tuple[Any, str], Any] | None = None


NO_GATE = {(gate, "after"): lambda _: gate.Verdict("adopt", "no-gate", "Nothing was tried.")}
NO_PROVENANCE = {(lint, "_words"): lambda *_: ()}
ONE_REPLAY = {"ATTEMPTS": 1, "NEEDED": 1, "WAVERING": 1, "MAJORITY": 1, "BEFORE": 0}
ARMS: dict[str, Arm] = {
    "null": Arm("floor: no memory of anything, no feedback"),
    "no-feedback": Arm("the runs' own results can be searched, nobody says anything", model={"sql": 2}),
    "full-history": Arm("every comment ever made stands in the prompt", "history", scoped=False),
    "stuffed": Arm("lessons without facts: all of them in every prompt, as many as fit", "feedback", scoped=False),
    "sql-only": Arm("comments are found by SQL, nothing is curated", "store", model={"sql": 2}),
    "monolithic": Arm("the prompt is rewritten from the last ten comments", "rewrite", scoped=False),
    "no-gate": Arm("whatever the manager drafts counts", "feedback", patch=NO_GATE),
    "single-shot": Arm(
        "one replay a case, any failure rejects", "feedback",
        patch={(gate, name): value for name, value in ONE_REPLAY.items()},
    ),
    "no-provenance": Arm("a lesson may say what the owner did not", "feedback", patch=NO_PROVENANCE),
    "placebo": Arm("lessons of equal length and scope that say something else", "placebo", patch=NO_GATE),
    "ours": Arm("lessons by scope, behind the gate", "feedback"),
    "oracle-context": Arm("ceiling: every house rule stands there from the start", "oracle"),
}  # fmt: skip
#: Not built: no arm retrieves by words or by vectors, as the product has no such way to choose lessons.
NOT_BUILT = ("lexical top-k", "vector top-k")


@contextlib.contextmanager
def patched(arm: Arm) -> Generator[None]:
    """Disables what the arm disables, for as long as it plays."""
    before = {place: getattr(*place) for place in arm.patch or {}}
    for (module, name), value in (arm.patch or {}).items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)


def learning(arm: Arm, stream: streams.Stream) -> tuple[player.Learn | None, player.Learn | None]:
    """What the arm does with a feedback, and what it does when the rules change at half."""
    comments: list[str] = []

    async def write_down(desk: player.Desk, keep: int | None, comment: str) -> None:
        if comment:
            comments.append(comment)
            house.instruct(desk.folder, comments[-keep:] if keep else comments)
            await desk.renew()

    async def history(desk: player.Desk, run: int, verdict: str, comment: str) -> int:
        await write_down(desk, None, comment)
        return 0

    async def rewrite(desk: player.Desk, run: int, verdict: str, comment: str) -> int:
        await write_down(desk, 10, comment)
        return 0

    async def store(desk: player.Desk, run: int, verdict: str, comment: str) -> int:
        async with desk.database.api() as conn:
            return await feedback.store(conn, await agents.get(conn, desk.name), run, feedback.Said(verdict, comment))

    async def placebo(desk: player.Desk, run: int, verdict: str, comment: str) -> int:
        words, span = comment.split(), len(streams.NUMBERS)
        other = [str(streams.NUMBERS.start + (int(word) * 7 + 3) % span) if word.isdigit() else word for word in words]
        return await player.by_feedback(desk, run, verdict, " ".join(other))

    async def turned(desk: player.Desk, run: int, verdict: str, comment: str) -> int:
        house.teach(desk.folder, list(stream.drifted.values()))
        await desk.renew()
        return 0

    ways: dict[str, tuple[player.Learn | None, player.Learn | None]] = {
        "none": (None, None),
        "feedback": (player.by_feedback, None),
        "history": (history, None),
        "rewrite": (rewrite, None),
        "store": (store, None),
        "placebo": (placebo, None),
        "oracle": (None, turned),
    }
    return ways[arm.learn]
