"""`make bench-agentdojo`: prints the figures, and as the last line one JSON object."""

import json
import sys

from bench.agentdojo import figures, report

from pocketlet import errors

try:
    found = figures.measure()
except errors.NotFound as error:
    sys.exit(f"{error} {error.hint}")
print("\n".join(report.lines(found)))
print(json.dumps(report.document(found)))
