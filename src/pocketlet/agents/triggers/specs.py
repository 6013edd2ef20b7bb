"""One entry of `[triggers]` in agent.toml: what starts a run, with which words, and when that run did what it should.

Pure. An entry names its kind by the key that it has (`schedule = …`, `webhook = …`); the others it may have are told
by `SETTINGS`.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from pocketlet import errors
from pocketlet.agents.triggers import calendar, sources
from pocketlet.agents.triggers import words as calendar_words
from pocketlet.platform import compose, vault

NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
DURATION = re.compile(r"(\d{1,6})\s*(seconds?|s|minutes?|min|m|hours?|h|days?|d)")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
CATCH_UP = ("latest", "all", "skip")
OVERLAP = ("skip", "queue", "parallel")
#: The key that tells the kind.
KINDS: Mapping[str, str] = {
    "mail": "mail",
    "schedule": "schedule",
    "webhook": "webhook",
    "mailbox": "mailbox",
    "feed": "feed",
    "change": "change",
    "poll": "poll",
    "result_of": "result",
    "chat": "chat",
}
COMMON = frozenset({"task", "when", "after", "overlap", "each", "at_once"})
#: What else an entry of each kind may say.
SETTINGS: Mapping[str, frozenset[str]] = {
    "mail": frozenset(),
    "schedule": frozenset({"zone", "catch_up", "catch_up_limit"}),
    "webhook": frozenset({"secret"}),
    "mailbox": frozenset({"secret", "pin"}),
    "feed": frozenset({"every", "pin", "from_start"}),
    "change": frozenset({"every", "where"}),
    "poll": frozenset({"every", "query", "items", "key", "cursor", "from_start"}),
    "result": frozenset({"outcome"}),
    "chat": frozenset(),
}
#: What `each` may be: a query, or the place of a list in what came.
QUERY = re.compile(r"(?:select|with)\b", re.IGNORECASE)
LIST = re.compile(r"(?is)(?:select|with)\b.+|body(?:\.[^.\s]+)*")
NO_JSON = ("schedule", "mail", "mailbox")
MOST_AT_ONCE = 32
#: Kinds that are looked at every so often, and how often if they don't say (seconds).
LOOKS: Mapping[str, int] = {"feed": 900, "change": 10, "poll": 300}
EXAMPLE = 'For example:  [triggers.morning]  schedule = "every weekday at 9"  task = "Write the report."'


@dataclass(frozen=True, slots=True)
class Spec:
    """`source`: what follows the kind's own key, as given (an address, a URL, a schedule in words).

    `task`: the owner's words to each run. `when`: a SELECT that must give true for a run to start. `after`: SELECTs
    that must give true for it to have succeeded. `every`: seconds between two looks. `settings`: the kind's own.
    `each`: where the items come from that have a run each, if it is a list; `at_once`: how many of them at a time.
    """

    name: str
    kind: str
    source: str
    task: str = ""
    when: str = ""
    after: tuple[str, ...] = ()
    overlap: str = "parallel"
    cron: str = ""
    zone: str = "UTC"
    catch_up: str = "latest"
    catch_up_limit: int = 10
    every: int = 0
    each: str = ""
    at_once: int = 4
    secrets: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def record(self) -> dict[str, Any]:
        """As JSON, for the trigger's row."""
        return asdict(self)


def from_record(record: Mapping[str, Any]) -> Spec:
    """The entry of a trigger's row."""
    fields = dict(record)
    fields |= {name: tuple(record[name]) for name in ("after", "secrets")}
    return Spec(**fields)


def parse(table: Mapping[str, object], zone: str, where: str) -> tuple[Spec, ...]:
    """All entries of `[triggers]`; `mail = "address"` is short for an entry called mail. `zone`: where none is named.

    Raises errors.BadAgent, which names the entry and the key.
    """
    specs: list[Spec] = []
    for name, value in table.items():
        what = f"{where}: trigger `{name}`"
        if not NAME.fullmatch(name):
            raise errors.BadAgent(f"{what}: a name is a small letter, then small letters, digits, - and _.")
        entry = {"mail": value} if name == "mail" and isinstance(value, str) else value
        if not isinstance(entry, dict):
            raise errors.BadAgent(f"{what} must be a table.", hint=EXAMPLE)
        try:
            specs.append(_entry(name, cast("dict[str, object]", entry), zone))
        except errors.BadInput as error:
            raise errors.BadAgent(f"{what}: {error}", hint=error.hint) from error
    return tuple(specs)


def _entry(name: str, entry: Mapping[str, object], zone: str) -> Spec:
    named = [key for key in KINDS if key in entry]
    if len(named) != 1:
        raise errors.BadInput(f"it needs exactly one of {', '.join(KINDS)}.", hint=EXAMPLE)
    kind, source = KINDS[named[0]], _text(entry, named[0])
    if unknown := sorted(entry.keys() - COMMON - SETTINGS[kind] - {named[0]}):
        known = ", ".join(sorted(COMMON | SETTINGS[kind]))
        raise errors.BadInput(f"`{unknown[0]}` is not known for a {kind}; there are {known}.")
    spec = Spec(
        name=name,
        kind=kind,
        source=compose.address(source).lower() if kind == "mail" else source,
        task=_text(entry, "task", ""),
        when=_text(entry, "when", ""),
        after=_texts(entry, "after"),
        overlap=_one_of(entry, "overlap", OVERLAP, _usual(kind, entry)),
        cron=calendar.schedule(source, _text(entry, "zone", zone)).cron if kind == "schedule" else "",
        zone=_text(entry, "zone", zone),
        catch_up=_one_of(entry, "catch_up", CATCH_UP, "latest"),
        catch_up_limit=_count(entry, "catch_up_limit", 10),
        every=seconds(_text(entry, "every", f"{LOOKS[kind]} s")) if kind in LOOKS else 0,
        each=_text(entry, "each", ""),
        at_once=_count(entry, "at_once", 4),
        secrets=_secrets(entry),
        settings={key: entry[key] for key in sorted(entry.keys() & SETTINGS[kind]) if key not in SPELT_OUT},
    )
    _check(spec)
    _check_list(spec, entry)
    return spec


#: Settings that have a field of their own.
SPELT_OUT = frozenset({"zone", "catch_up", "catch_up_limit", "every", "secret"})


def _usual(kind: str, entry: Mapping[str, object]) -> str:
    """What happens while a run is under way, if the entry does not say."""
    if kind != "schedule":
        return "parallel"
    return "queue" if entry.get("catch_up") == "all" else "skip"


def _check(spec: Spec) -> None:
    if spec.kind == "schedule" and not spec.task:
        raise errors.BadInput('it needs `task`: what the run is to do, such as task = "Write the report."')
    if spec.catch_up == "all" and spec.overlap == "skip":
        raise errors.BadInput('`catch_up = "all"` starts them one after the other: `overlap` is "queue" or "parallel".')
    if spec.kind != "schedule" and spec.overlap == "skip":
        raise errors.BadInput('`overlap = "skip"` would lose events; it is "queue" or "parallel" here.')
    if spec.kind in ("webhook", "mailbox") and not spec.secrets:
        raise errors.BadInput(
            f'a {spec.kind} needs `secret = "NAME"`.', hint="Store it with `pocketlet secret set NAME`."
        )
    if spec.kind == "webhook" and spec.source != "standard":
        raise errors.BadInput('`webhook` names how it is signed: "standard" (Standard Webhooks) is the only one.')
    sources.check(spec.kind, spec.source, spec.settings, spec.every)


def _check_list(spec: Spec, entry: Mapping[str, object]) -> None:
    if "at_once" in entry and (not spec.each or spec.at_once > MOST_AT_ONCE):
        raise errors.BadInput(f"`at_once` says how many items of `each` run at a time: 1 to {MOST_AT_ONCE}.")
    if not spec.each:
        return
    if not LIST.fullmatch(spec.each):
        hint = 'Such as each = "SELECT id, name FROM customers", each = "body" or each = "body.orders".'
        raise errors.BadInput("`each` is a SELECT, or a place in what comes.", hint=hint)
    if spec.kind in NO_JSON and not QUERY.match(spec.each):
        raise errors.BadInput(f"a {spec.kind} brings no JSON, so `each` must be a SELECT here.")


def words(spec: Spec) -> str:
    """What starts it, for a person to read."""
    match spec.kind:
        case "schedule":
            return f"{calendar_words.describe(spec.cron)} ({spec.zone})"
        case "mail":
            return f"a mail to {spec.source}"
        case "webhook":
            return f"a webhook to /hooks/AGENT/{spec.name}"
        case "result":
            return f"a result of {spec.source}"
        case _:
            return sources.words(spec.kind, spec.source, spec.settings)


def seconds(text: str) -> int:
    """A length of time in words, such as "15 minutes". Raises errors.BadInput."""
    found = DURATION.fullmatch(text.strip().lower())
    if not found or not int(found[1]):
        raise errors.BadInput(
            f"{text!r} is no length of time.", hint='Such as "30 s", "15 minutes", "1 hour", "2 days".'
        )
    return int(found[1]) * UNITS[found[2][0]]


def _text(entry: Mapping[str, object], key: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise errors.BadInput(f"`{key}` must be a text.")
    return value.strip()


def _texts(entry: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in cast("list[object]", texts)):
        raise errors.BadInput(f"`{key}` must be a text or a list of texts.")
    return tuple(item.strip() for item in cast("list[str]", texts))


def _secrets(entry: Mapping[str, object]) -> tuple[str, ...]:
    names = _texts(entry, "secret")
    if wrong := [name for name in names if not vault.NAME.fullmatch(name)]:
        raise errors.BadInput(f"`secret` names a secret of the vault, and {wrong[0]!r} is no such name.")
    return names


def _one_of(entry: Mapping[str, object], key: str, known: tuple[str, ...], default: str) -> str:
    value = entry.get(key, default)
    if value not in known:
        raise errors.BadInput(f"`{key}` is one of {', '.join(known)}.")
    return str(value)


def _count(entry: Mapping[str, object], key: str, default: int) -> int:
    value = entry.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
        raise errors.BadInput(f"`{key}` must be a whole number from 1 to 1000.")
    return value
