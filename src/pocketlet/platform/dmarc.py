"""DMARC (RFC 9989): what a domain says about mails in its name, and whether another domain may speak for it.

Stricter than the standard in two things, as a pass here makes somebody the owner: of two domains one must be a part of
the other (a.example.com does not speak for b.example.com), and a domain without a record has no say.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

Ask = Callable[[str, str], Awaitable[Sequence[str]]]
#: Steps up from a domain, and where they begin for a longer one (RFC 9989, 4.10).
MOST_STEPS = 8
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Record:
    """What stands at `_dmarc.` of a domain."""

    domain: str
    tags: Mapping[str, str]

    @property
    def policy(self) -> str:
        """What is to be done with mails that fail."""
        return self.tags.get("p", "none").lower()

    def strict(self, kind: str) -> bool:
        """Whether the domains must be the same; `kind`: adkim or aspf."""
        return self.tags.get(kind, "r").lower() == "s"


@dataclass(frozen=True, slots=True)
class Scope:
    """A domain with the record that holds for it, and the domain that it belongs to."""

    domain: str
    organisation: str
    record: Record | None


async def scope(domain: str, ask: Ask) -> Scope:
    """Asks for a domain's record and, upwards, for those above it. Raises what `ask` raises."""
    if not _DOMAIN.fullmatch(domain):
        return Scope(domain, domain, None)
    found = [record for step in _steps(domain) if (record := await _record(step, ask))]
    organisation = _organisation(domain, found)
    holding = [record for record in found if record.domain in (domain, organisation)]
    return Scope(domain, organisation, holding[0] if holding else None)


async def aligned(of: Scope, domain: str, ask: Ask, kind: str) -> bool:
    """Whether a domain that is proven may speak for another one. `kind`: adkim or aspf."""
    if of.record is None or not _DOMAIN.fullmatch(domain):
        return False
    if domain == of.domain:
        return True
    related = domain.endswith(f".{of.domain}") or of.domain.endswith(f".{domain}")
    if not related or of.record.strict(kind):
        return False
    return (await scope(domain, ask)).organisation == of.organisation


def _steps(domain: str) -> list[str]:
    labels = domain.split(".")
    first = [domain]
    if len(labels) > MOST_STEPS:
        labels = labels[-MOST_STEPS:]
    return [*first, *(".".join(labels[at:]) for at in range(1, len(labels)))]


async def _record(domain: str, ask: Ask) -> Record | None:
    texts = await ask(f"_dmarc.{domain}", "TXT")
    found = [tags for text in texts if (tags := _tags(text)) is not None]
    return Record(domain, found[0]) if len(found) == 1 else None


def _tags(text: str) -> dict[str, str] | None:
    """A record's tags; None for any other text."""
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    tags = {name.strip().lower(): value.strip() for name, _, value in parts}
    first = parts[0] if parts else ("", "", "")
    if (first[0].strip().lower(), first[2].strip()) != ("v", "DMARC1") or len(tags) != len(parts):
        return None
    return tags if tags.get("p", "none").lower() in POLICIES else None


def _organisation(domain: str, found: Sequence[Record]) -> str:
    """The domain that an owner has; `found` goes upwards (RFC 9989, 4.10.2)."""
    for record in found:
        mark = record.tags.get("psd", "u").lower()
        if mark == "n":
            return record.domain
        if mark == "y" and record.domain != domain:
            above = len(record.domain.split("."))
            return ".".join(domain.split(".")[-above - 1 :])
    return found[-1].domain if found else domain
