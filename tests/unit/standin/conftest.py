"""One stand-in model and one client for all tests of this folder."""

from collections.abc import AsyncIterator, Iterator

import anthropic
import openai
import pytest
import standin_play


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    process, url = standin_play.start()
    yield url
    standin_play.stop(process)


@pytest.fixture(scope="session")
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
async def claude(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    base = url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=base, api_key="none", max_retries=0) as client:
        yield client
