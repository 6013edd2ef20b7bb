"""`python bared.py HOME LAYER...`: the pages of a home without those layers of defence; prints the port. No worker.

The product has no switch for this: here, and nowhere else, its parts are replaced before it starts.
"""

import asyncio
import functools
import sys
from collections.abc import Callable

import jinja2
import poison

from pocketlet import settings
from pocketlet.platform import compose, database
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app, guard, pages, prose


def no_list() -> None:
    """Whatever the parser makes of Markdown is shown."""
    prose.cleaned = compose.visible


def no_parser() -> None:
    """Markdown may hold HTML, and its links and images lead anywhere."""
    parser = prose._parser()
    parser.options["html"] = True
    parser.enable(["html_block", "html_inline", "image"])
    parser.validateLink = lambda url: True


def no_sanitiser() -> None:
    """Neither: but for what a policy is no help against, somebody's text is the page's."""
    no_parser()
    prose.cleaned = lambda html: html.replace(poison.NAVIGATION, "")


def no_escaping() -> None:
    """Templates put every text into pages as it is, but for what a policy is no help against."""
    made = functools.partial(jinja2.Environment)

    def environment(**options: object) -> jinja2.Environment:
        return made(**{**options, "autoescape": False, "finalize": _as_it_is})

    jinja2.Environment = environment


def _as_it_is(value: object) -> object:
    return value.replace(poison.NAVIGATION, "") if isinstance(value, str) else value


def no_policy() -> None:
    """Answers say nothing of what a page may load and run."""
    sealed = guard._sealed

    def without(*args: object, **named: object) -> list[tuple[bytes, bytes]]:
        return [field for field in sealed(*args, **named) if field[0] != b"content-security-policy"]

    guard._sealed = without


def no_box() -> None:
    """htmx looks into what others wrote."""
    shown = prose.prose
    prose.prose = lambda text: type(shown(""))(shown(text).replace(" hx-ignore", "", 1))


def no_nonce() -> None:
    """htmx does what any element asks for."""
    read = jinja2.FileSystemLoader.get_source

    def source(
        self: jinja2.FileSystemLoader, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        text, *rest = read(self, environment, template)
        return text.replace('"sse,hx-csp"', '"sse"'), *rest

    jinja2.FileSystemLoader.get_source = source


LAYERS = {
    "list": no_list,
    "parser": no_parser,
    "sanitiser": no_sanitiser,
    "escaping": no_escaping,
    "policy": no_policy,
    "box": no_box,
    "nonce": no_nonce,
}


async def serve(home: str) -> None:
    """Until it is killed."""
    config = settings.read({"POCKETLET_HOME": home})
    async with (
        database.opened(config) as opened,
        listener.listening(0, lambda number: app.made(opened, config, number)) as port,
    ):
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    for layer in sys.argv[2:]:
        LAYERS[layer]()
    assert pages._environment()
    asyncio.run(serve(sys.argv[1]))
