"""One frozen set of settings, the only reader of the environment of Pocketlet's own names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from pocketlet import errors

#: Every name that Pocketlet itself reads; providers' own (OPENAI_API_KEY …) go through `provider_environment`.
NAMES = (
    "POCKETLET_HOME",
    "POCKETLET_DATABASE_URL",
    "POCKETLET_MODEL",
    "POCKETLET_SMTP_URL",
    "POCKETLET_MAIL_PORT",
)
ROOT_HOME = Path("/var/lib/pocketlet")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where Pocketlet keeps its things and whom it talks to.

    `home`: the folder with keys, sockets and (if embedded) the cluster. `database_url`: an external Postgres, or
    None for the embedded one. `model`: overrides every agent's `model`. `smtp_url`: where mail leaves
    (`smtp://user:pass@host:port?sent=/path/to/Maildir`). `mail_port`: where `up` listens for mail on loopback.
    """

    home: Path
    database_url: str | None = None
    model: str | None = None
    smtp_url: str | None = None
    mail_port: int = 2525


def default_home() -> Path:
    """The data directory of this user; root's is outside /root, where the server's own user may enter."""
    if os.geteuid() == 0:
        return ROOT_HOME
    return Path(platformdirs.user_data_dir("pocketlet", appauthor=False))


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; an empty value counts as not set."""
    env = os.environ if environ is None else environ
    port = env.get("POCKETLET_MAIL_PORT") or "2525"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise errors.BadSetting(
            f"POCKETLET_MAIL_PORT must be a port number, not {port!r}.", hint="Give 0 to 65535; 0 takes any free port."
        )
    return Settings(
        home=Path(env.get("POCKETLET_HOME") or default_home()).expanduser().absolute(),
        database_url=env.get("POCKETLET_DATABASE_URL") or None,
        model=env.get("POCKETLET_MODEL") or None,
        smtp_url=env.get("POCKETLET_SMTP_URL") or None,
        mail_port=int(port),
    )


def provider_environment() -> Mapping[str, str]:
    """The process environment, for the usual variables of model providers (OPENAI_BASE_URL, ANTHROPIC_API_KEY …)."""
    return os.environ
