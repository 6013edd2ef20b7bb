"""What one run is asked to do: a mail message, a JSON document or plain text, and the facts that show in it."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import manifest as manifests
from pocketlet.platform import messages

MAILISH = re.compile(rb"(?im)^\s*(?:\xef\xbb\xbf)?(?:from|to|received|return-path|message-id|subject)[ \t]*:")
#: The beginning of anything that could be read as one of our marks, whatever stands between bracket and word.
MARK = re.compile(r"<(?=[^\w<>]{0,20}outside)", re.IGNORECASE)
#: A link that answers a question, however a mail program wrote it down (agents.links makes them).
LINK = re.compile(r"(/|%2F)decide(/|%2F)\d{1,18}\.[\w-]{43}", re.IGNORECASE)
MAX_INPUT = 25_000_000  # bytes
MAX_TEXT = 40_000  # characters that a briefing shows; the rest is cut and said so


@dataclass(frozen=True, slots=True)
class Task:
    """`kind`: mail, json or text, or the kind of its trigger. `label`: outside for mail, whoever sent it; owner for
    what the owner typed or gave; playbook for the words of a schedule.

    For mail the header fields are filled; `attachments` maps a name to its media type and size in bytes. `order`: the
    owner's words, in agent.toml, on what to do with what came.
    """

    kind: str
    text: str
    label: str
    sender: str = ""
    sender_name: str = ""
    to: str = ""
    subject: str = ""
    message_id: str = ""
    references: tuple[str, ...] = ()
    attachments: tuple[tuple[str, str, int], ...] = ()
    notes: tuple[str, ...] = ()
    order: str = ""

    def record(self) -> dict[str, Any]:
        """As JSON, for the run's row."""
        record = asdict(self)
        return record if self.order else {key: value for key, value in record.items() if key != "order"}


def from_record(record: Mapping[str, Any]) -> Task:
    """The task of a run's row."""
    fields = dict(record)
    fields["references"] = tuple(fields["references"])
    fields["notes"] = tuple(fields["notes"])
    fields["attachments"] = tuple((name, kind, size) for name, kind, size in fields["attachments"])
    return Task(**fields)


def read(raw: bytes) -> Task:
    """What the bytes are: a mail message, a JSON document or text. Raises errors.BadInput in one sentence."""
    if len(raw) > MAX_INPUT:
        raise errors.BadInput(f"The input is larger than {MAX_INPUT // 1_000_000} MB.")
    if not raw.strip():
        raise errors.BadInput("The input is empty.", hint="Give a text, a JSON document or a mail message.")
    if messages.looks_like_mail(raw):
        return from_mail(raw)
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\x00", "")
    except UnicodeDecodeError as error:
        raise errors.BadInput(f"The input is neither a mail message nor UTF-8 text (byte {error.start}).") from error
    if text.lstrip()[:1] in "{[":
        try:
            document = json.dumps(json.loads(text), ensure_ascii=False, indent=1)
        except ValueError as error:
            raise errors.BadInput(f"The input looks like JSON and is not: {error}.") from error
        except RecursionError as error:
            raise errors.BadInput("The input is JSON that is nested too deeply.") from error
        return Task("json", document, _label(raw))
    return Task("text", text.strip(), _label(raw))


def _label(raw: bytes) -> str:
    """What the owner gave is the owner's, unless it looks like somebody's mail that only fails to be a proper one."""
    return "outside" if MAILISH.search(raw) else "owner"


def from_mail(raw: bytes) -> Task:
    """A mail message, of whatever sender. Raises errors.BadInput."""
    mail = messages.parse(raw)
    return Task(
        "mail",
        without_links(mail.text),
        "outside",
        sender=mail.sender,
        sender_name=mail.sender_name,
        to=", ".join(mail.to),
        subject=without_links(mail.subject),
        message_id=mail.message_id,
        references=(*mail.references, *([mail.message_id] if mail.message_id else [])),
        attachments=tuple((file.name, file.media_type, file.size) for file in mail.attachments),
        notes=mail.notes,
    )


def without_links(text: str) -> str:
    """The text without what makes a link of ours answer a question: who reads it must not be able to."""
    return LINK.sub(r"\1decide\2[removed]", text)


def facts(task: Task, manifest: manifests.Manifest) -> dict[str, str]:
    """Typed facts, found without a model: the kind of trigger, and each declared fact by the words that show it."""
    found = {"trigger": task.kind}
    seen = f"{task.subject}\n{task.text}".lower()
    for fact, values in manifest.facts.items():
        found[fact] = next((value for value, words in values.items() if _shows(words, seen)), "other")
    return found


def _shows(words: tuple[str, ...], text: str) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", text) for word in words if word)


def render(task: Task, found: Mapping[str, str]) -> str:
    """The task as the model reads it. The text stands between marks that it can't forge; header fields are one line."""
    lines = ["# Task", f"trigger: {task.kind}"]
    if task.kind == "mail":
        sender = f"{task.sender_name} <{task.sender}>" if task.sender_name else task.sender
        lines += [f"from: {_line(sender)}", f"to: {_line(task.to)}", f"subject: {_line(task.subject)}"]
    lines += [f"attachment: {_line(name)} ({kind}, {size} bytes)" for name, kind, size in task.attachments]
    lines.append("facts: " + ", ".join(f"{key}={value}" for key, value in sorted(found.items()) if key != "trigger"))
    if task.order:
        lines += ["", task.order]
    if task.label == "outside":
        return "\n".join([*lines, quote(task.text)])
    return "\n".join([*lines, "", _cut(task.text)])


def quote(text: str) -> str:
    """Outside text between its marks; a mark inside the text is broken up."""
    return "<outside>\n" + MARK.sub("&lt;", _cut(text)) + "\n</outside>"


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text.strip()
    return text[:MAX_TEXT].strip() + f"\n[cut: {len(text) - MAX_TEXT} more characters]"


def _line(text: str) -> str:
    return MARK.sub("&lt;", " ".join(text.split()))[:500]
