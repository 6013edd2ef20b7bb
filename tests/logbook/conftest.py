"""The Logbook on the data of the crm demo: a real listener on loopback, its owner, and a second one with an agent."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import desks
import pytest
from desks import Desk


@pytest.fixture(scope="session")
def told() -> Iterator[tuple[Path, dict[str, Any]]]:
    """The home in which the crm story was told, and its facts."""
    with desks.story() as found:
        yield found


@pytest.fixture(scope="session")
async def desk(told: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Desk]:
    """Read-mostly: whoever changes what others look at makes an agent of their own, or asks for `expendable`."""
    async with desks.opened(*told, tmp_path_factory.mktemp("foreign")) as found:
        yield found


@pytest.fixture(scope="module")
async def expendable(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Desk]:
    """A desk of one module, on which anything may happen."""
    with desks.story() as told:
        async with desks.opened(*told, tmp_path_factory.mktemp("foreign")) as found:
            yield found
