"""Steps as a story: what was done in a sentence, and what it is made of, each part with where it comes from."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

from pocketlet.agents.triggers import words
from pocketlet.platform import connections
from pocketlet.surfaces.api import endpoint

Origin = Literal["outside", "model", "own", "owner", "blocked"]
Row = Mapping[str, Any]
SHORT = 80  # characters of somebody's text that stand in a sentence
READ_FROM = re.compile(r"\b(?:from|join)\s+([a-z_][a-z0-9_.]*)", re.IGNORECASE)
ORIGINS: Mapping[str, Origin] = {"outside": "outside", "own-data": "own", "owner": "owner", "playbook": "own"}
#: Tables of ours that an agent knows by the name of a view.
VIEWS = {"run": "runs", "memories_before": "memories"}
#: What is said of a step whose effect did not come about, before what it was to be.
NOT_DONE = {
    "refused": "You said no: it did not ",
    "failed": "Did not work: ",
    "unknown": "Nobody knows whether it was done: ",
    "captured": "Only shown, not done: ",
}


class Block(endpoint.Model):
    """A part of a step. `origin`: whose words it is. `form`: prose, text, sql, table or mail; of a table `columns` and
    `rows`, else `text`. `folded`: it is long, or beside the point.
    """

    origin: Origin
    form: Literal["prose", "text", "sql", "table", "mail"]
    title: str = ""
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    folded: bool = False


class Piece(endpoint.Model):
    """One step. `act`: think, look, search, read, skill, file, remember, mail, http, server, code, learn, end, halt or
    other.

    `said`: a sentence; `note`: a few words beside it. `state`: done, blocked, refused, failed, unknown or captured.
    `connection` and `secrets`: what carried it, by name; nobody's value is ever here. `rule`: what decided. `cost`
    and `uncertain_usd`: of its model calls. `label`: the run's, once it had read this.
    """

    seq: int
    kind: Literal["model", "tool"]
    act: str
    tool: str
    said: str
    note: str
    state: str
    blocks: list[Block]
    connection: str
    secrets: list[str]
    effect: int | None
    effect_class: str
    rule: str
    label: str
    cost: Decimal
    uncertain_usd: Decimal
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Deed:
    """What a tool does, for a sentence: `past` (Looked at), `wish` (look at), and what of."""

    act: str
    past: str
    wish: str
    thing: Callable[[Mapping[str, Any]], str]


def piece(row: Row, known: Mapping[str, connections.Connection]) -> Piece:
    """A step of `run_page.steps`; `known`: the agent's connections."""
    told = _thought(row) if row["kind"] == "model" else _deed(row, known)
    usage = _object(_object(row["response"]).get("usage"))
    plain: dict[str, Any] = {name: row[name] for name in ("seq", "kind", "label", "uncertain_usd", "at")} | {
        "cost": row["cost_usd"]
    }
    plain |= {f"{name}_tokens": int(usage.get(name, 0)) for name in ("input", "output", "cached")}
    plain |= {"tool": row["tool"] or "", "seconds": float(row["meta"].get("seconds", 0))}
    plain |= {"effect": row["effect"], "effect_class": row["effect_class"] or "", "rule": row["rule"] or ""}
    return Piece.model_validate({"connection": "", "secrets": [], **plain, **told})


def _thought(row: Row) -> dict[str, Any]:
    reply: dict[str, Any] = row["response"]
    wishes = [_wish(call["tool"], call["args"]) for call in reply["calls"]]
    said = f"Decided to {words.together(wishes)}" if wishes else "Ended in words"
    blocks = [Block(origin="model", form="prose", text=reply["text"])] if reply["text"].strip() else []
    if cut := {"length": "cut off at its limit", "content_filter": "ended by the provider's filter"}.get(
        reply["finish"]
    ):
        return {"act": "think", "said": said, "note": cut, "state": "failed", "blocks": blocks}
    return {"act": "think", "said": said, "note": "", "state": "done", "blocks": blocks}


def _deed(row: Row, known: Mapping[str, connections.Connection]) -> dict[str, Any]:
    tool, asked = row["tool"], _object(row["request"])
    name = str(asked.get("connection", "")) if tool == "http" else ""
    deed = _of(tool)
    state, said = ended(row)
    base = {"_base": known[name].base_url} if name in known else {}
    more = BLOCKS.get(deed.act, _plain)(row, asked | base)
    if state == "blocked":
        more = [Block(origin="blocked", form="text", text=_why(row, tool)), *_held_back(more)]
    elif row["error"]:
        more = [*more, Block(origin=_origin(row), form="text", text=row["error"])]
    act = "halt" if deed.act == "end" and asked.get("outcome") in ("blocked", "needs_person") else deed.act
    told = {"act": act, "said": said, "note": _note(row, asked, state), "state": state, "blocks": more}
    return told | {"connection": name, "secrets": secrets(known.get(name))}


def ended(row: Row) -> tuple[str, str]:
    """How a tool's step ended, and the sentence for it: done, Sent a mail to ann@example.org.

    `row`: tool, request, meta, response, error, and of its effect effect_state and answer.
    """
    deed = _of(row["tool"])
    thing = deed.thing(_object(row["request"]) | {"_tables": row["meta"].get("tables")})
    return _state(row, f"{deed.past} {thing}".strip(), f"{deed.wish} {thing}".strip())


def _state(row: Row, said: str, wish: str) -> tuple[str, str]:
    found = row["effect_state"]
    if found == "blocked" or (found is None and str(row["response"] or "").startswith("blocked:")):
        return "blocked", "Blocked by policy"
    state = found if found in NOT_DONE else "failed" if row["error"] else "done"
    if state == "refused":
        why = "Nobody answered in time: it did not " if row["answer"] == "expired" else NOT_DONE["refused"]
        return state, f"{why}{wish}"
    return state, said if state == "done" else f"{NOT_DONE[state]}{said[:1].lower()}{said[1:]}"


def _why(row: Row, tool: str) -> str:
    """Of a blocked step: what was to go where, and why it did not."""
    where = f" → {row['destination']}" if row["destination"] else ""
    why = row["said"] or str(row["response"] or "").removeprefix("blocked:").removesuffix("Nothing was sent.").strip()
    return f"{tool}{where}: {why} Nothing was sent."


def _held_back(blocks: Sequence[Block]) -> list[Block]:
    """What was not let out, marked as that."""
    kept = [one for one in blocks if one.title != "Answer"]
    return [one.model_copy(update={"origin": "blocked", "folded": True, "title": "What was held back"}) for one in kept]


def _origin(row: Row) -> Origin:
    """Whose words a tool's answer is. Steps of before 2026-11 only know what the run had read by then."""
    own = row["meta"].get("from")
    if own is None:
        return "own" if row["tool"] in ("sql", "search", "read", "skill") else ORIGINS[row["label"]]
    return ORIGINS[own]


def _note(row: Row, asked: Mapping[str, Any], state: str) -> str:
    count = row["meta"].get("rows")
    if count is not None and row["tool"] in ("sql", "search"):
        return f"{count} row{'' if count == 1 else 's'}" + (
            f", {row['meta']['capped']}" if row["meta"]["capped"] else ""
        )
    if row["tool"] == "http" and str(row["response"]).startswith("HTTP "):
        return str(row["response"]).partition("\n")[0]
    if row["meta"].get("edited"):
        return "you changed it before it went"
    if row["answer"]:
        if state == "refused":  # the sentence says whose word it was
            return _short(row["because"] or "") if row["answer"] != "expired" else ""
        because = f": {_short(row['because'])}" if row["because"] else ""
        return {"approved": "you said yes", "expired": "nobody answered in time"}.get(
            row["answer"], "you said no"
        ) + because
    return str(asked.get("subject", ""))[:SHORT] if row["tool"] == "send_mail" and state == "done" else ""


def secrets(connection: connections.Connection | None) -> list[str]:
    """The names of what the wire adds to its calls."""
    if connection is None:
        return []
    names = {place.secret for place in connection.auth.places}
    return sorted(names | ({f"OAuth of {connection.name}"} if connection.auth.client else set()))


def _looked(row: Row, asked: Mapping[str, Any]) -> list[Block]:
    query = Block(origin="model", form="sql", text=str(asked.get("query", "")))
    return [query, *_table(row)] if row["tool"] == "sql" else _table(row)


def _table(row: Row) -> list[Block]:
    """Rows as `agents.table` wrote them down."""
    header, *lines = str(row["response"] or "").split("\n")
    if row["error"] or not lines:
        return []
    note = lines.pop().strip("()")
    note = "" if re.fullmatch(r"\d+ rows?", note) else note
    rows = tuple(tuple(line.split("\t")) for line in lines)
    columns = tuple(header.split("\t"))
    return [Block(origin=_origin(row), form="table", text=note, columns=columns, rows=rows)] if rows else []


def _mail(row: Row, asked: Mapping[str, Any]) -> list[Block]:
    sent: Mapping[str, Any] = row["asked"] or asked
    origin: Origin = "owner" if row["meta"].get("edited") else "model"
    heads = tuple((name, str(sent.get(key, ""))) for name, key in (("To", "to"), ("Subject", "subject")))
    return [Block(origin=origin, form="mail", text=str(sent.get("body", "")), rows=heads)]


def _request(row: Row, asked: Mapping[str, Any]) -> list[Block]:
    base = str(_object(row["asked"]).get("base", asked.get("_base", ""))).rstrip("/")
    query = "&".join(f"{name}={value}" for name, value in _object(asked.get("query")).items())
    line = f"{str(asked.get('method', '')).upper()} {base}{asked.get('path', '')}" + (f"?{query}" if query else "")
    body = asked.get("body", asked.get("text"))
    parts = [line, body if isinstance(body, str) else _json(body)] if body else [line]
    return [Block(origin="model", form="text", text="\n\n".join(parts)), *_answered(row)]


def _ran(row: Row, asked: Mapping[str, Any]) -> list[Block]:
    return [Block(origin="model", form="text", title="The program", text=str(asked.get("code", ""))), *_answered(row)]


def _noted(row: Row, asked: Mapping[str, Any]) -> list[Block]:
    """What the model wrote itself: a memory, a lesson, its summary."""
    text = str(asked.get("body") or asked.get("summary") or asked.get("text") or asked.get("reason") or "")
    return [Block(origin="model", form="prose", text=text)] if text else []


def _opened(row: Row, asked: Mapping[str, Any]) -> list[Block]:
    return _answered(row)


def _plain(row: Row, asked: Mapping[str, Any]) -> list[Block]:
    given = [Block(origin="model", form="text", text=_json(asked))] if asked else []
    return [*given, *_answered(row)]


def _answered(row: Row) -> list[Block]:
    """What came back, word for word; `outside` text without the marks that are there for the model."""
    text = str(row["response"] or "")
    text = text.replace("<outside>\n", "").replace("\n</outside>", "")
    return [Block(origin=_origin(row), form="text", title="Answer", text=text, folded=len(text) > 400)] if text else []


def _object(value: object) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"


def _quoted(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda asked: f"“{_short(asked.get(key, ''))}”"


def _named(key: str, before: str = "", after: str = "") -> Callable[[Mapping[str, Any]], str]:
    return lambda asked: f"{before}{_short(asked.get(key, ''))}{after}"


def _tables(asked: Mapping[str, Any]) -> str:
    names = asked.get("_tables") or list(dict.fromkeys(READ_FROM.findall(str(asked.get("query", "")))))
    plain = list(dict.fromkeys(VIEWS.get(name, str(name)) for name in names))
    return words.together(plain[:4]) if plain else "the memory"


def _skill(asked: Mapping[str, Any]) -> str:
    file = f", {_short(asked['file'])}" if asked.get("file") else ""
    return f"the skill {_short(asked.get('name', ''))}{file}"


def _outcome(asked: Mapping[str, Any]) -> str:
    return _short(asked.get("outcome", "")).replace("_", " ")


DEEDS: Mapping[str, Deed] = {
    "sql": Deed("look", "Looked at", "look at", _tables),
    "search": Deed("search", "Searched the memory for", "search the memory for", _quoted("words")),
    "read": Deed("read", "Opened", "open", lambda asked: f"row {asked.get('id')} of {_short(asked.get('table'))}"),
    "skill": Deed("skill", "Read", "read", _skill),
    "attachment": Deed("file", "Opened the attachment", "open the attachment", _named("name")),
    "remember": Deed("remember", "Kept in memory:", "keep in memory:", _quoted("subject")),
    "send_mail": Deed("mail", "Sent a mail to", "send a mail to", _named("to")),
    "code": Deed("code", "Ran a program", "run a program", lambda _: ""),
    "finish": Deed("end", "Ended its work:", "end its work:", _outcome),
    "quote": Deed("read", "Opened what run", "open what run", _named("run", after=" drafted")),
    "draft_lesson": Deed("learn", "Drafted a lesson:", "draft a lesson:", _quoted("topic")),
    "retire_lesson": Deed("learn", "Retired the lesson", "retire the lesson", _named("lesson")),
    "set_instructions": Deed("learn", "Proposed new instructions", "propose new instructions", lambda _: ""),
}  # fmt: skip
BLOCKS: Mapping[str, Callable[[Row, Mapping[str, Any]], list[Block]]] = {
    "look": _looked, "search": _looked, "read": _opened, "skill": _opened, "file": _opened, "mail": _mail,
    "http": _request, "code": _ran, "remember": _noted, "learn": _noted, "end": _noted,
}  # fmt: skip


def _of(tool: str) -> Deed:
    if tool in DEEDS:
        return DEEDS[tool]
    if tool == "http":
        return Deed("http", "Asked", "ask", _asked)
    if tool.startswith("propose_"):
        what = tool.removeprefix("propose_").replace("_", " ")
        return Deed("learn", f"Proposed: {what}", f"propose: {what}", lambda _: "")
    server, found, name = tool.partition("__")
    if found:
        return Deed("server", f"Called {name} at {server}", f"call {name} at {server}", lambda _: "")
    return Deed("other", f"Used the tool {_short(tool)}", f"use the tool {_short(tool)}", lambda _: "")


def _asked(asked: Mapping[str, Any]) -> str:
    changes = str(asked.get("method", "")).upper() not in ("GET", "HEAD")
    return f"{_short(asked.get('connection', ''))}{' to change something' if changes else ''}"


def _wish(tool: str, args: object) -> str:
    deed = _of(tool)
    return f"{deed.wish} {deed.thing(_object(args))}".strip()


def act(tool: str, to: str) -> tuple[str, str]:
    """What an act outside is, in a sentence: as a wish (send a mail to ann@example.org), and as done (sent …)."""
    deed = _of(tool)
    thing = f" {to}" if deed.act in ("mail", "http") else ""
    return deed.wish + thing, deed.past[:1].lower() + deed.past[1:] + thing
