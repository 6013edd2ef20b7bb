"""Takes the pictures of pages that the README shows. For developers: needs Chromium and what the tests need.

    .venv/bin/python tools/pictures.py

They show the data of the crm demo, and two more mails whose answers wait, in a light and in a dark theme.
"""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT / "tests" / "ui"))

import browsing  # noqa: E402 - they are beside the tests that use them
import household  # noqa: E402

#: Name → address, height in pixels.
PICTURES = {"today": ("/", 900), "run": ("/runs/{run}", 1200), "approvals": ("/approvals", 900)}
WIDTH = 1280
MOST = 250_000  # bytes of one


async def main() -> None:
    """Takes all, and says how large they are."""
    TARGET.mkdir(exist_ok=True)
    with household.lived_in() as house:
        asked = [house.command("run", "crm", "--input", next((house.home / "demo" / "mails").glob(f"*{one}*")))
                 for one in ("new", "known")]  # fmt: skip
        async with browsing.opened() as browser:
            for theme in browsing.THEMES:
                context = await browser.new_context(color_scheme=theme, reduced_motion="reduce")
                page = await context.new_page()
                for name, (address, height) in PICTURES.items():
                    await page.set_viewport_size({"width": WIDTH, "height": height})
                    await page.goto(house.url + address.format(run=asked[-1]["run"]))
                    await page.wait_for_load_state()
                    path = TARGET / f"{name}-{theme}.png"
                    size = len(await page.screenshot(path=path))
                    sys.stdout.write(f"{path.name}: {size / 1000:.0f} KB\n")
                    if size > MOST:
                        sys.exit(f"{path.name} is too large: make it lower.")


if __name__ == "__main__":
    asyncio.run(main())
