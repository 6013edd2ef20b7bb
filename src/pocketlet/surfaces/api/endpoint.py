"""An endpoint: a typed function, and where it is found. The same signature serves programs, pages and the document.

A parameter that the path names is taken from there; `body` is the JSON that was sent; every other one is asked for in
the query, and has a default; where there are many, one called `asked` is a model of them all. The answer is a model.
One that yields `Event`s is a stream.
"""

import inspect
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

import pydantic

PREFIX = "/v1"
T = TypeVar("T")


def _written(value: object) -> object:
    if isinstance(value, str) and "-" not in value[1:5]:
        raise ValueError("a time is written as in RFC 3339")
    return value


#: A time that is asked for, and no number of seconds.
Instant = Annotated[datetime, pydantic.BeforeValidator(_written)]


class Model(pydantic.BaseModel):
    """What is sent or answered: no field more than is said. Money is a decimal string, a time RFC 3339."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    @pydantic.field_serializer("*", mode="wrap", when_used="json")
    def _plain(self, value: object, usual: pydantic.SerializerFunctionWrapHandler):
        """No exponent: 0.0000001, and 0 instead of 0E-9."""
        return f"{value.normalize():f}" if isinstance(value, Decimal) else usual(value)


class Page(Model, Generic[T]):
    """Some of a long list; `next` is the cursor of the following ones, null at the end."""

    items: list[T]
    next: str | None


class Done(Model):
    """It was done; `said` is one sentence on what that means."""

    said: str


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is no JSON: a CSV file, say, of the endpoint's `media`."""

    content: str
    name: str


Answer = pydantic.BaseModel | Text


@dataclass(frozen=True, slots=True)
class Event:
    """One message of a stream. `id`: after which a stream that broke goes on; empty: it says how things stand. Without
    `kind`: a sign of life.
    """

    kind: str
    data: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`scope`: what a token needs for it. `keyed`: a POST that starts something must have an Idempotency-Key.
    `media`: what it answers with, if that is no JSON.
    """

    method: str
    path: str
    scope: str
    work: Callable[..., Awaitable[Answer] | AsyncIterator[Event]]
    status: int = 200
    keyed: bool = False
    media: str = "application/json"
    path_model: type[pydantic.BaseModel] = field(init=False)
    query_model: type[pydantic.BaseModel] = field(init=False)
    body_model: type[pydantic.BaseModel] | None = field(init=False)

    def __post_init__(self) -> None:
        """Reads the signature. Raises TypeError for one that can't be served."""
        hints = get_type_hints(self.work, include_extras=True)
        named = [name for _, name, _, _ in string.Formatter().parse(self.path) if name]
        parameters = list(inspect.signature(self.work).parameters.values())[1:]
        asked = {one.name: one for one in parameters if one.name not in named and one.name not in ("body", "asked")}
        if "asked" in hints and asked:
            raise TypeError(f"{self.method} {self.path}: what is asked for stands in one place")
        missing = [one.name for one in asked.values() if one.default is inspect.Parameter.empty]
        if missing or not set(named) <= hints.keys():
            raise TypeError(f"{self.method} {self.path}: no default or no place for {missing or named}")
        set_ = object.__setattr__
        set_(self, "path_model", _model("Path", {name: (hints[name], ...) for name in named}))
        fields = {name: (hints[name], one.default) for name, one in asked.items()}
        set_(self, "query_model", hints.get("asked") or _model("Query", fields))
        set_(self, "body_model", hints.get("body"))

    @property
    def name(self) -> str:
        """Module and function: `runs.show`."""
        return f"{self.work.__module__.rpartition('.')[2]}.{self.work.__name__}"

    @property
    def gathers(self) -> bool:
        """Whether it takes the whole query as one model, `asked`."""
        return "asked" in get_type_hints(self.work)

    @property
    def streams(self) -> bool:
        """Whether it yields events for as long as somebody listens."""
        return inspect.isasyncgenfunction(self.work)

    @property
    def answer(self) -> Any:
        """The model of the answer."""
        return get_type_hints(self.work)["return"]


def _model(name: str, fields: dict[str, Any]) -> type[pydantic.BaseModel]:
    return pydantic.create_model(name, __config__=pydantic.ConfigDict(extra="forbid"), **fields)
