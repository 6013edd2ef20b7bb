"""What can be written or set is documented: keys of agent.toml, tools, variables, dependencies, make's verbs."""

import re
import tomllib

import pages

from pocketlet import settings
from pocketlet.agents import manifest
from pocketlet.platform.gateways import endpoints

FOLDER = pages.text("concepts/agent-folder.md")
MODELS = pages.text("concepts/real-models.md")


def test_every_key_of_agent_toml() -> None:
    documented = {row[0].strip("`") for row in pages.rows("concepts/agent-folder.md", r"`\w+`")}
    assert documented == manifest.KEYS


def test_defaults_of_agent_toml() -> None:
    rows = {row[0].strip("`"): row for row in pages.rows("concepts/agent-folder.md", r"`\w+`")}
    parsed = manifest.parse('name = "x"\njob = "y"\nmodel = "z"')
    assert rows["max_steps"][2] == str(parsed.max_steps)
    assert rows["max_tokens"][2] == str(parsed.max_tokens)
    assert rows["budget"][2] == f"`{{run = {parsed.budget['run']}, day = {parsed.budget['day']}}}`"
    assert set(re.findall(r"`(\w+)`", rows["tools"][3])) == {*manifest.RUN_TOOLS, "finish"}


def test_the_example_of_facts_is_understood() -> None:
    example = re.search(r"```toml\n(.*?)```", FOLDER, re.DOTALL)
    assert example
    parsed = manifest.parse(f'name = "x"\njob = "y"\nmodel = "z"\n{example[1]}')
    assert set(parsed.facts["intent"]) == {"late_order", "product_question"}


def test_every_variable() -> None:
    documented = {row[0].strip("`") for row in pages.rows("concepts/real-models.md", r"`POCKETLET_\w+`")}
    assert documented == set(settings.NAMES)
    for name, provider in endpoints.PROVIDERS.items():
        assert f"`{name}:" in MODELS
        assert not {
            variable for variable in (*provider.url_names, *provider.key_names) if f"`{variable}`" not in MODELS
        }


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]
    named = set(re.findall(r"`([\w-]+)`", pages.text("decisions/0001-dependencies.md")))
    assert not {re.split(r"[^\w-]", requirement)[0] for requirement in wanted} - named


def test_every_requirement_is_pinned_for_make() -> None:
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]
    lines = (pages.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.+]+", pin) for pin in pins)
    pinned = {_plain(pin.partition("==")[0]) for pin in pins}
    assert not {_plain(re.split(r"[^\w.-]", requirement)[0]) for requirement in wanted} - pinned


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_verbs_of_make_are_short_and_those_that_agents_are_told() -> None:
    makefile = (pages.ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([a-z][a-z-]*):.*\n((?:\t.*\n)*)", makefile, re.MULTILINE)
    verbs = {verb for verb, _ in rules}
    assert not {verb for verb, recipe in rules if recipe.count("\n") > 3}
    agents = (pages.ROOT / "AGENTS.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z-]+)`", agents)) <= verbs
