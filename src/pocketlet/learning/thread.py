"""Whose words a mail holds, and which run it belongs to: what was sent instead of a draft, or a reply to a notice.

Text of others is cut off first, without a model: what a customer wrote must not come back as the owner's word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import runs
from pocketlet.db import pool, queries
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases
from pocketlet.platform import installation, messages

Q = queries.load("thread")
QUOTED = re.compile(r"\s*[A-Za-z]{0,3}>")
#: "On 3 Nov 2026, Ann wrote:" as mail clients say it in English, German, French, Spanish, Italian, Dutch, Portuguese.
WROTE = re.compile(r"\b(?:wrote|schrieb|écrit|escribió|scritto|schreef|escreveu)\b[^:]{0,160}:\s*$", re.IGNORECASE)
OPENS = re.compile(r"\s*(?:on|am|le|el|il|op|em)\b", re.IGNORECASE)
ATTRIBUTION_LINES = 3
ATTRIBUTION_LENGTH = 300
#: "-----Original Message-----", "---------- Forwarded message ---------", in any language.
RULED = re.compile(r"\s*-{5,}[ \t]*[^\W\d_][^-\n]{2,60}-{5,}\s*$")
FORWARDED = re.compile(
    r"\s*(?:begin forwarded message|anfang der weitergeleiteten (?:e-mail|nachricht)"
    r"|début du (?:message|e-mail) (?:réexpédié|transféré)|inicio del mensaje reenviado|inizio messaggio inoltrato)"
    r"\s*:",
    re.IGNORECASE,
)
#: The header fields that some clients set above a quote, by what they stand for.
FIELDS = tuple(
    re.compile(rf"\s*\*?(?:{names})\s*\*?\s*:", re.IGNORECASE)
    for names in (
        "from|von|de|da|van",
        "sent|date|gesendet|datum|envoyé|enviado(?: el)?|inviato|verzonden|fecha|data|enviada em",
        "to|an|à|para|a|aan",
        "subject|betreff|objet|asunto|oggetto|onderwerp|assunto",
    )
)
FIELD_LINES = 6
SIGNATURE = re.compile(r"--\s?$")
RULE = re.compile(r"\s*[-_=*]{3,}\s*$")
SENTENCE = re.compile(r"(?<=[.!?])\s+")
WORDS = 3  # in a row that somebody else has written, too, are theirs
#: What a receiving server writes on a mail, and a sending client does not: such a mail may be anybody's.
DELIVERED = re.compile(
    rb"^(?:delivered-to|x-original-to|envelope-to|delivery-date|received-spf|(?:arc-)?authentication-results)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
NOTICE = re.compile(r"notice-(\d{1,18})@")


@dataclass(frozen=True, slots=True)
class Word:
    """What a mail says of a run in the owner's own words; `same`: they are what the run drafted, up to blanks."""

    run: int
    text: str
    same: bool
    message_id: str


def own(text: str, *, others: str = "", draft: str = "") -> str:
    """The writer's own words: without quotes, what stands under them, forwarded parts and the signature.

    A sentence that `others` have written is theirs, however it is marked, unless the agent's `draft` has it too. A line
    directly under a quoted one is taken for the rest of it: clients wrap lines after they have marked them.
    """
    kept: list[str] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at, quoting = 0, False
    while at < len(lines) and not _ends(lines, at):
        head = _attribution(lines, at)
        if head and not _quoted(lines, at + head):
            break  # the quote that it announces has no marks: all the rest is the other's
        quoting = bool(head or QUOTED.match(lines[at]) or (quoting and lines[at].strip()))
        kept += [] if quoting else [lines[at]]
        at += head or 1
    if others:
        kept = _without("\n".join(kept), asserting.folded(others), asserting.folded(draft)).split("\n")
    while kept and (not kept[-1].strip() or RULE.match(kept[-1])):
        kept.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in kept)).strip()


def _ends(lines: Sequence[str], at: int) -> bool:
    """Whether nothing from this line on is the writer's: a signature, a forwarded mail, a block of header fields."""
    line = lines[at]
    if SIGNATURE.fullmatch(line) or RULED.match(line) or FORWARDED.match(line):
        return True
    if not FIELDS[0].match(line):
        return False
    block = lines[at + 1 : at + FIELD_LINES]
    return sum(any(field.match(below) for below in block) for field in FIELDS[1:]) >= 2


def _attribution(lines: Sequence[str], at: int) -> int:
    """How many lines say, from here on, that somebody else's words follow; 0 if none does."""
    if not lines[at].strip() or QUOTED.match(lines[at]):
        return 0
    for count in range(1, ATTRIBUTION_LINES + 1):
        said = " ".join(lines[at : at + count])
        if len(said) > ATTRIBUTION_LENGTH or (count > 1 and not OPENS.match(said)):
            return 0
        if WROTE.search(said) and re.search(r"\d|@", said):
            return count
    return 1 if lines[at].rstrip().endswith(":") and _quoted(lines, at + 1) else 0


def _quoted(lines: Sequence[str], at: int) -> bool:
    """Whether the next line that says something, at most one blank one later, is marked as a quote."""
    following = [line for line in lines[at : at + 2] if line.strip()]
    return bool(following) and QUOTED.match(following[0]) is not None


def _without(text: str, theirs: str, ours: str) -> str:
    """The text without sentences that others wrote: over line ends first, as clients wrap, then within each line."""

    def foreign(sentence: str) -> bool:
        found = asserting.folded(sentence)
        return len(found.split()) >= WORDS and found in theirs and found not in ours

    kept: list[str] = []
    for paragraph in text.split("\n\n"):
        sentences = SENTENCE.split(paragraph)
        own_ones = [sentence for sentence in sentences if not foreign(sentence)]
        lines = (paragraph if len(own_ones) == len(sentences) else "\n".join(own_ones)).split("\n")
        kept.append("\n".join(" ".join(one for one in SENTENCE.split(line) if not foreign(one)) for line in lines))
    return "\n\n".join(kept)


def same(one: str, other: str) -> bool:
    """Whether two texts are equal up to blanks."""
    return one.split() == other.split()


def delivered(raw: bytes) -> bool:
    """Whether a mail came in through a server: then its From is what somebody claims, and proves no owner."""
    head = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    return DELIVERED.search(head) is not None


async def edited(conn: pool.Conn, run: int, text: str) -> str:
    """The owner's version of a run's draft, without what the customer wrote. Raises errors.BadInput, NotFound."""
    found = await runs.load(conn, run)
    return _said(own(text, others=found.input["text"], draft=await draft_of(conn, run)))


async def draft_of(conn: pool.Conn, run: int) -> str:
    """The last mail that a run drafted, or its result if it drafted none; without quotes."""
    done = await cases.work_of(conn, run)
    return own(done.draft) if done.mails else done.result


def _said(text: str) -> str:
    if text:
        return text
    raise errors.BadInput(
        "There is no word of your own in it: all of it is quoted, forwarded or a signature.",
        hint="Write above the quote, or below it after an empty line.",
    )


async def sent(conn: pool.Conn, raw: bytes) -> Word:
    """What really went out in the place of a draft, from the owner's Sent folder.

    Raises errors.BadInput (it is no such mail), errors.NotFound (it answers no mail of a run), errors.Conflict (it was
    taken up already).
    """
    mail = messages.parse(raw)
    instance = await installation.identity(conn)
    if mail.message_id.endswith(f"@{instance}.pocketlet"):
        raise errors.BadInput("This mail was sent by Pocketlet itself: it says nothing new.")
    if delivered(raw):
        raise errors.BadInput(
            "This mail was received, not sent: a server has written its delivery on it.",
            hint="Give the copy in your Sent folder.",
        )
    run = await _answered(conn, mail)
    await _check_new(conn, run, mail.message_id)
    draft = await draft_of(conn, run.id)
    text = _said(own(mail.text, others=run.input["text"], draft=draft))
    return Word(run.id, text, same=same(text, draft), message_id=mail.message_id)


async def _answered(conn: pool.Conn, mail: messages.Message) -> runs.Run:
    """The newest run of the nearest mail in the thread that the mail goes to the sender of."""
    ids = list(dict.fromkeys(one for one in (mail.in_reply_to, *reversed(mail.references)) if one))
    rows = await (await conn.execute(Q["answered"], {"ids": ids})).fetchall()
    hint = "`pocketlet runs AGENT` lists what came in; `--edited FILE` with the run's number does the same."
    if not rows:
        raise errors.NotFound("No run began with a mail that this one answers.", hint=hint)
    to = {address.lower() for address in (*mail.to, *mail.cc)}
    for row in rows:
        if row["sender"] in to and mail.sender.lower() != row["sender"]:
            return await runs.load(conn, row["id"])
    raise errors.NotFound(f"The mail does not go to whom run {rows[0]['id']} had to answer.", hint=hint)


async def _check_new(conn: pool.Conn, run: runs.Run, message_id: str) -> None:
    values = {"agent": run.agent_id, "mail": message_id}
    if message_id and (row := await (await conn.execute(Q["taken"], values)).fetchone()):
        raise errors.Conflict(f"This mail is feedback {row['id']} already.", hint=f"See `pocketlet show {run.id}`.")


async def reply(conn: pool.Conn, agent: agents.Agent | None, raw: bytes) -> Word:
    """The owner's reply to a notice (`<notice-RUN@INSTANCE.pocketlet>`), of this agent or of any.

    That the sender *is* the owner is for the channel to prove (a secret address, DMARC) before it calls this. There is
    no such channel yet: only the owner at the command line gets here. Raises errors.BadInput, errors.NotFound,
    errors.Conflict.
    """
    mail = messages.parse(raw)
    instance = await installation.identity(conn)
    ids = (*mail.references, mail.in_reply_to)
    found = [NOTICE.fullmatch(one.removesuffix(f"{instance}.pocketlet")) for one in ids if one.endswith(".pocketlet")]
    numbers = [int(match[1]) for match in found if match]
    if not numbers:
        raise errors.NotFound("This mail answers no notice of this installation.", hint="Use `pocketlet feedback RUN`.")
    run = await runs.load(conn, numbers[-1])
    if agent and run.agent_id != agent.id:
        raise errors.NotFound(f"{agent.name} has no run {run.id}.")
    await _check_new(conn, run, mail.message_id)
    draft = await draft_of(conn, run.id)  # a notice shows it, so in a reply it is a quote
    text = _said(own(mail.text, others=f"{run.input['text']}\n{draft}"))
    return Word(run.id, text, same=False, message_id=mail.message_id)
