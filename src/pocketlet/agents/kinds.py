"""The kinds of run. Curation is a run: the loop, queue, ledger and journal are the same for all."""

from collections.abc import Mapping

from pocketlet.agents import loop, manager, work


def _managers_tools(_: loop.Work) -> Mapping[str, loop.toolbox.Tool]:
    return manager.TOOLS


KINDS: Mapping[str, loop.Kind] = {
    "run": loop.Kind(work.tools, work.brief, work.finish),
    "trial": loop.Kind(work.tools, work.brief, work.judge),
    "manager": loop.Kind(_managers_tools, manager.brief, manager.finish),
}
