"""Finds the installed `agentdojo` package and loads its suites, without the model clients that it would import."""

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

from pocketlet import errors

VERSION = "v1.2.2"
SUITES = ("workspace", "travel", "banking", "slack")
#: Where `make bench-agentdojo` puts it: beside the environment, not in it, for it asks for five model clients.
FOLDER = Path(sys.prefix) / "agentdojo"
HINT = "From a checkout: `make bench-agentdojo` installs it (about 6 MB) and runs the benchmark."


def suites() -> dict[str, Any]:
    """The four suites by name. Raises errors.NotFound if the package is not installed."""
    place = _place()
    if place is None:
        raise errors.NotFound("The package agentdojo is not installed.", hint=HINT)
    # The package's own __init__ imports every model client; the suites need none of them, only this name.
    _stand_in("agentdojo.agent_pipeline", __path__=[str(place / "agent_pipeline")])
    _stand_in("agentdojo.agent_pipeline.ground_truth_pipeline", GroundTruthPipeline=None)
    try:
        loader = importlib.import_module("agentdojo.task_suite.load_suites")
    except ImportError as error:
        raise errors.NotFound(f"The package agentdojo is there, but not {error.name}.", hint=HINT) from error
    found = loader.get_suites(VERSION)
    return {name: found[name] for name in SUITES}


def runtime(suite: Any) -> Any:
    """What executes a suite's tools: `run_function(environment, name, arguments)` gives a result and an error."""
    return importlib.import_module("agentdojo.functions_runtime").FunctionsRuntime(suite.tools)


def installed() -> bool:
    """Whether the package can be found."""
    return _place() is not None


def _place() -> Path | None:
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    spec = importlib.util.find_spec("agentdojo")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0]) if folders else None


def _stand_in(name: str, **names: object) -> None:
    if name not in sys.modules:
        module = types.ModuleType(name)
        vars(module).update(names)
        sys.modules[name] = module
