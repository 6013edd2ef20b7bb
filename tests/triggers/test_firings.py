"""The next times as people read them, with a word where clocks change."""

from datetime import UTC, datetime

import pytest

from pocketlet.agents.triggers import calendar, firings


def told(text: str, zone: str, after: datetime, n: int = 5) -> list[tuple[str, str]]:
    found = firings.upcoming(calendar.schedule(text, zone), after, n)
    return [(f"{one.local:%d %H:%M %z}", one.note) for one in found]


def test_a_time_that_is_left_out_says_when_it_runs() -> None:
    notes = told("every day at 2:30", "Europe/Berlin", datetime(2027, 3, 27, 12, tzinfo=UTC), 2)
    gap = "there is no 02:30 on that day, as clocks go forward: it runs at 03:00"
    assert notes == [("28 03:00 +0200", gap), ("29 02:30 +0200", "")]


def test_a_time_that_comes_twice_says_which_it_is() -> None:
    [first, following] = told("every day at 2:30", "Europe/Berlin", datetime(2027, 10, 30, 12, tzinfo=UTC), 2)
    assert first == ("31 02:30 +0200", "02:30 comes twice on that day, as clocks go back: this is the first")
    assert following == ("01 02:30 +0100", "clocks go back before this one")
    each = told("every 30 minutes", "Europe/Berlin", datetime(2027, 10, 31, 0, 30, tzinfo=UTC), 2)
    assert [note.rpartition(" ")[2] for _, note in each] == ["second", "second"]


@pytest.mark.parametrize(("month", "word"), [(3, "forward"), (10, "back")])
def test_a_change_between_two_times_is_told_once(month: int, word: str) -> None:
    notes = [
        note for _, note in told("every day at 9:00", "Europe/Berlin", datetime(2027, month, 26, 12, tzinfo=UTC), 7)
    ]
    assert [note for note in notes if note] == [f"clocks go {word} before this one"]


def test_a_zone_without_changes_has_no_notes() -> None:
    assert not any(note for _, note in told("every day at 2:30", "UTC", datetime(2027, 3, 27, tzinfo=UTC)))
