"""The gate: what is tried next on a draft, and what is decided on it. Pure: no clock, no database, no model.

A model's outcome on the same task differs in 29 % of repetitions (learning.md, section 2), so one failure says little:
a change is only held up by a stable case that fails three times of three, and is only called proven if the revision in
force fails again where the draft passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ATTEMPTS = 3
NEEDED = 2  # passes of the triggering case
WAVERING, MAJORITY = 5, 3  # where only one of three passes: so many attempts, and passes of them
BEFORE = 2  # further failures of the revision in force that make a fix proven
SAMPLED = 4  # affected stable cases that are tried
MANY = 8  # affected stable cases above which the owner is asked
AIM, MOST = 8, 12  # replays of one candidate
NARROWINGS = 2
OVERHEAD = 3_000  # tokens of the fixed prompt


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a draft before anything is tried. `does`: discard, narrow or ask; `why` is for a person.

    It is narrowed by `facts`, or by making lessons (`spares`: their numbers) an exception to it.
    """

    does: str
    rule: str
    why: str
    facts: tuple[str, ...] = ()
    spares: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """The trials of one case so far."""

    passes: int = 0
    fails: int = 0
    unknown: int = 0

    @property
    def attempts(self) -> int:
        """All of them."""
        return self.passes + self.fails + self.unknown


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a draft.

    `trigger` and `before` are the trials of the triggering case with the draft and with the revision in force, `stable`
    those of the sampled cases. `explicit`: the owner said the rule in so many words. `touched` counts the affected
    stable cases, sampled or not. `spent`: replays of the wider drafts that this one was narrowed from.
    """

    findings: tuple[Finding, ...] = ()
    case: int = 0
    spent: int = 0
    trigger: Tried = field(default_factory=Tried)
    before: Tried = field(default_factory=Tried)
    stable: Mapping[int, Tried] = field(default_factory=dict[int, Tried])
    pinned: frozenset[int] = frozenset()
    touched: int = 0
    narrowings: int = 0
    explicit: bool = True
    owner_decides: bool = False

    @property
    def replays(self) -> int:
        """How many trials this draft has cost."""
        return self.spent + sum(t.attempts for t in (self.trigger, self.before, *self.stable.values()))

    @property
    def fixed(self) -> bool | None:
        """Whether the triggering case passes: two of three, or three of five if one of three does; None: not known."""
        trigger = self.trigger
        wavers = trigger.attempts > ATTEMPTS or (trigger.attempts == ATTEMPTS and trigger.passes == 1)
        needed, most = (MAJORITY, WAVERING) if wavers else (NEEDED, ATTEMPTS)
        if trigger.passes >= needed:
            return True
        return False if trigger.passes + most - trigger.attempts < needed and trigger.attempts >= ATTEMPTS else None

    @property
    def proven(self) -> bool:
        """The draft passes where the revision in force fails again and again."""
        return self.fixed is True and self.before.fails >= BEFORE and not self.before.passes

    @property
    def broken(self) -> tuple[int, ...]:
        """Stable cases that failed every time."""
        return tuple(case for case, tried in self.stable.items() if tried.fails >= ATTEMPTS and not tried.passes)


@dataclass(frozen=True, slots=True)
class Try:
    """One more trial is wanted. `purpose`: trigger, before or regression."""

    purpose: str
    case: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided: adopt, ask, discard, or narrow (then `rule` says after what)."""

    does: str
    rule: str
    why: str


def after(evidence: Evidence) -> Try | Verdict:
    """The next thing to do."""
    return _refused(evidence) or _next_trial(evidence) or _verdict(evidence)


def _refused(evidence: Evidence) -> Verdict | None:
    """What needs no trial."""
    for does in ("discard", "narrow"):
        for finding in evidence.findings:
            if finding.does == does:
                if does == "narrow" and evidence.narrowings >= NARROWINGS:
                    return Verdict("ask", finding.rule, f"{finding.why} It was narrowed {NARROWINGS} times already.")
                return Verdict(does, finding.rule, finding.why)
    return None


def _next_trial(evidence: Evidence) -> Try | None:
    if evidence.replays >= MOST or _unknown(evidence) or evidence.broken:
        return None
    if evidence.case and evidence.fixed is None:
        return Try("trigger", evidence.case)
    if evidence.case and not evidence.fixed:
        return None  # it fixes nothing: what it breaks is of no interest
    for case, tried in evidence.stable.items():
        if not tried.passes and tried.attempts < ATTEMPTS:
            return Try("regression", case)
    before = evidence.before
    undecided = not before.passes and before.attempts < BEFORE
    if evidence.case and undecided and evidence.replays < AIM:
        return Try("before", evidence.case)
    return None


def _unknown(evidence: Evidence) -> bool:
    return any(tried.unknown for tried in (evidence.trigger, evidence.before, *evidence.stable.values()))


def _verdict(evidence: Evidence) -> Verdict:
    if _unknown(evidence):
        return Verdict("ask", "unknown", "A replay could not be carried out, so it says neither yes nor no.")
    if evidence.case and evidence.fixed is False:
        tried = evidence.trigger
        if evidence.explicit and tried.passes >= NEEDED:
            why = f"Your own rule, and the model kept to it in {tried.passes} of {tried.attempts} replays only."
            return Verdict("ask", "wavers", why)
        return Verdict(
            "discard", "not-fixed", f"The case that it is for failed {tried.fails} times of {tried.attempts}."
        )
    if evidence.broken:
        return _broken(evidence)
    if any(not tried.passes for tried in evidence.stable.values()) or (evidence.case and not evidence.fixed):
        return Verdict("ask", "replay-budget", f"{MOST} replays were not enough to tell.")
    return _asked(evidence) or _adopted(evidence)


def _broken(evidence: Evidence) -> Verdict:
    broken = ", ".join(map(str, evidence.broken))
    why = f"Case {broken} failed {ATTEMPTS} times of {ATTEMPTS}."
    if evidence.narrowings < NARROWINGS and not evidence.pinned & set(evidence.broken):
        return Verdict("narrow", "regression", why)
    return Verdict("ask", "regression", why)


def _asked(evidence: Evidence) -> Verdict | None:
    asking = next((finding for finding in evidence.findings if finding.does == "ask"), None)
    if asking:
        return Verdict("ask", asking.rule, asking.why)
    if evidence.touched > MANY:
        return Verdict("ask", "many-cases", f"It changes what {evidence.touched} stable cases are told.")
    if not evidence.explicit and not evidence.proven:
        return Verdict("ask", "unproven", "Nobody said this rule in so many words, and the replays do not prove it.")
    if evidence.owner_decides:
        return Verdict("ask", "owner-decides", "This agent's changes wait for your word.")
    return None


def _adopted(evidence: Evidence) -> Verdict:
    if evidence.proven:
        why = "Fixed where the revision in force fails again; nothing that was right broke."
        return Verdict("adopt", "proven", why)
    return Verdict(
        "adopt", "unproven", "Your own rule; nothing that was right broke. The replays do not prove the fix."
    )
