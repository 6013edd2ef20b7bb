"""agent.toml: what an agent is for, on which model, with which tools, within which budget."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from pocketlet import errors
from pocketlet.agents.triggers import specs
from pocketlet.db import bounds
from pocketlet.platform import compose

RUN_TOOLS = ("sql", "search", "read", "skill", "attachment", "remember", "send_mail", "http", "code")
DEFAULT_TOOLS = tuple(name for name in RUN_TOOLS if name not in ("http", "code"))  # these are named
DEFAULT_BUDGET = {"run": Decimal("0.50"), "day": Decimal("5.00")}
KEYS = frozenset(
    (
        "name",
        "job",
        "model",
        "price",
        "tools",
        "budget",
        "approvals",
        "mail",
        "triggers",
        "facts",
        "learning",
        "dry_run",
        "reads",
        "skills",
        "zone",
    )
) | {"max_steps", "max_tokens", "deadline"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The parsed file. Money is in USD; `facts` maps a fact to its values and the words that show each.

    `skills`: by name the facts with which a run is given the whole text of a skill at once.
    `adopt`: proven (a change that has passed the gate counts) or ask (the owner decides on every change).
    `dry_run`: nothing is sent. `reads`: what a run may read whose task is somebody's mail. `deadline`: seconds that a
    run may take, waiting for a person not counted.
    """

    name: str
    job: str
    model: str
    price: Mapping[str, object] | None = None
    tools: tuple[str, ...] = DEFAULT_TOOLS
    budget: Mapping[str, Decimal] = field(default_factory=lambda: DEFAULT_BUDGET)
    approvals: Mapping[str, str] = field(default_factory=dict[str, str])
    recipients: tuple[str, ...] = ()
    mail_address: str = ""
    mail_name: str = ""
    triggers: tuple[specs.Spec, ...] = ()
    facts: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict[str, Mapping[str, tuple[str, ...]]])
    adopt: str = "proven"
    dry_run: bool = False
    max_steps: int = 40
    max_tokens: int = 2048
    deadline: int = 3600
    notes: tuple[str, ...] = ()
    reads: bounds.Reads = field(default_factory=bounds.Reads)
    skills: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    @property
    def mail_trigger(self) -> str:
        """The address to which a mail starts a run; empty if there is none."""
        return _first_mail(self.triggers)


def _first_mail(triggers: tuple[specs.Spec, ...]) -> str:
    return next((spec.source for spec in triggers if spec.kind == "mail"), "")


@functools.lru_cache(maxsize=256)
def parse(text: str, *, where: str = "agent.toml") -> Manifest:
    """Raises errors.BadAgent with the line and column, or the key, that is wrong."""
    try:
        data = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise errors.BadAgent(f"{where} is not valid TOML: {error}.") from error
    for key in ("name", "job", "model"):
        if not isinstance(data.get(key), str) or not data[key].strip():
            raise errors.BadAgent(f"{where} needs `{key}` (a text).")
    mail = _table(data, "mail", where)
    if address := _text(mail, "address", where):
        _address(address, f"{where}: `address`")
    triggers = specs.parse(_table(data, "triggers", where), _text(data, "zone", where) or "UTC", where)
    approvals, recipients = _approvals(data.get("approvals", {}), where)
    notes = [f"{where}: `{key}` is not known and was left alone." for key in sorted(data.keys() - KEYS)]
    return Manifest(
        name=data["name"],
        job=data["job"].strip(),
        model=data["model"],
        price=_table(data, "price", where) or None,
        tools=_tools(data.get("tools", list(DEFAULT_TOOLS)), where),
        budget=_budget(data.get("budget", {}), where),
        approvals=approvals,
        recipients=recipients,
        mail_address=_text(mail, "address", where) or _first_mail(triggers),
        mail_name=_text(mail, "name", where),
        triggers=triggers,
        facts=_facts(_table(data, "facts", where), where),
        adopt=_adopt(_table(data, "learning", where), where),
        dry_run=_switch(data, "dry_run", where),
        max_steps=_count(data, "max_steps", 40, where),
        max_tokens=_count(data, "max_tokens", 2048, where),
        deadline=_deadline(data, where),
        notes=tuple(notes),
        reads=bounds.read(_table(data, "reads", where), where),
        skills=_skills(_table(data, "skills", where), where),
    )


def _table(data: Mapping[str, object], key: str, where: str) -> Mapping[str, object]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise errors.BadAgent(f"{where}: `{key}` must be a table.")
    return cast("Mapping[str, object]", value)


def _text(table: Mapping[str, object], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise errors.BadAgent(f"{where}: `{key}` must be a text.")
    return value.strip()


def _count(data: Mapping[str, object], key: str, default: int, where: str) -> int:
    value = data.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise errors.BadAgent(f"{where}: `{key}` must be a whole number above 0.")
    return value


def _deadline(data: Mapping[str, object], where: str) -> int:
    try:
        return specs.seconds(_text(data, "deadline", where) or "1 hour")
    except errors.BadInput as error:
        raise errors.BadAgent(f"{where}: `deadline`: {error}", hint=error.hint) from error


def _switch(data: Mapping[str, object], key: str, where: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise errors.BadAgent(f"{where}: `{key}` must be true or false.")
    return value


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[object]", value)):
        raise errors.BadAgent(f"{what} must be a list of texts.")
    return tuple(cast("list[str]", value))


def _tools(value: object, where: str) -> tuple[str, ...]:
    names = _texts(value, f"{where}: `tools`")
    if unknown := sorted(set(names) - {*RUN_TOOLS, "finish"}):
        raise errors.BadAgent(f"{where}: no tool is called {', '.join(unknown)}; there are {', '.join(RUN_TOOLS)}.")
    return tuple(name for name in RUN_TOOLS if name in names)


def _budget(value: object, where: str) -> Mapping[str, Decimal]:
    table = cast("dict[str, object]", value) if isinstance(value, dict) else {"run": value, "day": value}
    caps = dict(DEFAULT_BUDGET)
    for key, amount in table.items():
        if key not in caps or isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < 1e9:
            raise errors.BadAgent(f"{where}: `budget` must be like {{run = 0.50, day = 5.00}}, in USD.")
        caps[key] = Decimal(str(amount))
    return caps


def _approvals(value: object, where: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
    table = cast("dict[str, object]", value) if isinstance(value, dict) else {"send_mail": value}
    recipients: tuple[str, ...] = ()
    rules: dict[str, str] = {}
    for key, rule in table.items():
        if key == "recipients":
            recipients = tuple(
                _address(text, f"{where}: `approvals.recipients`")
                for text in _texts(rule, f"{where}: `approvals.recipients`")
            )
        elif key == "send_mail" and rule in ("ask", "allow"):
            rules[key] = str(rule)
        else:
            raise errors.BadAgent(f'{where}: `approvals` must be like {{send_mail = "ask"}} (or "allow").')
    return rules, recipients


def _adopt(table: Mapping[str, object], where: str) -> str:
    if unknown := sorted(table.keys() - {"adopt"}):
        raise errors.BadAgent(f"{where}: `learning` has no `{unknown[0]}`; it has `adopt`.")
    adopt = table.get("adopt", "proven")
    if adopt not in ("proven", "ask"):
        raise errors.BadAgent(f'{where}: `learning.adopt` must be "proven" or "ask".')
    return str(adopt)


def _address(text: str, what: str) -> str:
    try:
        return compose.address(text.strip()).lower()
    except errors.BadInput as error:
        raise errors.BadAgent(f"{what}: {error}", hint=error.hint) from error


def _skills(table: Mapping[str, object], where: str) -> Mapping[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {}
    for name in table:
        when = _table(_table(table, name, where), "when", where)
        if set(_table(table, name, where)) != {"when"} or not all(isinstance(value, str) for value in when.values()):
            hint = f'For example [skills.{name}] when = {{intent = "late_order"}}; {{}} is every run.'
            raise errors.BadAgent(f"{where}: `skills.{name}` has `when`, with facts and their values.", hint=hint)
        found[name] = cast("Mapping[str, str]", when)
    return found


def _facts(table: Mapping[str, object], where: str) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    facts: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for name in table:
        values = _table(table, name, where)
        facts[name] = {value: _texts(words, f"{where}: `facts.{name}.{value}`") for value, words in values.items()}
    return facts
