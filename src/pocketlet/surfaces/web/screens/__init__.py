"""The pages of the Logbook. Each screen is a module with its routes, and has its templates in `templates/screens`."""

from pocketlet.surfaces.web.screens import (
    approvals,
    chat,
    connections,
    costs,
    feedback,
    home,
    leave,
    memory,
    playbook,
    run,
    runs,
    screen,
    skills,
    task,
    triggers,
)

SCREENS: tuple[screen.Screen, ...] = (
    *home.SCREENS,
    *chat.SCREENS,
    *connections.SCREENS,
    *runs.SCREENS,
    *task.SCREENS,
    *costs.SCREENS,
    *leave.SCREENS,
    *approvals.SCREENS,
    *feedback.SCREENS,
    *playbook.SCREENS,
    *memory.SCREENS,
    *run.SCREENS,  # after `runs` and `feedback`: their words stand where this one has a number
    *skills.SCREENS,
    *triggers.SCREENS,
)
