"""The policy core: each rule by example, the lattice by properties, and every branch of it tried."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet.policy import calls, core, labels

ROOT = Path(__file__).parents[2]
HARSHNESS = ("allow", "ask", "deny")
ANN = calls.Destination("mail", "ann@customer.example")
EVE = calls.Destination("mail", "eve@evil.example")
BOB = calls.Destination("mail", "bob@partner.example")
OWN = "shop@crm.example"
MAIL = calls.Sink("send_mail", "irreversible")
PAY = calls.Sink("pay", "money")
NOTE = calls.Sink("note", "local")
EVENT = calls.Sink("event", "external")
GET = calls.Sink("get", "read")
REPLIES = (calls.Rule(7, "send_mail"),)
CLEAN = calls.Standing("own-data", bound=frozenset({ANN}), own=frozenset({OWN}), rules=REPLIES)
TAINTED = replace(CLEAN, integrity="outside")
ASKED = replace(TAINTED, owners_task=True)
TO_ANN = calls.Call(MAIL, (ANN,), ("Hello.",))
TO_EVE = calls.Call(MAIL, (EVE,), ("Hello.",))


def say(*texts: str) -> calls.Call:
    return replace(TO_ANN, texts=texts)


def sink(call: calls.Call, **changes: str) -> calls.Call:
    return replace(call, sink=replace(call.sink, **changes))


def rule(**changes: object) -> tuple[calls.Rule, ...]:
    return (replace(REPLIES[0], **changes),)


KNOWN = replace(TAINTED, known=frozenset({"https://crm.example/help", "carl@other.example", "2024"}))
PLANNED = replace(TAINTED, plan=frozenset({"note"}))
TABLE: list[tuple[str, calls.Call | None, calls.Standing, str, str]] = [
    ("no such tool", None, CLEAN, "deny", "unknown"),
    ("no such effect", sink(TO_ANN, effect="other"), CLEAN, "deny", "unknown"),
    ("no such label of a run", TO_ANN, replace(CLEAN, integrity="fine"), "deny", "unknown"),
    ("no such secrecy of a run", TO_ANN, replace(CLEAN, secrecy="low"), "deny", "unknown"),
    ("no such secrecy of bytes", replace(TO_ANN, secrecy="low"), CLEAN, "deny", "unknown"),
    ("no such label of a sink", sink(TO_ANN, accepts="any"), CLEAN, "deny", "unknown"),
    ("no such cap of a sink", sink(TO_ANN, secrecy="any"), CLEAN, "deny", "unknown"),
    ("switched off", TO_ANN, replace(CLEAN, off=True), "deny", "off"),
    ("switched off for the owner, too", TO_ANN, replace(ASKED, off=True), "deny", "off"),
    ("no grant", replace(TO_ANN, granted=False), CLEAN, "deny", "no-grant"),
    ("a grant is the owner's", sink(TO_ANN, effect="grant"), replace(CLEAN, integrity="owner"), "deny", "owner-only"),
    ("cap", TO_ANN, replace(CLEAN, spent=True), "deny", "cap"),
    ("secret bytes", replace(TO_ANN, secrecy="secret"), CLEAN, "deny", "secret"),
    ("secret bytes by any sink", sink(replace(TO_ANN, secrecy="secret"), secrecy="secret"), CLEAN, "deny", "secret"),
    ("read too low", sink(TO_ANN, accepts="playbook"), CLEAN, "deny", "integrity"),
    ("read as low as accepted", sink(TO_ANN, accepts="own-data"), CLEAN, "allow", "bound-destination"),
    ("reply", TO_ANN, TAINTED, "allow", "bound-destination"),
    ("reply without a rule", TO_ANN, replace(TAINTED, rules=()), "ask", "send-mail-asks"),
    ("elsewhere", TO_EVE, TAINTED, "deny", "unbound-destination"),
    ("elsewhere, the owner's task", TO_EVE, ASKED, "ask", "unbound-destination"),
    ("elsewhere and here", replace(TO_ANN, destinations=(ANN, EVE)), TAINTED, "deny", "unbound-destination"),
    ("elsewhere, nothing read", TO_EVE, CLEAN, "ask", "send-mail-asks"),
    (
        "another kind of destination",
        calls.Call(MAIL, (calls.Destination("page", ANN.value),)),
        TAINTED,
        "deny",
        "unbound-destination",
    ),
    ("money elsewhere", calls.Call(PAY, (EVE,)), TAINTED, "deny", "unbound-destination"),
    ("money to the bound", calls.Call(PAY, (ANN,)), TAINTED, "ask", "pay-asks"),
    ("an invitation elsewhere", calls.Call(EVENT, (EVE,)), TAINTED, "ask", "unbound-destination"),
    ("an invitation to the bound", calls.Call(EVENT, (ANN,)), TAINTED, "allow", "granted"),
    ("an invitation, nothing read", calls.Call(EVENT, (EVE,)), CLEAN, "allow", "granted"),
    ("a record that nobody named", calls.Call(NOTE, (EVE,)), TAINTED, "ask", "unbound-destination"),
    ("a record without a name", calls.Call(NOTE), TAINTED, "allow", "granted"),
    ("a read from a granted host", calls.Call(GET, (EVE,)), TAINTED, "allow", "granted"),
    ("a foreign address", say("Ask carl@other.example."), TAINTED, "deny", "foreign-address"),
    ("a foreign address in any text", say("Hi", "Ask carl@other.example."), TAINTED, "deny", "foreign-address"),
    ("a foreign address, the owner's task", say("Ask carl@other.example."), ASKED, "ask", "foreign-address"),
    ("a foreign address, nothing read", say("Ask carl@other.example."), CLEAN, "allow", "bound-destination"),
    ("a known address", say("Ask Carl@Other.example."), KNOWN, "allow", "bound-destination"),
    ("the reader's address", say(f"You are {ANN.value}."), TAINTED, "allow", "bound-destination"),
    ("our address", say(f"Write to {OWN}."), TAINTED, "allow", "bound-destination"),
    (
        "a bound person's address",
        say(f"Ask {BOB.value}."),
        replace(TAINTED, bound=frozenset({ANN, BOB})),
        "allow",
        "bound-destination",
    ),
    (
        "the addressee's own address",
        calls.Call(EVENT, (EVE,), (f"With {EVE.value}.",)),
        TAINTED,
        "ask",
        "unbound-destination",
    ),
    ("a foreign link", say("See https://evil.example/x."), TAINTED, "ask", "foreign-link"),
    ("a foreign link, the owner's task", say("See https://evil.example/x."), ASKED, "ask", "foreign-link"),
    ("a foreign link, nothing read", say("See https://evil.example/x."), CLEAN, "allow", "bound-destination"),
    ("a known link", say("See https://crm.example/help."), KNOWN, "allow", "bound-destination"),
    ("more than a known link", say("See https://crm.example/help?q=1."), KNOWN, "ask", "foreign-link"),
    ("a call for something else", TO_ANN, PLANNED, "ask", "not-planned"),
    ("what was called for", calls.Call(NOTE), PLANNED, "allow", "granted"),
    ("an empty plan", calls.Call(NOTE), replace(TAINTED, plan=frozenset()), "ask", "not-planned"),
    ("no plan needed, nothing read", TO_ANN, replace(PLANNED, integrity="own-data"), "allow", "bound-destination"),
    ("a secret was read", TO_ANN, replace(CLEAN, secrecy="secret"), "ask", "secrecy"),
    ("private text to the public", sink(TO_ANN, secrecy="public"), CLEAN, "ask", "secrecy"),
    ("private bytes to the public", sink(TO_ANN, secrecy="public"), replace(CLEAN, secrecy="public"), "ask", "secrecy"),
    (
        "public text to the public",
        sink(replace(TO_ANN, secrecy="public"), secrecy="public"),
        replace(CLEAN, secrecy="public"),
        "allow",
        "bound-destination",
    ),
    ("free text in a request", calls.Call(GET, carried=("2024", "k4rl")), KNOWN, "ask", "free-text"),
    ("known text in a request", calls.Call(GET, carried=("2024",)), KNOWN, "allow", "granted"),
    ("free text, nothing read", calls.Call(GET, carried=("k4rl",)), CLEAN, "allow", "granted"),
    ("a grant to be reviewed", replace(TO_ANN, overdue="due"), CLEAN, "ask", "review-due"),
    ("a grant to be reviewed, the owner's task", replace(TO_ANN, overdue="due"), ASKED, "ask", "review-due"),
    ("a grant to be reviewed, what can be taken back", calls.Call(EVENT, overdue="due"), CLEAN, "ask", "review-due"),
    ("a grant to be reviewed, a read", calls.Call(GET, overdue="due"), CLEAN, "allow", "granted"),
    ("a grant to be reviewed, elsewhere", replace(TO_EVE, overdue="due"), TAINTED, "deny", "unbound-destination"),
    ("a stale rule", TO_ANN, replace(CLEAN, rules=rule(stale=True)), "ask", "send-mail-asks"),
    ("a used-up rule", TO_ANN, replace(CLEAN, rules=rule(left=0)), "ask", "send-mail-asks"),
    ("a rule's last use", TO_ANN, replace(CLEAN, rules=rule(left=1)), "allow", "bound-destination"),
    ("a rule for another tool", TO_ANN, replace(CLEAN, rules=rule(tool="pay")), "ask", "send-mail-asks"),
    ("a rule for nobody", calls.Call(MAIL), CLEAN, "ask", "send-mail-asks"),
    ("a rule for a destination", TO_EVE, replace(CLEAN, rules=rule(destination=EVE)), "allow", "standing-rule"),
    (
        "a rule for one of two",
        replace(TO_ANN, destinations=(ANN, EVE)),
        replace(CLEAN, rules=rule(destination=EVE)),
        "ask",
        "send-mail-asks",
    ),
    ("a rule for elsewhere", TO_ANN, replace(CLEAN, rules=rule(destination=EVE)), "ask", "send-mail-asks"),
    ("a rule binds nothing", TO_EVE, replace(TAINTED, rules=rule(destination=EVE)), "deny", "unbound-destination"),
]


@pytest.mark.parametrize(("call", "standing", "verdict", "name"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_each_rule(call: calls.Call | None, standing: calls.Standing, verdict: str, name: str) -> None:
    decision = core.decide(call, standing)
    assert (decision.verdict, decision.rule) == (verdict, name)
    assert decision.why
    assert (decision.standing_rule == 7) == (name in ("bound-destination", "standing-rule"))


def test_the_first_rule_that_fits_is_counted() -> None:
    standing = replace(CLEAN, rules=(*rule(number=3, stale=True), *rule(number=4), *REPLIES))
    assert core.decide(TO_ANN, standing).standing_rule == 4


def test_a_denial_goes_before_a_question() -> None:
    both = replace(say("https://evil.example/x"), secrecy="secret")
    decision = core.decide(both, replace(PLANNED, plan=frozenset()))
    assert (decision.verdict, decision.rule) == ("deny", "secret")
    late = core.decide(TO_EVE, replace(ASKED, spent=True))
    assert (late.verdict, late.rule) == ("deny", "cap")
    asked_first = core.decide(calls.Call(EVENT, (EVE,), ("carl@other.example",)), TAINTED)
    assert (asked_first.verdict, asked_first.rule) == ("deny", "foreign-address")


def test_a_person_reads_what_is_wrong() -> None:
    assert core.decide(TO_EVE, CLEAN).why.endswith(f" {EVE.value} is not bound to this task.")
    assert "not bound" not in core.decide(TO_ANN, replace(CLEAN, rules=())).why
    assert "payment" in core.decide(calls.Call(PAY, (ANN,)), CLEAN).why
    assert "sent" in core.decide(TO_ANN, replace(CLEAN, rules=())).why
    link = "https://evil.example/" + "x" * 300
    assert core.decide(say(link), TAINTED).why.endswith(": " + link[:200])
    assert core.decide(calls.Call(GET, carried=("y" * 300,)), TAINTED).why.endswith(": " + "y" * 200)
    assert "replies" in core.decide(TO_ANN, CLEAN).why
    assert "replies" not in core.decide(TO_EVE, replace(CLEAN, rules=rule(destination=EVE))).why
    assert core.decide(TO_ANN, replace(CLEAN, rules=())).why.endswith(" back.")


def test_the_first_of_many_is_named() -> None:
    many = core.decide(say(*(f"{letter}@x.example" for letter in "hgfedcba")), TAINTED).why
    assert "8 address" in many
    assert "a@x.example among" in many
    linked = core.decide(say(*(f"https://{letter}.example" for letter in "hgfedcba")), TAINTED).why
    assert linked.endswith(": https://a.example")
    assert core.decide(calls.Call(GET, carried=("one", "two")), TAINTED).why.endswith(": one")
    elsewhere = replace(TO_EVE, destinations=(EVE, BOB))
    assert core.decide(elsewhere, TAINTED).why.startswith(EVE.value)
    assert core.decide(replace(elsewhere, sink=EVENT), TAINTED).why.startswith(EVE.value)
    assert core.decide(elsewhere, CLEAN).why.endswith(f" {EVE.value} is not bound to this task.")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://a.example/b?c=d, and WWW.B.example!", {"https://a.example/b?c=d", "WWW.B.example"}),
        ("(mailto://x) 'ftp://y.z' \"ftp://q.z\" <ssh://h>", {"mailto://x", "ftp://y.z", "ftp://q.z", "ssh://h"}),
        ("bit.ly/xYX and evil.com. Or evil.co.uk/x", {"bit.ly/xYX", "evil.com", "evil.co.uk/x"}),
        ("secure-systems.online; a.b.club", {"secure-systems.online", "a.b.club"}),
        ("ann@customer.com, john.me@x.example, /etc/passwd.com", set()),
        ("e.g. feedback.xlsx v1.2 and/or 1.5/2 Done.Thanks a.com-x", set()),
        ("boese.de, http:\u200b//evil.zz/x 1.2.3.4/x", {"boese.de", "http://evil.zz/x", "1.2.3.4"}),
        ("both https://a.example/x]). end", {"https://a.example/x"}),
    ],
)
def test_links_are_what_programs_make_links_of(text: str, found: set[str]) -> None:
    assert core.links([text]) == found


def test_addresses_are_found_in_any_dress() -> None:
    text = "To: \"Ann\" <Ann.Lee+x@A-b.example>, 'o'neil@x.example' or x@y"
    assert core.addresses([text, "z@q.example"]) == {"ann.lee+x@a-b.example", "o'neil@x.example", "z@q.example"}


def test_long_words_cost_no_time() -> None:
    for word in ("a" * 200_000, "a." * 100_000, "a-" * 100_000, "www" * 60_000):
        assert core.addresses([word]) == set()
        assert core.links([word]) == set()


integrity = st.sampled_from(labels.INTEGRITY)
secrecy = st.sampled_from(labels.SECRECY)
destination = st.sampled_from((ANN, EVE, BOB))
texts = st.lists(st.sampled_from(("Hi", "https://evil.example/x", "carl@other.example", OWN)), max_size=2).map(tuple)
sinks = st.builds(calls.Sink, st.sampled_from(("send_mail", "pay")), st.sampled_from(calls.EFFECTS), integrity, secrecy)
wanted = st.builds(
    calls.Call, sinks, st.lists(destination, max_size=2).map(tuple), texts, texts, secrecy, st.booleans()
)
standing_rules = st.builds(
    calls.Rule, st.integers(1, 9), st.sampled_from(("send_mail", "pay")), st.none() | destination, st.integers(0, 2)
)
standings = st.builds(
    calls.Standing,
    integrity,
    secrecy,
    st.booleans(),
    st.frozensets(destination),
    st.frozensets(st.sampled_from(("Hi", "https://evil.example/x", "carl@other.example"))),
    st.just(frozenset({OWN})),
    st.lists(standing_rules, max_size=2).map(tuple),
    st.none() | st.frozensets(st.sampled_from(("send_mail", "pay"))),
    st.booleans(),
    st.booleans(),
)


def harshness(call: calls.Call | None, standing: calls.Standing) -> int:
    return HARSHNESS.index(core.decide(call, standing).verdict)


@given(call=wanted, standing=standings, read=integrity, held=secrecy)
def test_reading_worse_text_never_makes_a_verdict_milder(
    call: calls.Call, standing: calls.Standing, read: str, held: str
) -> None:
    worse = replace(
        standing,
        integrity=labels.join(standing.integrity, read),
        secrecy=labels.most_secret(standing.secrecy, held),
    )
    assert harshness(call, worse) >= harshness(call, standing)


@given(call=wanted, standing=standings, more=destination, value=st.text(max_size=9))
def test_binding_and_knowing_more_never_makes_it_harsher(
    call: calls.Call, standing: calls.Standing, more: calls.Destination, value: str
) -> None:
    knows = replace(standing, bound=standing.bound | {more}, known=standing.known | {value})
    assert harshness(call, knows) <= harshness(call, standing)


@given(call=wanted, standing=standings, more=standing_rules)
def test_a_standing_rule_never_turns_no_into_yes(call: calls.Call, standing: calls.Standing, more: calls.Rule) -> None:
    before, after = (harshness(call, one) for one in (standing, replace(standing, rules=(*standing.rules, more))))
    assert after == before or (HARSHNESS[before], HARSHNESS[after]) == ("ask", "allow")


@given(call=wanted, standing=standings)
def test_switches_and_unknown_tools_deny_whatever_else_holds(call: calls.Call, standing: calls.Standing) -> None:
    assert core.decide(None, standing).verdict == "deny"
    assert core.decide(call, replace(standing, off=True)).verdict == "deny"
    assert core.decide(call, replace(standing, spent=True)).verdict == "deny"
    assert core.decide(replace(call, granted=False), standing).verdict == "deny"
    assert core.decide(replace(call, secrecy="secret"), standing).verdict == "deny"
    assert core.decide(sink(call, effect="grant"), standing).verdict == "deny"


@given(call=wanted, standing=standings)
def test_what_lasts_is_allowed_by_nothing_but_the_owners_rule(call: calls.Call, standing: calls.Standing) -> None:
    decision = core.decide(call, standing)
    numbers = {one.number for one in standing.rules}
    if decision.verdict == "allow" and call.sink.effect in core.LASTING:
        assert decision.standing_rule in numbers
        assert call.destinations
    else:
        assert decision.standing_rule == 0


@given(one=integrity, other=integrity, third=integrity)
def test_labels_only_worsen(one: str, other: str, third: str) -> None:
    joined = labels.join(one, other)
    assert joined in (one, other)
    assert labels.at_worst(one, joined)
    assert labels.at_worst(other, joined)
    assert labels.join(joined, third) == labels.join(one, labels.join(third, other))


@given(one=secrecy, other=secrecy)
def test_secrecy_only_rises(one: str, other: str) -> None:
    rank = labels.SECRECY.index
    assert rank(labels.most_secret(one, other)) == max(rank(one), rank(other))


def test_the_order_of_labels_is_that_of_the_design() -> None:
    assert labels.INTEGRITY == ("owner", "playbook", "own-data", "outside")
    assert labels.SECRECY == ("public", "private", "secret")
    assert calls.EFFECTS == ("read", "local", "external", "irreversible", "money", "grant")
    with pytest.raises(ValueError):
        labels.join("owner", "unheard-of")


def test_what_is_left_unsaid_is_the_careful_value() -> None:
    assert calls.Sink("x", "read") == calls.Sink("x", "read", "outside", "private")
    assert calls.Call(MAIL) == calls.Call(MAIL, (), (), (), "private", True)
    assert calls.Rule(1, "x") == calls.Rule(1, "x", None, 1, False)
    nothing: frozenset[str] = frozenset()
    assert calls.Standing("owner") == calls.Standing(
        "owner", "private", False, frozenset(), nothing, nothing, (), None, False, False
    )
    assert calls.Decision("deny", "x", "y").standing_rule == 0


def test_it_is_small_and_pure() -> None:
    files = list((ROOT / "src" / "pocketlet" / "policy").glob("*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert text.count("\n") <= 600
    imports = {line for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert {line.split()[1].split(".")[0] for line in imports} <= {
        "re",
        "collections",
        "dataclasses",
        "pocketlet",
        "unicodedata",
    }


def test_every_branch_is_tried(tmp_path: Path) -> None:
    arguments = ["--branch", f"--data-file={tmp_path / 'data'}", "--include=*/pocketlet/policy/*"]
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not every_branch", __file__]
    done = subprocess.run(
        [sys.executable, "-m", "coverage", "run", *arguments, *tests],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    report = ["report", f"--data-file={tmp_path / 'data'}", "--fail-under=100", "--show-missing"]
    done = subprocess.run(
        [sys.executable, "-m", "coverage", *report], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
