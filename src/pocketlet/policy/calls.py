"""What the policy decides on: a call of a sink, and what the gate itself knows of the run that makes it."""

from dataclasses import dataclass

#: From harmless to harmful. read: nothing changes there, but the request itself carries bytes out; local: only our own
#: rows change; external: it can be taken back; irreversible; money; grant: it widens what somebody may do.
EFFECTS = ("read", "local", "external", "irreversible", "money", "grant")


@dataclass(frozen=True, slots=True)
class Sink:
    """A tool as the way out that it is.

    `accepts`: the worst integrity of a run that may use it at all. `secrecy`: the most secret bytes that may
    leave by it.
    """

    tool: str
    effect: str
    accepts: str = "outside"
    secrecy: str = "private"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where bytes go, in canonical form: a mail address in small letters, connection and operation, server and tool."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Call:
    """What a run wants to do outside.

    `texts` are read by other people; `carried` are the values that a request carries besides (path, query).
    `secrecy` is that of its bytes. `granted`: the owner gave the run's agent this tool, host or server; `overdue` says
    which grant is past its review date, if one is.
    """

    sink: Sink
    destinations: tuple[Destination, ...] = ()
    texts: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    secrecy: str = "private"
    granted: bool = True
    overdue: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A standing rule of the owner: what `tool` may do unasked, at `destination` (None: wherever the task is bound to).

    `left`: how often it may still be used today. `stale`: its review date has passed.
    """

    number: int
    tool: str
    destination: Destination | None = None
    left: int = 1
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gate itself knows of the run: never anything that the model said.

    `owners_task`: the owner gave the task. `bound`: destinations that belong to it: who wrote, whom the owner listed.
    `known`: values that are no news to anybody who may read them: from the owner, the playbook, own data. `own`: the
    agent's addresses. `plan`: the tools that trusted text alone calls for; None if there is no plan.
    `off`: the owner's cut-off switch; `spent`: a cap is reached.
    """

    integrity: str
    secrecy: str = "private"
    owners_task: bool = False
    bound: frozenset[Destination] = frozenset()
    known: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    plan: frozenset[str] | None = None
    off: bool = False
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`verdict`: deny, ask or allow. `rule` names what decided, `why` says it to a person.

    `standing_rule`: the number of the owner's rule that allowed it; 0 if none had to.
    """

    verdict: str
    rule: str
    why: str
    standing_rule: int = 0
