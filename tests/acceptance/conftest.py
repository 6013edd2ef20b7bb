"""The acceptance tests run the installed program as a person would, in a home of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def pocketlet(place: Path) -> Iterator[Run]:
    """Runs `pocketlet …` in that home; stops its server at the end."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("POCKETLET_", "OPENAI_"))}

    def run(*arguments: str, env: Mapping[str, str] | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pocketlet.surfaces.cli.main", *arguments]
        environment = {**own, "POCKETLET_HOME": str(place), "POCKETLET_MAIL_PORT": "0", "POCKETLET_PORT": "0"}
        environment.update(env or {})
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=110, check=False, **more
        )

    yield run
    run("down")


@pytest.fixture(scope="module")
def story(pocketlet: Run) -> dict[str, Any]:
    """The facts of `pocketlet demo crm --json`."""
    told = pocketlet("demo", "crm", "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)
