"""What the owner has in each suite: records, people, accounts; and what of it no stranger can write."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bench.agentdojo import words
from bench.agentdojo.tools import Tool

from pocketlet.policy import core

SHARED = "External_"


class World:
    """A suite's environment, asked at a run's start for the sets that bind, and later for what an id stands for."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment

    def own(self) -> set[str]:
        """The owner's own addresses."""
        return set()

    def catalogue(self) -> list[str]:
        """Names that a quoted template of the owner's may be filled with."""
        return []

    def designated(self, said: words.Said) -> set[tuple[str, str]]:
        """Destinations, by kind, that trusted words lead to by way of the owner's own records."""
        return set()

    def links(self) -> set[str]:
        """Links in own data."""
        return set()

    def handed_on(self, said: words.Said) -> list[str]:
        """Own data (never outside text) that the owner names exactly and wants followed."""
        return []

    def sink(self, tool: Tool, arguments: Mapping[str, Any]) -> Tool:
        """The tool, as these arguments make it."""
        return tool

    def label(self, name: str, tool: Tool, arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
        """Integrity and secrecy of what a tool returned."""
        return tool.integrity, tool.secrecy

    def stands_for(self, kind: str, value: Any) -> str:
        """A destination in canonical form."""
        if kind in ("mail", "page"):
            return str(value).strip().lower()
        return words.canonical(str(value))

    def implied(self, kind: str, arguments: Mapping[str, Any]) -> list[Any]:
        """A destination that a call has without naming it."""
        return []


def _named(rows: Iterable[tuple[str, str]], number: Any) -> str:
    """The canonical name of the row with that id; none if it is not there, or another row has the name."""
    names = {str(key): words.canonical(name) for key, name in rows}
    name = names.get(str(number), "")
    return name if name and list(names.values()).count(name) == 1 else f"#{number}"


def _titles(environment: Any) -> list[tuple[str, str]]:
    return [(key, event.title) for key, event in environment.calendar.events.items()]


class Workspace(World):
    """Mail, calendar and files. What colleagues' addresses sent is own data; all else was written by who knows whom."""

    def own(self) -> set[str]:
        return {self.environment.inbox.account_email.lower()}

    def designated(self, said: words.Said) -> set[tuple[str, str]]:
        files = [words.canonical(file.filename) for file in self.environment.cloud_drive.files.values()]
        events = [words.canonical(event.title) for event in self.environment.calendar.events.values()]
        found = {("record", name) for name in words.in_part(said, files)}
        found |= {("record", name) for name in self._superlative(said.text)}
        for event in self.environment.calendar.events.values():
            title = words.canonical(event.title)
            if title in said.names and events.count(title) == 1:
                found |= {("mail", address.lower()) for address in event.participants}
        return found | {("mail", address) for address in self._contacts(said)}

    def _superlative(self, text: str) -> set[str]:
        """The largest or smallest file: the owner's choice by a measure that the gate takes itself."""
        found = words.SUPERLATIVE.search(text)
        files = sorted(self.environment.cloud_drive.files.values(), key=lambda file: file.size)
        if not found or found[2].lower() not in ("file", "document") or not files:
            return set()
        return {words.canonical(files[0 if found[1].lower() == "smallest" else -1].filename)}

    def _contacts(self, said: words.Said) -> set[str]:
        """Whom the owner has written to and now names: by full name or first name, if nobody else has it."""
        mails = self.environment.inbox.emails.values()
        sent = {to.lower() for mail in mails if mail.sender.lower() in self.own() for to in mail.recipients}
        names = {address: words.canonical(address.partition("@")[0].replace(".", " ")) for address in sent}
        found: set[str] = set()
        for address, name in names.items():
            first = name.partition(" ")[0]
            alone = [other.partition(" ")[0] for other in names.values()].count(first) == 1
            if name in said.names or (alone and first in said.names):
                found.add(address)
        return found

    def _colleague(self, address: str) -> bool:
        domain = self.environment.inbox.account_email.partition("@")[2].lower()
        return address.lower().endswith(f"@{domain}")

    def handed_on(self, said: words.Said) -> list[str]:
        if not words.HANDED_ON.search(said.text):
            return []
        named = [
            mail
            for mail in self.environment.inbox.emails.values()
            if mail.sender.lower() in said.values and words.canonical(mail.subject) in said.names
        ]
        return [mail.body for mail in named if len(named) == 1 and self._colleague(mail.sender)]

    def sink(self, tool: Tool, arguments: Mapping[str, Any]) -> Tool:
        return _invites(tool, arguments)

    def label(self, name: str, tool: Tool, arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
        if name.endswith("_emails") and all(self._colleague(mail.sender) for mail in result or ()):
            return "own-data", tool.secrecy
        return tool.integrity, tool.secrecy

    def stands_for(self, kind: str, value: Any) -> str:
        if kind == "file":
            files = self.environment.cloud_drive.files.items()
            return _named(((key, file.filename) for key, file in files), value)
        if kind == "event":
            return _named(_titles(self.environment), value)
        if kind == "message":
            mails = self.environment.inbox.emails.items()
            return _named(((key, mail.subject) for key, mail in mails), value)
        return super().stands_for(kind, value)


def _invites(tool: Tool, arguments: Mapping[str, Any]) -> Tool:
    """An event with participants is mailed to them; without, nobody else reads it."""
    if ("mail", "participants") not in tool.to or tool.effect != "local":
        return tool
    return replace(tool, effect="irreversible") if arguments.get("participants") else replace(tool, says=())


class Travel(World):
    """Bookings. Hotels, restaurants and cars are a catalogue; their reviews are written by anybody."""

    def own(self) -> set[str]:
        return {self.environment.user.email.lower()}

    def catalogue(self) -> list[str]:
        there = self.environment
        lists = (there.hotels.hotel_list, there.restaurants.restaurant_list, there.car_rental.company_list)
        return [row.name for rows in lists for row in rows]

    def sink(self, tool: Tool, arguments: Mapping[str, Any]) -> Tool:
        return _invites(tool, arguments)

    def stands_for(self, kind: str, value: Any) -> str:
        if kind == "event":
            return _named(_titles(self.environment), value)
        return super().stands_for(kind, value)


class Banking(World):
    """Accounts. Whom the owner has paid or keeps paying is known; who has paid the owner is not: anybody can."""

    def own(self) -> set[str]:
        return {self.environment.bank_account.iban.casefold()}

    def designated(self, said: words.Said) -> set[tuple[str, str]]:
        bank = self.environment.bank_account
        mine = {"me", bank.iban}
        rows = [*bank.transactions, *bank.scheduled_transactions]
        return {("account", words.canonical(row.recipient)) for row in rows if row.sender in mine}

    def stands_for(self, kind: str, value: Any) -> str:
        if kind == "order":
            rows = self.environment.bank_account.scheduled_transactions
            return _named(((str(row.id), row.subject) for row in rows), value)
        return super().stands_for(kind, value)

    def implied(self, kind: str, arguments: Mapping[str, Any]) -> list[Any]:
        rows = self.environment.bank_account.scheduled_transactions if kind == "account" else ()
        return [row.recipient for row in rows if str(row.id) == str(arguments.get("id"))]


class Slack(World):
    """A workspace of colleagues, whose directory the owner keeps; pages, and channels shared with other companies."""

    def designated(self, said: words.Said) -> set[tuple[str, str]]:
        slack = self.environment.slack
        people = {("person", words.canonical(name)) for name in slack.users}
        return people | {("channel", words.canonical(name)) for name in slack.channels}

    def links(self) -> set[str]:
        slack = self.environment.slack
        inside = [rows for name, rows in slack.channel_inbox.items() if not name.startswith(SHARED)]
        return core.links(row.body for rows in (*inside, *slack.user_inbox.values()) for row in rows)

    def sink(self, tool: Tool, arguments: Mapping[str, Any]) -> Tool:
        shared = str(arguments.get("channel", "")).startswith(SHARED)
        return replace(tool, cap="public") if shared and tool.says else tool

    def label(self, name: str, tool: Tool, arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
        if str(arguments.get("channel", "")).startswith(SHARED):
            return "outside", tool.secrecy
        return tool.integrity, tool.secrecy


WORLDS: Mapping[str, type[World]] = {
    "workspace": Workspace,
    "travel": Travel,
    "banking": Banking,
    "slack": Slack,
}
