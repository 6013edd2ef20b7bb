"""`python -m bench.ui`: the tests of `tests/ui` in Chromium; the last line is one JSON object, the exit code pytest's.

Arguments go to pytest. A figure that no test has measured is null.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2] / "tests" / "ui"
#: Added up over all tests, and the largest of all tests.
SUMS = ("axe_findings", "foreign_requests", "hostile_executed")
LARGEST = (
    "first_load_kb", "interactive_ms", "step_visible_p95_ms", "long_run_opens_ms", "newcomer_interactions",
    "stream_kills", "stream_gaps", "stream_doubles",
)  # fmt: skip


@dataclass
class Figures:
    """Gathers what tests record with pytest's `record_property`: a figure, a `screen` or a `journey` that went well."""

    seen: dict[str, list[object]] = field(default_factory=dict[str, list[object]])
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    _well: dict[str, bool] = field(default_factory=dict[str, bool])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One of the three phases of a test has ended; after the last one its properties are complete."""
        self._well[report.nodeid] = self._well.get(report.nodeid, True) and report.passed
        self.skipped += report.skipped
        self.failed += report.failed
        if report.when != "teardown":
            return
        well = self._well.pop(report.nodeid)
        self.passed += well
        for name, value in report.user_properties:
            if well or name not in ("screen", "journey"):
                self.seen.setdefault(name, []).append(value)

    def document(self, seconds: float) -> dict[str, object]:
        """What the last line says."""
        told: dict[str, object] = {
            "journeys": self._kinds("journey"),
            "screens": self._kinds("screen"),
            **{name: sum(map(_number, self.seen[name])) if name in self.seen else None for name in SUMS},
            **{name: max(map(_number, self.seen[name])) if name in self.seen else None for name in LARGEST},
        }
        return {
            **told,
            "passed": self.passed,
            "failed": self.failed,
            "skipped": self.skipped,
            "seconds": round(seconds),
        }

    def _kinds(self, name: str) -> int | None:
        return len(set(self.seen[name])) if name in self.seen else None


def _number(value: object) -> float:
    assert isinstance(value, int | float), value
    return value


def main() -> int:
    """pytest's exit code."""
    figures, began = Figures(), time.monotonic()
    code = pytest.main([str(TESTS), "-q", "--timeout", "300", *sys.argv[1:]], plugins=[figures])
    print(json.dumps(figures.document(time.monotonic() - began)))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
