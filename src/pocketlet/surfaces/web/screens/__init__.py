"""The pages of the Logbook. Each screen is a module with its routes, and has its templates in `templates/screens`."""

from pocketlet.surfaces.web.screens import (
    approvals,
    cases,
    channels,
    chat,
    connections,
    costs,
    feedback,
    home,
    leave,
    mcp,
    memory,
    playbook,
    run,
    runs,
    screen,
    skills,
    task,
    theme,
    triggers,
)

SCREENS: tuple[screen.Screen, ...] = (
    *home.SCREENS,
    *chat.SCREENS,
    *connections.SCREENS,
    *mcp.SCREENS,
    *channels.SCREENS,
    *runs.SCREENS,
    *task.SCREENS,
    *costs.SCREENS,
    *leave.SCREENS,
    *theme.SCREENS,
    *approvals.SCREENS,
    *feedback.SCREENS,
    *playbook.SCREENS,
    *cases.SCREENS,
    *memory.SCREENS,
    *run.SCREENS,  # after `runs` and `feedback`: their words stand where this one has a number
    *skills.SCREENS,
    *triggers.SCREENS,
)
