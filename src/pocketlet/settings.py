"""One frozen set of settings, the only reader of the environment of Pocketlet's own names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from pocketlet import errors

#: Every name that Pocketlet itself reads; providers' own (OPENAI_API_KEY …) go through `provider_environment`.
NAMES = (
    "POCKETLET_HOME",
    "POCKETLET_DATABASE_URL",
    "POCKETLET_MODEL",
    "POCKETLET_SMTP_URL",
    "POCKETLET_MAIL_PORT",
    "POCKETLET_PORT",
    "POCKETLET_URL",
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ROOT_HOME = Path("/var/lib/pocketlet")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where Pocketlet keeps its things and whom it talks to.

    `home`: the folder with keys, sockets and (if embedded) the cluster. `database_url`: an external Postgres, or
    None for the embedded one. `model`: overrides every agent's `model`. `smtp_url`: where mail leaves
    (`smtp://user:pass@host:port?sent=/path/to/Maildir`). `mail_port`: where `up` listens for mail on loopback;
    `port`: for webhooks and pages. `url`: where those are reached from outside (`https://host`), if they are.
    """

    home: Path
    database_url: str | None = None
    model: str | None = None
    smtp_url: str | None = None
    mail_port: int = 2525
    port: int = 8484
    url: str | None = None


def default_home() -> Path:
    """The data directory of this user; root's is outside /root, where the server's own user may enter."""
    if os.geteuid() == 0:
        return ROOT_HOME
    return Path(platformdirs.user_data_dir("pocketlet", appauthor=False))


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; an empty value counts as not set."""
    env = os.environ if environ is None else environ
    return Settings(
        home=Path(env.get("POCKETLET_HOME") or default_home()).expanduser().absolute(),
        database_url=env.get("POCKETLET_DATABASE_URL") or None,
        model=env.get("POCKETLET_MODEL") or None,
        smtp_url=env.get("POCKETLET_SMTP_URL") or None,
        mail_port=_port(env, "POCKETLET_MAIL_PORT", "2525"),
        port=_port(env, "POCKETLET_PORT", "8484"),
        url=_url(env.get("POCKETLET_URL") or ""),
    )


def _port(env: Mapping[str, str], name: str, default: str) -> int:
    port = env.get(name) or default
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise errors.BadSetting(
            f"{name} must be a port number, not {port!r}.", hint="Give 0 to 65535; 0 takes any free port."
        )
    return int(port)


def _url(given: str) -> str | None:
    """Without a last `/`. Links carry a secret, and browsers mark our own forms only where they trust the way."""
    if not given:
        return None
    try:
        parts = urlsplit(given)
        host, named = parts.hostname, parts.port is None or parts.port > 0
    except ValueError:
        host, named, parts = None, False, urlsplit("")
    bare = f"{parts.scheme}://{parts.netloc}"
    trusted = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    if not host or not named or not trusted or "@" in parts.netloc or given.rstrip("/") != bare or not given.isascii():
        raise errors.BadSetting(
            "POCKETLET_URL must be an address such as https://agents.example.com.",
            hint="Give scheme, host and, if need be, port; http:// only for this machine itself.",
        )
    return bare.lower()


def crash_at() -> str:
    """Where a test wants this process to die (`crashing.arm`); empty everywhere else."""
    return os.environ.get("CRASH_AT", "")


def provider_environment() -> Mapping[str, str]:
    """The process environment, for the usual variables of model providers (OPENAI_BASE_URL, ANTHROPIC_API_KEY …)."""
    return os.environ
