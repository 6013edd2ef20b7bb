"""A form changes one entry of agent.toml: every other byte that means something stays."""

import tomllib

import pytest

from pocketlet import errors
from pocketlet.agents.triggers import written

TEXT = """\
name = "a"  # mine
[triggers]
mail = "shop@shop.example"   # the shop's

# each morning
[triggers.morning]
schedule = "every day at 9:00"
task = "Report."
after = ["SELECT true"]

# what it knows
[facts.intent]
late = ["late", "[triggers.morning]"]
"""


def test_an_entry_is_added_at_the_end() -> None:
    made = written.put(TEXT, "hook", {"webhook": "standard", "secret": "A_SECRET"})
    assert made == TEXT + '\n[triggers.hook]\nwebhook = "standard"\nsecret = "A_SECRET"\n'


def test_an_entry_is_changed_where_it_stands() -> None:
    wanted = {"schedule": "every day at 10:00", "task": 'Say "hi"\n\x7f.', "after": ["SELECT true"], "at_once": 3}
    made = written.put(TEXT, "morning", wanted)
    assert tomllib.loads(made)["triggers"]["morning"] == wanted
    assert made.index("# each morning") < made.index("[triggers.morning]") < made.index("# what it knows")
    assert written.put(made, "morning", written.entry(TEXT, "morning") or {}).split() == TEXT.split()


def test_an_entry_is_taken_out() -> None:
    assert written.drop(TEXT, "morning").count("[triggers.morning]") == 1  # it is a word of the facts
    assert "shop@shop.example" not in written.drop(TEXT, "mail")
    assert written.entry(written.drop(TEXT, "mail"), "mail") is None
    assert written.entry(TEXT, "mail") == {"mail": "shop@shop.example"}


@pytest.mark.parametrize(
    "text",
    [
        'name = "a"\ntriggers = {morning = {schedule = "every day at 9:00", task = "x"}}\n',
        'name = "a"\ntriggers.morning.schedule = "every day at 9:00"\ntriggers.morning.task = "x"\n',
        'name = "a"\n[triggers."morning"]\nschedule = "every day at 9:00"\ntask = "x"\n',
        'name = "a"\njob = """\n[triggers.morning]\n"""\n[triggers]\nmorning = {schedule = "every day", task = "x"}\n',
    ],
)
def test_what_is_not_understood_is_left_alone(text: str) -> None:
    tomllib.loads(text)
    for act in (lambda: written.put(text, "morning", {"schedule": "x"}), lambda: written.drop(text, "morning")):
        with pytest.raises(errors.Conflict, match="a form can't change"):
            act()


def test_the_zone_of_the_agent() -> None:
    assert written.zone('zone = "Europe/Berlin"') == "Europe/Berlin"
    assert written.zone(TEXT) == "UTC"
