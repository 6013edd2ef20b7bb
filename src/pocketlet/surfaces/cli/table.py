"""Every command: its name, where it lives, and its line in `pocketlet --help`.

The lines are kept here so that the help needs no command's module; a test holds them to the commands' own help.
"""

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "demo": ("demo:command", "Shows what Pocketlet does, offline."),
        "up": ("up:command", "Starts Postgres, the worker and the listeners; runs until Ctrl-C."),
        "open": ("opening:command", "Open the pages in a browser, logged in."),
        "down": ("machine:down", "Stop the workers of this machine, and Postgres."),
        "status": ("machine:status", "Show what runs, what waits and what today has cost."),
        "doctor": ("doctor:doctor", "Check the installation, and say what to do about what is wrong."),
    },
    "Work": {
        "agent": ("agent:agent", "Import, export, list, show and remove agents."),
        "today": (
            "slot:today",
            "Show what was due, what ran, what failed, what waits for you, and what comes next.",
        ),
        "trigger": (
            "trigger:trigger",
            "Show, pause and try what starts runs by itself. It is written in agent.toml, under [triggers].",
        ),
        "slot": ("slot:slot", "Show what was due, one row each, and have one done again."),
        "run": ("run:run", "Give an agent a task and wait for what comes of it."),
        "runs": ("show:runs", "List an agent's runs, newest first."),
        "show": ("show:show", "Show all of a run: briefing, lessons, steps, acts and cost."),
        "stop": ("run:stop", "Stop a run before its next act."),
        "retry": ("run:retry", "Let a failed or stopped run go on from its last step."),
        "inbox": ("inbox:inbox", "Show what waits for you and what is wrong, with what to do next."),
        "approvals": ("approvals:approvals", "Show what waits for your answer, word for word."),
        "approve": ("approvals:approve", "Allow what an approval asks for, and wait for what comes of it."),
        "refuse": ("approvals:refuse", "Refuse what an approval asks for, and wait for what comes of it."),
        "rule": (
            "rule:rule",
            "Show and end standing rules: what agents may do unasked (`approve --always` makes one).",
        ),
    },
    "Teach": {
        "chat": ("chat:chat", "Talk to an agent's manager: set it up, ask about its work, change it."),
        "feedback": (
            "feedback:feedback",
            "Say what you think of a run, and see what changes by it.",
        ),
        "backtest": (
            "backtest:backtest",
            "Compare what an agent would have answered with what was answered.",
        ),
        "skill": ("skill:skill", "Install, look at, update, remove and check skills."),
        "revisions": ("revisions:revisions", "List an agent's revisions, newest first."),
        "diff": ("revisions:diff", "Show what changed between two revisions."),
        "adopt": ("revisions:adopt", "Make a drafted revision the current one."),
        "discard": ("revisions:discard", "Turn a drafted revision down."),
        "rollback": ("revisions:rollback", "Go back to an earlier revision."),
        "cases": ("cases:cases", "List the past runs that changes are tried on, and what each must show."),
        "trial": ("trial:trial", "Replay past runs on a revision, with nothing sent and nothing decided."),
        "blame": ("blame:blame", "Show where each line of an agent's playbook comes from, and what it cost."),
        "compare": (
            "compare:compare",
            "Replay past runs on another model: is it as right, and what does a task cost?",
        ),
    },
    "Connect": {
        "connect": ("connect:connect", "Say which services outside your agents may use, and how."),
        "mcp": ("mcp:mcp", "Use tools of MCP servers, after you have reviewed them."),
        "channel": (
            "channel:channel",
            "Say how you are told of problems, questions and results: mail, webhook, Telegram.",
        ),
        "secret": ("secret:secret", "Keep keys and passwords, sealed."),
        "owner": ("owner:owner", "Say who sees which agents, and how they log in."),
        "token": ("token:token", "Let programs use the API: each has scopes, and an end."),
    },
    "Look": {
        "sql": ("sql:sql", "Read an agent's data with one SELECT."),
        "cost": ("cost:cost", "Show where the money went."),
        "audit": ("audit:audit", "Show what was decided and what you changed, and prove that nobody edited it."),
        "bench": ("bench:bench", "Measure how well the gate holds. Needs a checkout of the repository."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
