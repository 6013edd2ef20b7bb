"""`python -m bench.adversary.model`: the adversary as a model server, on OpenAI's chat-completions wire."""

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any, TextIO

from bench.adversary import grammar

from pocketlet.demo.standin import __main__ as standin

#: Of a call; a server may say the same one twice, or what no file name and no database takes.
IDS = ("call", "\x00", "x" * 5_000, "\u202ecall", "effect-1")
FINISHES = ("stop", "length", "content_filter", "function_call", "approved")


class Server:
    """Answers from the grammar. `lies`: now and then about what was used; `faults`: now and then it is no answer.

    Whatever it is told is written to `heard`, each text once: the referee reads what a provider would know.
    """

    def __init__(self, seed: int, limit: int, heard: TextIO, *, lies: bool, faults: bool) -> None:
        self.seed = seed
        self.limit = limit
        self.lies = lies
        self.faults = faults
        self._heard = heard
        self._known: set[int] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, any number of requests."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
                length = next((int(line.partition(":")[2]) for line in head if line.startswith("content-length:")), 0)
                status, document = self.answer(await reader.readexactly(length))
                data = json.dumps(document).encode()
                lines = (f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(data)}")
                writer.write("\r\n".join((*lines, "", "")).encode() + data)
                await writer.drain()
        writer.close()

    def answer(self, data: bytes) -> tuple[int, dict[str, Any]]:
        """Status and body of one answer."""
        body: dict[str, Any] = json.loads(data)
        self._hear(body)
        mind = grammar.mind(body, self.seed, self.limit)
        if mind.dice.random() < 0.004 and self.faults:
            return mind.dice.choice(((500, {"error": {"message": "on purpose"}}), (200, {"choices": []})))
        text, calls = grammar.reply(mind)
        odd = mind.dice.random() < 0.03
        same = mind.dice.choice(IDS)
        written = [
            {"id": same if odd else f"call-{mind.turn}-{place}", "type": "function",
             "function": {"name": name, "arguments": args}} for place, (name, args) in enumerate(calls)
        ]  # fmt: skip
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if written:
            message["tool_calls"] = written
        finish = mind.dice.choice(FINISHES) if odd else "tool_calls" if written else "stop"
        choice = {"index": 0, "finish_reason": finish, "message": message}
        frame = {"id": f"reply-{mind.turn}", "object": "chat.completion", "created": 1_700_000_000}
        whole = {**frame, "model": body["model"], "choices": [choice]}
        return 200, whole | self._usage(mind, len(data), len(json.dumps(message)))

    def _hear(self, body: dict[str, Any]) -> None:
        for item in (*body["messages"], *body.get("tools", ())):
            text = f"{body['model']}\t{json.dumps(item, ensure_ascii=False)}"
            if hash(text) not in self._known:
                self._known.add(hash(text))
                self._heard.write(f"{text}\n")
        self._heard.flush()

    def _usage(self, mind: grammar.Mind, read: int, written: int) -> dict[str, Any]:
        luck = mind.dice.random()
        counted = {"prompt_tokens": read // 4, "completion_tokens": written // 4}
        if luck < 0.02:
            return {}
        if luck < 0.04 and self.lies:
            counted = mind.dice.choice((
                {"prompt_tokens": 0, "completion_tokens": 0},
                {"prompt_tokens": 2_000_000_000, "completion_tokens": 1},
                {"prompt_tokens": 10, "completion_tokens": 50_000_000},
                {"prompt_tokens": 10**30, "completion_tokens": 10**12},
                {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10**9}},
            ))  # fmt: skip
        return {"usage": {**counted, "total_tokens": counted["prompt_tokens"] + counted["completion_tokens"]}}


async def serve(server: Server) -> None:
    """Until the process is ended."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**26)
    sys.stdout.write(f"adversary listening on http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    await listener.serve_forever()


def main() -> None:
    """Until the process is ended, or orphaned."""
    parser = argparse.ArgumentParser(prog="bench.adversary.model", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=grammar.CALLS, help="the most calls in one reply")
    parser.add_argument("--lies", action=argparse.BooleanOptionalAction, default=True, help="about what was used")
    parser.add_argument("--faults", action=argparse.BooleanOptionalAction, default=False, help="answers that are none")
    parser.add_argument("--heard", type=Path, required=True, help="where everything that it is told is written down")
    options = parser.parse_args()
    standin.die_with_parent()
    with (
        contextlib.suppress(KeyboardInterrupt),
        options.heard.open("w", encoding="utf-8", errors="backslashreplace") as heard,
    ):
        asyncio.run(serve(Server(options.seed, options.calls, heard, lies=options.lies, faults=options.faults)))


if __name__ == "__main__":
    main()
