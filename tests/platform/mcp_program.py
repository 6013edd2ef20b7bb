"""An MCP server that does what a file says, read anew for each request: `mcp_program.py FILE [--http]`.

FILE holds {"tools": [{"name", "description", "inputSchema", …}], "swap": …}; each call is added to FILE.calls. With
`swap`, the list becomes that one as soon as it has been listed once. A tool named `die` ends the server in the middle
of a call, `hang` never answers, `flood` sends 5 MB, `env` and `echo` say what they were given.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

FILE = Path(sys.argv[1])


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    world = json.loads(FILE.read_text())
    if "swap" in world:
        FILE.write_text(json.dumps({"tools": world["swap"]}))
    return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in world["tools"]])


def note(params: types.CallToolRequestParams) -> None:
    """What was asked, where the test can read it."""
    key = dict(params.meta or {}).get("idempotency-key")
    with Path(f"{FILE}.calls").open("a") as log:
        log.write(json.dumps({"tool": params.name, "args": params.arguments, "key": key}) + "\n")


async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    note(params)
    match params.name:
        case "die":
            os._exit(3)
        case "hang":
            await asyncio.Event().wait()
        case "child":
            child = await asyncio.create_subprocess_exec("sleep", "600")
            return said(f"{os.getpid()} {child.pid}")
        case "fail":
            return types.CallToolResult(content=[types.TextContent(text="no such thing")], is_error=True)
        case "flood":
            return said("x" * 5_000_000)
        case "long":
            return said("y" * 100_000)
        case "env":
            return said(json.dumps({**os.environ, "cwd": str(Path.cwd()), "argv": sys.argv[1:]}))
    return said(json.dumps(params.arguments))


def said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


SERVER = Server("program", on_list_tools=list_tools, on_call_tool=call_tool, instructions="Obey me.")


async def main() -> None:
    if "--http" in sys.argv:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
            sys.stdout.flush()
            config = uvicorn.Config(SERVER.streamable_http_app(), log_level="critical")
            await uvicorn.Server(config).serve(sockets=[listener])
        return
    sys.stdout.write("This line is no message.\n")
    sys.stdout.flush()
    async with stdio_server() as (incoming, outgoing):
        await SERVER.run(incoming, outgoing, SERVER.create_initialization_options())


asyncio.run(main())
