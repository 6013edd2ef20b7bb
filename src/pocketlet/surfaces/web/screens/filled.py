"""What addresses and forms say, as the numbers and bodies that endpoints take."""

from typing import TypeVar

import pydantic

from pocketlet import errors

T = TypeVar("T", bound=pydantic.BaseModel)
IDS = range(10**18)
REVISIONS = range(1, 2**31 - 1)


def number(text: str, among: range = IDS) -> int:
    """A number in an address. Raises errors.NotFound for what is none, or none of `among`."""
    if not text.isascii() or not text.isdecimal() or len(text) > 18 or int(text) not in among:
        raise errors.NotFound("There is nothing here.")
    return int(text)


def body(model: type[T], /, **values: object) -> T:
    """A form as what a program would send. Raises errors.BadInput."""
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = " ".join(str(part) for part in first["loc"]) or "The form"
        raise errors.BadInput(f"{place}: {first['msg']}.", hint="Go back and correct it.") from error


def amiss(error: errors.PocketletError) -> str:
    """What is wrong with a form, and what to do about it, for the page that shows it again."""
    return f"{error} {error.hint}".strip()
