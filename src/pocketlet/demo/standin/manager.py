"""The manager's hat: make one lesson of what the owner said, with expectations that can be checked."""

import re
from dataclasses import dataclass

from . import answer, compose, language, prompt, recipe

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


def act(request: prompt.Request) -> answer.Answer:
    """The next call of a curation run."""
    feedback = prompt.report(request.user)
    comment = " ".join(feedback.fields.get("comment", "").split())
    if request.result("finish") is not None:
        return answer.Say("Done.")
    if feedback.fields.get("verdict") == "right":
        return _finish("no_change", "The run was right; nothing to learn.")
    if not comment:
        return _finish("asked", "What should have been different?")
    return next(call for call in _plan(request, feedback, comment) if not _made(request, call))


def _plan(request: prompt.Request, feedback: prompt.Report, comment: str) -> list[answer.Use]:
    """Everything to call, in this sequence; what was called already is passed over."""
    when = _when(request, feedback)
    labelled = list(recipe.sentences(request.section("Skills")))
    wanted = language.rules(comment)
    current = [lesson for lesson in _lessons(request) if lesson.when == when]
    drafted = request.result("draft_lesson")
    if drafted is None and any(_says(lesson, wanted) for lesson in current):
        return [_finish("no_change", "A lesson says so already.")]
    beaten = [lesson for lesson in current if _beats(wanted, lesson, labelled)]
    kept = [old for lesson in beaten for old in lesson.rules if not any(_against(new, old, labelled) for new in wanted)]
    body = _body(comment, [rule.clause for rule in kept])
    lesson: dict[str, object] = {
        "topic": " ".join(comment.replace(":", "").split()[:TOPIC_WORDS])[:MAX_TOPIC].rstrip(" .,;"),
        "body": body,
        "when": when,
        "expect": _expectations(language.rules(body), labelled, _situation(request, feedback)),
    }
    retirements = [
        answer.Use("retire_lesson", {"lesson": old.name, "reason": f"Contradicted by: {comment}"[:MAX_BODY]})
        for old in beaten
    ]
    refused = (drafted or "").startswith(("error:", "refused:", "blocked:"))
    end = _finish("asked", f"The lesson was not taken: {drafted}") if refused else _finish("drafted", body)
    return [*retirements, answer.Use("draft_lesson", lesson), end]


def _made(request: prompt.Request, call: answer.Use) -> bool:
    if call.tool == "retire_lesson":
        return request.result(call.tool, lesson=call.arguments["lesson"]) is not None
    return request.result(call.tool) is not None


def _finish(outcome: str, summary: str) -> answer.Use:
    return answer.Use("finish", {"outcome": outcome, "summary": summary})


def _situation(request: prompt.Request, feedback: prompt.Report) -> language.Situation:
    shown = " ".join(re.findall(r"numbers:(.*)", request.user))
    numbers = {name: float(value) for name, value in re.findall(r"(\w+)=(-?\d+(?:\.\d+)?)\b", shown)}
    return language.Situation(numbers, language.words(" ".join(feedback.facts.values()).replace("_", " ")))


def _when(request: prompt.Request, feedback: prompt.Report) -> dict[str, str]:
    declared = dict(re.findall(r"^- (\w+):[ \t]*(.*)$", request.section("Facts"), re.MULTILINE))
    known = {name: {value.strip() for value in values.split(",")} for name, values in declared.items()}
    return {name: value for name, value in feedback.facts.items() if value in known.get(name, ())}


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
    body = comment[:MAX_BODY]
    for clause in kept:
        longer = f"{body.rstrip('. ')}; {clause}"
        body = longer if len(longer) <= MAX_BODY else body
    return body


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
