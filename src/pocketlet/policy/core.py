"""The decision: deny before ask before allow, and what is not known is denied."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from pocketlet.policy import labels
from pocketlet.policy.calls import EFFECTS, Call, Decision, Rule, Standing

#: An address in a text: what mail takes, but for a mark before it, which is a quote more often than not.
#: A part before the @ has at most 64 characters; without a bound a long word takes quadratic time.
ADDRESS = re.compile(r"\w[\w.!#$%&'*+/=?^`{|}~-]{0,63}@[\w-]+(?:\.[\w-]+)+")
#: A link in a text: with a scheme, or as mail and chat programs make one of a bare host: by its path or its ending.
LINK = re.compile(
    r"\b(?:[a-zA-Z][a-zA-Z0-9+.-]{0,30}://|[wW]{3}\.)[^\s<>\"']+"
    r"|(?<![\w@./-])(?:[\w-]+\.)+(?:[a-zA-Z]{2,}/[^\s<>\"']+|(?:[a-z]{2,}|[A-Z]{2,})(?![\w@-]))"
    r"|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"
)
#: Endings of file names, which are no hosts.
FILES = frozenset(
    "csv doc docx eml gif gz htm html jpeg jpg json md odt pdf png ppt pptx tar toml txt xls xlsx xml yaml yml".split()  # noqa: SIM905
)
LASTING = ("irreversible", "money")


def decide(call: Call | None, standing: Standing) -> Decision:
    """The decision on one call; None is a tool that nobody knows."""
    if call is None or call.sink.effect not in EFFECTS:
        return Decision("deny", "unknown", "There is no such tool.")
    if not labels.known(standing.integrity, call.sink.accepts, standing.secrecy, call.secrecy, call.sink.secrecy):
        return Decision("deny", "unknown", "Something here has a label that nobody knows.")
    found = [decision for check in CHECKS if (decision := check(call, standing))]
    denied = next((decision for decision in found if decision.verdict == "deny"), None)
    return denied or next(iter(found), None) or _lasting(call, standing)


def tainted(standing: Standing) -> bool:
    """Whether what the run wants may be a stranger's wish: it has read outside text, whoever gave the task."""
    return standing.integrity == "outside"


def _against(standing: Standing) -> str:
    """What a stranger's wish comes to: the owner who gave the task can be asked, else nobody wanted it."""
    return "ask" if standing.owners_task else "deny"


def addresses(texts: Iterable[str]) -> set[str]:
    """The mail addresses that texts name, in small letters."""
    return {found.lower() for text in texts for found in ADDRESS.findall(plain(text))}


def links(texts: Iterable[str]) -> set[str]:
    """The links that texts hold, without the marks that end a sentence; the names of files are none."""
    found = {match.rstrip(".,;:!?)]}") for text in texts for match in LINK.findall(plain(text))}
    return {link for link in found if "/" in link or link.rpartition(".")[2].lower() not in FILES}


def plain(text: str) -> str:
    """The text as a reader's program takes it: compatible forms of characters as one, and none that does not show."""
    return "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")


def _switched_off(_: Call, standing: Standing) -> Decision | None:
    if standing.off:
        return Decision("deny", "off", "The owner switched this off.")
    return None


def _not_granted(call: Call, _: Standing) -> Decision | None:
    if not call.granted:
        return Decision("deny", "no-grant", f"The owner gave this agent no {call.sink.tool} for that.")
    if call.sink.effect == "grant":
        return Decision("deny", "owner-only", "Only the owner widens what an agent may do.")
    return None


def _cap_reached(_: Call, standing: Standing) -> Decision | None:
    return Decision("deny", "cap", "The cap for today is reached.") if standing.spent else None


def _secret_bytes(call: Call, _: Standing) -> Decision | None:
    return Decision("deny", "secret", "It would carry a secret out.") if call.secrecy == "secret" else None


def _too_low(call: Call, standing: Standing) -> Decision | None:
    if labels.at_worst(standing.integrity, call.sink.accepts):
        return None
    return Decision("deny", "integrity", f"A run that has read {standing.integrity} text may not use {call.sink.tool}.")


def _unbound(call: Call, standing: Standing) -> Decision | None:
    """A stranger's text does not say where bytes go."""
    foreign = [item.value for item in call.destinations if item not in standing.bound]
    if not tainted(standing) or not foreign or call.sink.effect == "read":
        return None
    if call.sink.effect not in LASTING:
        return Decision("ask", "unbound-destination", f"{foreign[0]} is not bound to this task.")
    why = f"{foreign[0]} is neither the sender of this task's mail nor one of the owner's `recipients`."
    return Decision(_against(standing), "unbound-destination", why)


def _foreign_address(call: Call, standing: Standing) -> Decision | None:
    """The text of a tainted run sends nobody to people who have nothing to do with the task."""
    if not tainted(standing):
        return None
    welcome = {item.value for item in (*standing.bound, *call.destinations)} | standing.own | standing.known
    foreign = sorted(addresses(call.texts) - welcome)
    if not foreign:
        return None
    why = f"The text names {len(foreign)} address(es) of other people, {foreign[0]} among them."
    return Decision(_against(standing), "foreign-address", why)


def _foreign_link(call: Call, standing: Standing) -> Decision | None:
    foreign = sorted(links(call.texts) - standing.known) if tainted(standing) else []
    if not foreign:
        return None
    return Decision("ask", "foreign-link", f"The text holds a link that is not the owner's: {foreign[0][:200]}")


def _overdue(call: Call, _: Standing) -> Decision | None:
    """A grant that nobody has looked at for long allows nothing by itself any more, but for reads."""
    return Decision("ask", "review-due", call.overdue) if call.overdue and call.sink.effect != "read" else None


def _not_planned(call: Call, standing: Standing) -> Decision | None:
    if standing.plan is None or not tainted(standing) or call.sink.tool in standing.plan:
        return None
    return Decision("ask", "not-planned", f"Nothing that the owner said calls for {call.sink.tool}.")


def _too_secret(call: Call, standing: Standing) -> Decision | None:
    secrecy = labels.most_secret(call.secrecy, standing.secrecy)
    if labels.SECRECY.index(secrecy) <= labels.SECRECY.index(call.sink.secrecy):
        return None
    return Decision("ask", "secrecy", f"It may carry {secrecy} text out by {call.sink.tool}.")


def _free_text(call: Call, standing: Standing) -> Decision | None:
    """A request carries bytes out even if it only reads."""
    news = [value for value in call.carried if value not in standing.known] if tainted(standing) else []
    if not news:
        return None
    return Decision("ask", "free-text", f"The request carries text that is not bound to this task: {news[0][:200]}")


def _lasting(call: Call, standing: Standing) -> Decision:
    """What can't be taken back needs the owner's word, given now or as a standing rule."""
    if call.sink.effect not in LASTING:
        return Decision("allow", "granted", "The owner allows it.")
    if rule := next((rule for rule in standing.rules if _matches(rule, call, standing)), None):
        why = "The owner allows replies to whoever wrote." if rule.destination is None else "A standing rule allows it."
        return Decision("allow", "bound-destination" if rule.destination is None else "standing-rule", why, rule.number)
    why = "A payment can't be taken back." if call.sink.effect == "money" else "What is sent can't be taken back."
    foreign = [item.value for item in call.destinations if item not in standing.bound]
    why += f" {foreign[0]} is not bound to this task." if foreign else ""
    return Decision("ask", f"{call.sink.tool.replace('_', '-')}-asks", why)


def _matches(rule: Rule, call: Call, standing: Standing) -> bool:
    if rule.tool != call.sink.tool or rule.stale or rule.left < 1 or not call.destinations:
        return False
    wanted = standing.bound if rule.destination is None else {rule.destination}
    return all(item in wanted for item in call.destinations)


Check = Callable[[Call, Standing], Decision | None]
CHECKS: tuple[Check, ...] = (
    _switched_off, _not_granted, _cap_reached, _secret_bytes, _too_low,
    _unbound, _foreign_address, _foreign_link, _overdue, _not_planned, _too_secret, _free_text,
)  # fmt: skip
