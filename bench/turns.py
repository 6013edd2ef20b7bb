"""CPU of our own process for one model call, by the number of turns before it: the ratio to a call without history."""

import asyncio
import subprocess
import sys
import time

from pocketlet.platform.gateways import endpoints, models

CALLS = 20
HISTORY = (0, 50, 150, 400)
TOOL = models.Tool("look", "Looks.", {"type": "object", "properties": {}, "additionalProperties": False})


def request(turns: tuple[models.Turn, ...]) -> models.Request:
    """A request with that history."""
    return models.Request("You look.", "# Task\ntrigger: text\nfacts: \n\nLook.", turns, (TOOL,), 100)


def turn(number: int) -> models.Turn:
    """One past reply with a tool call, as the journal keeps it, and its result."""
    call = {"part_kind": "tool-call", "tool_name": "look", "args": "{}", "tool_call_id": f"call_{number}"}
    return models.Turn({"parts": [call], "kind": "response"}, (models.ToolResult(f"call_{number}", "look", "x" * 200),))


async def main(url: str) -> None:
    """Prints the CPU per call, and the ratio to the first line."""
    gateway = models.Gateway()
    endpoint = endpoints.resolve("openai:standin", {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}.get)
    await gateway.complete(endpoint, request(()))  # imports
    first = 0.0
    for length in HISTORY:
        history = tuple(turn(number) for number in range(length))
        began = time.process_time()
        for _ in range(CALLS):
            await gateway.complete(endpoint, request(history))
        cpu = (time.process_time() - began) * 1000 / CALLS
        first = first or cpu
        print(f"{length:4} turns before it  {cpu:6.2f} ms CPU a call   {cpu / first:4.1f} x")
    await gateway.aclose()


with subprocess.Popen([sys.executable, "-m", "pocketlet.demo.standin"], stdout=subprocess.PIPE, text=True) as standin:
    try:
        asyncio.run(main(standin.stdout.readline().split()[-1]))
    finally:
        standin.terminate()
