"""The tool `code`: Python that the model wrote, run in the sandbox on attachments of the task's mail.

It does nothing outside and keeps nothing, so it is no effect. What it prints is the model's text: it has the label of
the run, and that of the attachments that it was given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pocketlet import errors
from pocketlet.agents import runs, toolbox
from pocketlet.agents import task as tasks
from pocketlet.platform import messages, sandbox
from pocketlet.policy import labels

LIMITS = sandbox.Limits()
SHOWN = 6_000  # characters of what the code printed
COMPLAINTS = 2_000  # characters of stderr, its end
STOPPED = {
    "time": f"it was stopped after {LIMITS.seconds} seconds",
    "cpu": f"it was stopped after {LIMITS.cpu} seconds of computing",
    "output": f"it was stopped after {LIMITS.output} bytes of output",
    "killed": "the system killed it, for want of memory or time",
}


async def _code(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    names: Sequence[object] = args.get("files", [])
    if not all(isinstance(name, str) for name in names):
        raise errors.BadInput("`files` is a list of names.")
    if problems := await sandbox.probe():
        return toolbox.Outcome(error=f"code can't be run here: {problems[0]} Go on without it.")
    files = await _attachments(context, [str(name) for name in names])
    label = labels.join(context.run.label, "outside" if files else "playbook")
    try:
        ran = await sandbox.run(args["code"], files, LIMITS)
    except (errors.Refused, errors.Failed) as error:
        return toolbox.refusal(error, label)
    said = _said(ran)
    said = tasks.quote(said) if label == "outside" else said
    meta = {"exit_code": ran.exit_code, "stopped": ran.stopped}
    if ran.exit_code == 0 and not ran.stopped:
        return toolbox.Outcome(said, label=label, meta=meta)
    why = STOPPED.get(ran.stopped, f"it ended with {ran.exit_code}")
    return toolbox.Outcome(error=f"the code did not work: {why}\n{said}", label=label, meta=meta)


async def _attachments(context: toolbox.Context, names: Sequence[str]) -> dict[str, bytes]:
    if not names:
        return {}
    async with context.database.api() as conn:
        raw = await runs.raw(conn, context.run.id)
    known = {file.name: file for file in messages.parse(raw).attachments} if context.sender.task.kind == "mail" else {}
    if missing := [name for name in names if name not in known]:
        raise errors.NotFound(f"There is no attachment {missing[0]!r}; there are {', '.join(known) or 'none'}.")
    return {name: known[name].content for name in names}


def _said(ran: sandbox.Ran) -> str:
    """What the code printed, as the model reads it."""
    text, complaints = (said.replace("\x00", "").strip() for said in (ran.stdout, ran.stderr))
    parts = [text if len(text) <= SHOWN else f"{text[:SHOWN]}\n[cut: {len(text) - SHOWN} more characters]"]
    if complaints:
        parts.append(f"stderr:\n{complaints[-COMPLAINTS:]}")
    if ran.files:
        parts.append(
            "files (gone now): " + ", ".join(f"{name} ({len(data)} bytes)" for name, data in ran.files.items())
        )
    return "\n".join(part for part in parts if part) or "(it printed nothing)"


CODE = toolbox.Tool(
    "code",
    "Runs Python 3 (standard library only) and gives what it prints: to compute, count, or read tables. It has no "
    "network, no memory of earlier calls, and no files but the attachments that you name, in the current folder.",
    _code,
    {"code": toolbox.text("The program. Print what you need.")},
    {"files": {"type": "array", "items": {"type": "string"}, "description": "Attachments, as listed in the task."}},
)
