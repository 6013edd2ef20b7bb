"""The manager's hat: make one lesson of what the owner said, with expectations that can be checked."""

import re
from dataclasses import dataclass, replace

from . import answer, compose, distortion, family, language, prompt, recipe, scope

MAX_BODY = 400
MAX_TOPIC = 60
TOPIC_WORDS = 6
LESSON = re.compile(r"^- \[lesson ([\w-]+)\] [^:\n]*: (.+?)(?: \(when ([^()]*)\))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson that is in force."""

    name: str | int
    rules: list[language.Rule]
    when: dict[str, str]


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies before the manager: the owner's words, the run's facts and numbers, and the skills' sentences."""

    comment: str
    when: dict[str, str]
    labelled: list[recipe.Sentence]
    situation: language.Situation
    distorted: distortion.Distortion

    @property
    def wanted(self) -> list[language.Rule]:
        """The rules in the owner's words."""
        return language.rules(self.comment)


def act(request: prompt.Request, traits: family.Traits, dice: family.Dice) -> answer.Answer:
    """The next call of a curation run."""
    feedback = prompt.report(request.user)
    if request.result("finish") is not None:
        return answer.Say("Done.")
    if feedback.fields.get("verdict") == "right":
        return _finish("no_change", "The run was right; nothing to learn.")
    distorted = distortion.throw(traits, dice)
    if any(call.name == "draft_lesson" and answer.refused(call.result) for call in request.calls):
        distorted = distortion.NONE  # who was told what is wrong with a lesson writes it as it was said
    desk = _desk(request, feedback, distorted)
    if not desk.comment:
        return _finish("asked", "What should have been different?")
    return next(call for call in _plan(request, desk) if not _made(request, call))


def topic(comment: str) -> str:
    """The first words of what was said."""
    return " ".join(comment.replace(":", "").split()[:TOPIC_WORDS])[:MAX_TOPIC].rstrip(" .,;")


def _desk(request: prompt.Request, feedback: prompt.Report, distorted: distortion.Distortion) -> Desk:
    comment = " ".join(feedback.fields.get("comment", "").split())
    known = scope.declared(request.section("Facts"))
    narrowest = {name: value for name, value in feedback.facts.items() if value in known.get(name, ())}
    refused = bool(feedback.fields.get("refused"))
    return Desk(
        comment,
        narrowest if refused else scope.named(narrowest, comment) or narrowest,
        list(recipe.sentences(request.section("Skills"))),
        _situation(request, feedback),
        # Who was told that a draft is too wide does not draft it as wide again.
        replace(distorted, over=False) if refused else distorted,
    )


def _plan(request: prompt.Request, desk: Desk) -> list[answer.Use]:
    """Everything to call, in this sequence; what was called already is passed over."""
    current = [lesson for lesson in _lessons(request) if lesson.when == desk.when]
    if request.result("draft_lesson") is None and any(_says(lesson, desk.wanted) for lesson in current):
        return [_finish("no_change", "A lesson says so already.")]
    beaten = [lesson for lesson in current if _beats(desk.wanted, lesson, desk.labelled)]
    drafts = _drafts(desk, beaten)
    retirements = [
        answer.Use("retire_lesson", {"lesson": old.name, "reason": f"Contradicted by: {desk.comment}"[:MAX_BODY]})
        for old in beaten
    ]
    results = [request.result("draft_lesson", **draft) for draft in drafts]
    refusal = next(filter(answer.refused, results), None)
    end = _finish("asked", f"The lesson was not taken: {refusal}") if refusal else None
    return [
        *retirements,
        *(answer.Use("draft_lesson", draft) for draft in drafts),
        end or _finish("drafted", str(drafts[0]["body"])),
    ]


def _drafts(desk: Desk, beaten: list[Lesson]) -> list[dict[str, object]]:
    """The lesson, with what stands of those that it takes the place of; as it is distorted, even twice."""
    kept = [
        old.clause
        for lesson in beaten
        for old in lesson.rules
        if not any(_against(new, old, desk.labelled) for new in desk.wanted)
    ]
    distorted, when = desk.distorted, desk.when
    body = _body(distortion.mistaken(desk.comment, desk.labelled) if distorted.wrong else desk.comment, kept)
    if distorted.over:
        body, when = distortion.overgeneral(body, when)
    expect = _expectations(language.rules(body), desk.labelled, desk.situation)
    longer = distortion.repeated(body)
    body = longer if distorted.repeats and len(longer) <= MAX_BODY else body
    lesson: dict[str, object] = {"topic": topic(desk.comment), "body": body, "when": when, "expect": expect}
    again = {**lesson, "topic": f"Once more {lesson['topic']}"[:MAX_TOPIC]}
    return [lesson, again] if distorted.twice else [lesson]


def _made(request: prompt.Request, call: answer.Use) -> bool:
    wanted: dict[str, object] = {"retire_lesson": {"lesson": call.arguments.get("lesson")}}.get(call.tool, {})
    if call.tool == "draft_lesson":
        wanted = call.arguments
    return request.result(call.tool, **wanted) is not None


def _finish(outcome: str, summary: str) -> answer.Use:
    return answer.Use("finish", {"outcome": outcome, "summary": summary})


def _situation(request: prompt.Request, feedback: prompt.Report) -> language.Situation:
    shown = " ".join(re.findall(r"numbers:(.*)", request.user))
    numbers = {name: float(value) for name, value in re.findall(r"(\w+)=(-?\d+(?:\.\d+)?)\b", shown)}
    facts = " ".join(f"{name} {value}" for name, value in feedback.facts.items())
    return language.Situation(numbers, language.words(facts.replace("_", " ")))


def _lessons(request: prompt.Request) -> list[Lesson]:
    return [
        Lesson(
            int(name) if name.isdecimal() else name,
            language.rules(body),
            dict(re.findall(r"(\w+)=([^,\s]+)", when)),
        )
        for name, body, when in LESSON.findall(request.section("Lessons"))
    ]


def _says(lesson: Lesson, wanted: list[language.Rule]) -> bool:
    return bool(wanted) and all(any(new.same_as(old) for old in lesson.rules) for new in wanted)


def _beats(wanted: list[language.Rule], lesson: Lesson, labelled: list[recipe.Sentence]) -> bool:
    return any(_against(new, old, labelled) for new in wanted for old in lesson.rules)


def _against(new: language.Rule, old: language.Rule, labelled: list[recipe.Sentence]) -> bool:
    """Whether a new rule says something else than an old one about the same thing in the same case."""
    about = any(compose.matches(new, sentence) and compose.matches(old, sentence) for sentence in labelled)
    same_thing = about or language.words(new.act) == language.words(old.act)
    return same_thing and new.same_test(old) and not new.same_as(old)


def _body(comment: str, kept: list[str]) -> str:
    body = comment if len(comment) <= MAX_BODY else _whole_sentences(comment[:MAX_BODY])
    for clause in kept:
        longer = f"{body.rstrip('. ')}; {clause}"
        body = longer if len(longer) <= MAX_BODY else body
    return body


def _whole_sentences(cut: str) -> str:
    """What ends in the middle of a sentence, without the beginning of that sentence."""
    return (re.match(r".*[.!?;](?=\s)", cut, re.DOTALL) or [cut])[0]


def _expectations(
    rules: list[language.Rule], labelled: list[recipe.Sentence], situation: language.Situation
) -> list[dict[str, str]]:
    """What the reply must not hold, for each prohibition, and must hold, for each obligation that applies."""
    found: list[dict[str, str]] = []
    applying = [rule for rule in rules if rule.applies(situation)]
    for rule in applying:
        about = [sentence for sentence in labelled if compose.matches(rule, sentence)]
        found.extend(_expectation(rule, s) for s in about if compose.winner(applying, s) is rule)
        if not about and not rule.forbids:
            found.append({"kind": "contains", "text": compose.own_words(rule)})
    return [item for position, item in enumerate(found) if item["text"] and item not in found[:position]]


def _expectation(rule: language.Rule, sentence: recipe.Sentence) -> dict[str, str]:
    if rule.forbids:
        return {"kind": "absent", "text": recipe.SLOT.split(sentence.text)[0].strip()}
    filled = compose.slots(rule, sentence)
    unit = re.search(r"\{\w+\}\s?[^\w\s]*", sentence.text) if filled else None
    return {"kind": "contains", "text": recipe.fill(unit[0] if unit else sentence.text, filled) or ""}
