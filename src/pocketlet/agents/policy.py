"""Whether an outside action may happen: deny before ask before allow. Pure: no clock, no database, no network."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: An address in a text: what `compose.address` takes, but for a mark before it, which is a quote more often than not.
ADDRESS = re.compile(r"\w[\w.!#$%&'*+/=?^`{|}~-]*@[\w-]+(?:\.[\w-]+)+")
ORDER = ("owner", "playbook", "own-data", "outside")


@dataclass(frozen=True, slots=True)
class Decision:
    """`verdict`: deny, ask or allow. `rule` names what decided, `why` says it to a person."""

    verdict: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that a run wants to send."""

    to: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gate itself knows of the run: its label, whether the owner gave the task, the addresses bound for it.

    Bound are the sender of the mail that triggered the run and the recipients the owner listed; nothing that the
    model or a Reply-To header says binds an address. The addresses are in lower case.
    """

    label: str
    owners_task: bool
    bound: frozenset[str]
    own: frozenset[str]
    approvals: Mapping[str, str]


def join(*labels: str) -> str:
    """The worst of the labels: the label of whoever has read all of it."""
    return max(labels, key=ORDER.index)


def on_mail(mail: Mail, standing: Standing) -> Decision:
    """The decision on one mail."""
    tainted = standing.label == "outside" and not standing.owners_task  # else the owner is asked, whatever was read
    bound = mail.to.lower() in standing.bound
    if tainted and not bound:
        why = f"{mail.to} is neither the sender of this task's mail nor one of the owner's `recipients`."
        return Decision("deny", "unbound-destination", why)
    named = {address.lower() for address in ADDRESS.findall(f"{mail.subject}\n{mail.body}")}
    foreign = sorted(named - standing.bound - standing.own - {mail.to.lower()})
    if tainted and foreign:
        why = f"The text names {len(foreign)} address(es) of other people, {foreign[0]} among them."
        return Decision("deny", "foreign-address", why)
    if standing.approvals.get("send_mail") == "allow" and bound:
        return Decision("allow", "bound-destination", "The owner allows replies to whoever wrote.")
    why = "A mail can't be taken back."
    if not bound:
        why += f" {mail.to} is not bound to this task."
    return Decision("ask", "send-mail-asks", why)
