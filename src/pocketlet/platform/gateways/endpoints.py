"""Which server answers a `provider:name`, with which key: the providers' variables or sealed settings."""

import difflib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from pocketlet import errors

#: Sent to a server on this machine that was given no key, because the providers' clients insist on one.
PLACEHOLDER_KEY = "no-key-is-needed-here"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider is by default, the variables that say otherwise, and whether it insists on a key."""

    base_url: str
    url_names: tuple[str, ...]
    key_names: tuple[str, ...]
    needs_key: bool = True


PROVIDERS = {
    "openai": Provider("https://api.openai.com/v1", ("OPENAI_BASE_URL",), ("OPENAI_API_KEY",)),
    "anthropic": Provider("https://api.anthropic.com", ("ANTHROPIC_BASE_URL",), ("ANTHROPIC_API_KEY",)),
    "google": Provider(
        "https://generativelanguage.googleapis.com",
        ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_BASE_URL"),
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    ),
    "ollama": Provider("http://127.0.0.1:11434/v1", ("OLLAMA_BASE_URL",), ("OLLAMA_API_KEY",), needs_key=False),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model on one server.

    `base_url`: None means the provider's own address. `loopback`: the server is on this machine.
    """

    provider: str
    name: str
    base_url: str | None
    api_key: str = field(repr=False)
    loopback: bool

    @property
    def model(self) -> str:
        """`provider:name`, as it is written in agent.toml."""
        return f"{self.provider}:{self.name}"

    @property
    def url(self) -> str:
        """The base URL that is called."""
        return self.base_url or PROVIDERS[self.provider].base_url

    @property
    def address(self) -> str:
        """Scheme, host and port for messages to people: without any user name, password or path."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def key_name(self) -> str:
        """The variable that gives the key."""
        return PROVIDERS[self.provider].key_names[0]


def resolve(model: str, lookup: Callable[[str], str | None]) -> Endpoint:
    """The endpoint of a `provider:name`; `lookup` gives a variable's value (environment or sealed setting).

    Raises BadSetting for an unknown provider, a malformed model or an unusable base URL or key, and NoModel
    if a server elsewhere needs a key and there is none.
    """
    provider_name, _, name = (part.strip() for part in model.partition(":"))
    if not provider_name or not name:
        raise errors.BadSetting(
            f"A model is written provider:name, not {model!r}.",
            hint=f"For example openai:gpt-5-mini. Providers: {', '.join(PROVIDERS)}.",
        )
    provider = PROVIDERS.get(provider_name)
    if provider is None:
        raise errors.BadSetting(_unknown_provider(provider_name))
    base_url = _base_url(provider, lookup)
    loopback = is_loopback(urlsplit(base_url).hostname or "")
    key = _first(provider.key_names, lookup)[1]
    if key is None and provider.needs_key and not loopback:
        variable = provider.key_names[0]
        raise errors.NoModel(
            f"{model} needs a key and there is none.",
            hint=f"Set {variable}, or seal it with `pocketlet secret set {variable}`.",
        )
    if key is not None and not (key.isascii() and key.isprintable()):
        raise errors.BadSetting(f"{provider.key_names[0]} holds characters that no key has.")
    return Endpoint(provider_name, name, base_url, key or PLACEHOLDER_KEY, loopback)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine: localhost, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _base_url(provider: Provider, lookup: Callable[[str], str | None]) -> str:
    variable, value = _first(provider.url_names, lookup)
    if value is None:
        return provider.base_url
    url = _split(value)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        raise errors.BadSetting(
            f"{variable} is not a base URL.",
            hint="It looks like http://127.0.0.1:11434/v1 or https://host/v1.",
        )
    value = value.rstrip("/")
    # Ollama serves the wire under /v1 and nothing at its root, where its own variables point.
    return f"{value}/v1" if provider is PROVIDERS["ollama"] and url.path in ("", "/") else value


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        return None
    return parts


def _first(names: tuple[str, ...], lookup: Callable[[str], str | None]) -> tuple[str, str | None]:
    """The first of `names` that has a value, with it; an empty value counts as not set."""
    for name in names:
        value = (lookup(name) or "").strip()
        if value:
            return name, value
    return names[0], None


def _unknown_provider(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), PROVIDERS, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no provider {name!r}; the known ones are {', '.join(PROVIDERS)}.{guess}"
