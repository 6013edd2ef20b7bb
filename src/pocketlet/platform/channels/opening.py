"""Opens a channel: its row together with its secret, out of the vault, and with keys that come from the key file."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import installation, vault
from pocketlet.platform.channels import definitions, mail, telegram, webhook
from pocketlet.platform.gateways import submission


@dataclass(frozen=True, slots=True)
class Post:
    """What telling needs of the world: the home with the key file, the mail server, and the URL that people reach the
    web surface by, if there is one (`https://pocketlet.example`).
    """

    home: Path
    server: submission.Submission | None = None
    url: str | None = None


def derived(home: Path, purpose: str) -> bytes:
    """A key for one purpose, made of the installation's key and never that itself. `secret rekey` changes it."""
    source = vault.key(home)[: vault.KEY_BYTES]
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"pocketlet {purpose}".encode()).derive(source)


async def channel(conn: pool.Conn, definition: definitions.Definition, post: Post) -> definitions.Channel:
    """Raises errors.NotFound (the secret is gone), errors.BadSetting (it has not the form of one), errors.Failed."""
    match definition.kind:
        case "mail":
            instance = await installation.identity(conn)
            return mail.Mail(definition, post.server, instance, derived(post.home, "mail"))
        case "telegram":
            return telegram.Telegram(definition, telegram.token(await _secret(conn, definition, post)))
        case _:
            key = webhook.key(await _secret(conn, definition, post)) if definition.secret else None
            return webhook.Webhook(definition, key)


def check_secret(kind: str, value: str) -> None:
    """Raises errors.BadSetting, errors.BadInput unless a channel of this kind can be opened with the value."""
    match kind:
        case "telegram":
            telegram.token(value)
        case "webhook":
            webhook.key(value)
        case _:
            raise errors.BadInput("A channel of this kind takes no secret.")


async def _secret(conn: pool.Conn, definition: definitions.Definition, post: Post) -> str:
    name = definition.secret or ""
    found = await vault.opened(conn, vault.key(post.home))
    if name not in found:
        raise errors.NotFound(f"There is no secret {name!r}.", hint=f"`pocketlet secret set {name}` seals it.")
    await vault.used(conn, [name])
    return found[name]
