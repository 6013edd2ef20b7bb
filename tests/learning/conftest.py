"""The workshop of the agents' tests, with the fixtures that open one."""

import importlib.util
import sys
from pathlib import Path

AGENTS = Path(__file__).parents[1] / "agents"
if str(AGENTS) not in sys.path:
    sys.path.insert(0, str(AGENTS))
_spec = importlib.util.spec_from_file_location("agents_fixtures", AGENTS / "conftest.py")
assert _spec
assert _spec.loader
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

model = _fixtures.model
mail_server = _fixtures.mail_server
open_shop = _fixtures.open_shop
shop = _fixtures.shop
