"""Chromium on our pages. Whatever a page should not do is kept as a fault, and fails the test that opened it."""

import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright import async_api

THEMES = ("light", "dark")
WIDTHS = (390, 820, 1280)
HEIGHT = 900
PATIENCE = 10_000  # milliseconds that something may take to be seen
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    # Whatever a page asks of another machine, nobody answers.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
#: WCAG 2.2 AA and best practice. `target-size` is off in axe, if it is not asked for.
AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
AXE = "axe.run(document, OPTIONS).then(found => JSON.stringify(found.violations.map(one => ({id: one.id, nodes: one.nodes.map(node => node.target.join(' '))}))))"  # noqa: E501
#: What a hostile text sets if it ever runs.
PWNED = "__pwned"


def chromium() -> str | None:
    """Where the system's own browser is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def axe_source() -> str:
    """axe-core, as its wrapper's package brings it."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@asynccontextmanager
async def opened(*more: str) -> AsyncGenerator[async_api.Browser]:
    """A browser without a window. `more`: flags; of two values of one, Chromium takes the later."""
    flags = [*FLAGS, *more]
    if os.geteuid() == 0:  # root's Chromium has no sandbox: in CI only
        flags.append("--no-sandbox")
    async with async_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=flags)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Sight:
    """One page, as one person sees it. `foreign`: requests to others; `faults`: those, and whatever else went wrong."""

    page: async_api.Page
    base: str
    shots: Path
    faults: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])
    findings: list[str] = field(default_factory=list[str])
    hostile: int = 0
    _cdp: async_api.CDPSession | None = None

    def watch(self) -> None:
        """From now on, whatever the page does."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.context.on("request", self._asked)
        self.page.on("dialog", self._dialog)

    def _said(self, message: async_api.ConsoleMessage) -> None:
        itself = message.location.get("url") == self.page.url and "Failed to load resource" in message.text
        if message.type == "error" and not itself:  # the status of the page itself is looked at by `go`
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: async_api.Request) -> None:
        if not request.url.startswith((f"{self.base}/", "data:", "blob:")):
            self.foreign.append(request.url)
            self.faults.append(f"foreign request: {request.url}")

    async def _dialog(self, dialog: async_api.Dialog) -> None:
        self.hostile += 1
        self.faults.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def go(self, address: str, status: int = 200) -> None:
        """Opens the page, and waits for its letters."""
        answer = await self.page.goto(self.base + address)
        assert answer is not None
        if answer.status != status:
            self.faults.append(f"{address}: status {answer.status}, not {status}")
        await self.ask("document.fonts.ready.then(() => 1)")

    async def ask(self, expression: str) -> Any:
        """What a JavaScript expression is in the page. Playwright's own way would need a weaker policy of the page."""
        if self._cdp is None:
            self._cdp = await self.page.context.new_cdp_session(self.page)
        options = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = await self._cdp.send("Runtime.evaluate", options)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def axe(self) -> list[str]:
        """What axe finds: rule and element. It is kept, and fails nothing by itself."""
        if not await self.ask("typeof axe === 'object'"):
            await self.ask(f"{axe_source()}; 0")
        found = json.loads(await self.ask(AXE.replace("OPTIONS", json.dumps(AXE_OPTIONS))))
        new = [f"{one['id']}: {node}" for one in found for node in one["nodes"]]
        self.findings += new
        return new

    async def too_wide(self) -> int:
        """Pixels by which the page is wider than the window."""
        return await self.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    async def executed(self) -> bool:
        """Whether a hostile text ran."""
        ran = bool(await self.ask(f"window.{PWNED} !== undefined"))
        self.hostile += ran
        return ran

    async def shot(self, name: str) -> Path:
        """A picture of the whole page."""
        path = self.shots / f"{name}.png"
        await self.page.screenshot(path=path, full_page=True, caret="initial", animations="allow")
        return path


def slug(address: str) -> str:
    """A file name out of an address."""
    path = urlsplit(address).path.strip("/")
    return "".join(char if char.isalnum() else "-" for char in path).strip("-").replace("--", "-") or "home"
