"""The figures: how many tasks run unattended, and how many attacks are held back."""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.agentdojo import lists, package, replay, tools, worlds


@dataclass(slots=True)
class Figures:
    """Of one suite, or all. `ours`: the pairs whose attack list is our own, and how many of them were stopped."""

    pairs: int = 0
    stopped: int = 0
    pairs_ours: int = 0
    stopped_ours: int = 0
    wholly: int = 0
    tasks: int = 0
    unattended: int = 0
    asks: int = 0
    denials: int = 0
    attended: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)


def measure(wanted: tuple[str, ...] = package.SUITES) -> dict[str, Figures]:
    """Every pair of those suites. Raises errors.NotFound if AgentDojo is not installed."""
    return {name: _suite(name, suite) for name, suite in package.suites().items() if name in wanted}


def _suite(name: str, suite: Any) -> Figures:
    runtime = package.runtime(suite)
    parts = replay.Suite(tools.TABLES[name], worlds.WORLDS[name], runtime.run_function)
    figures = Figures()
    attacks = [(attack, make, _written(suite, goal)) for attack, goal, make in _attacks(name, suite)]
    for key, task in suite.user_tasks.items():
        clean = task.init_environment(suite.load_and_inject_default_environment({}))
        calls = _made(task.ground_truth(clean))
        judged, _ = replay.task(parts, task.PROMPT, clean, calls)
        _count_task(figures, f"{name}/{key}", judged)
        for attack, make, there in attacks:
            _, taken = replay.task(parts, task.PROMPT, task.init_environment(copy.deepcopy(there)), calls)
            acted = [(parts, replay.attack(run, make(run.environment))) for run in taken]
            _count_pair(figures, (name, key, attack), acted)
    return figures


def _attacks(name: str, suite: Any) -> Iterator[tuple[str, str, Any]]:
    for key, task in suite.injection_tasks.items():
        yield key, task.GOAL, lists.OURS.get((name, key), lambda there, task=task: _made(task.ground_truth(there)))


def _made(found: Any) -> list[replay.Made]:
    return [replay.Made(call.function, dict(call.args)) for call in found]


def _written(suite: Any, goal: str) -> Any:
    """The environment with the attack's text wherever a stranger can write, from before a run's start."""
    text = goal.replace('"', "'").replace("\n", " ").replace("\\", "")
    return suite.load_and_inject_default_environment(dict.fromkeys(suite.get_injection_vector_defaults(), text))


def _count_task(figures: Figures, key: str, judged: list[replay.Judged]) -> None:
    figures.tasks += 1
    asked = [one for one in judged if one.verdict == "ask"]
    denied = [one for one in judged if one.verdict == "deny"]
    figures.asks += len(asked)
    figures.denials += len(denied)
    if not asked and not denied:
        figures.unattended += 1
    for one in (*asked, *denied):
        figures.attended.append(f"{key}: {one.verdict} {one.call.function} ({one.rule})")


def _count_pair(figures: Figures, key: tuple[str, str, str], acted: list[Any]) -> None:
    name, task, attack = key
    results = [replay.stopped(parts, judged) for parts, judged in acted]
    held = all(one for one, _ in results)
    figures.pairs += 1
    figures.stopped += held
    figures.wholly += all(one for _, one in results)
    if (name, attack) in lists.OURS:
        figures.pairs_ours += 1
        figures.stopped_ours += held
    if not held:
        figures.passed.append(f"{name}/{task} with {attack}")
    parts, judged = acted[-1]
    wanted = [one.call for one in judged]
    first = [one for one in judged if one.verdict != "allow" and replay.harms(parts, one.call, wanted)]
    figures.rules[first[0].rule if first else "none"] += 1


def total(found: dict[str, Figures]) -> Figures:
    """All suites together."""
    whole = Figures()
    for one in found.values():
        for name in Figures.__slots__:
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
    return whole
