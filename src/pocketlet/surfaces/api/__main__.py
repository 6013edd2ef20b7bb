"""`python -m pocketlet.surfaces.api`: the OpenAPI document, as it is kept in `docs/`."""

import sys

from pocketlet.surfaces.api import document

sys.stdout.write(document.text())
