"""The providers' clients behind Pydantic AI's model classes, made once for each endpoint.

Each provider's package is imported when a model of it is first asked (1.3 s OpenAI, 2.6 s Anthropic).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import httpx2
from pydantic_ai import direct
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from pocketlet import errors
from pocketlet.platform.gateways import endpoints

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class Clients:
    """Models by endpoint, over one pool of connections that no proxy variable diverts."""

    def __init__(self) -> None:
        # Each request brings its own timeout.
        self._http = httpx2.AsyncClient(trust_env=False, timeout=None)
        self._models: dict[endpoints.Endpoint, Model[Any]] = {}

    async def ask(
        self,
        endpoint: endpoints.Endpoint,
        messages: list[ModelMessage],
        settings: ModelSettings,
        parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """One request to one model; raises what Pydantic AI raises."""
        model = self._models.get(endpoint)
        if model is None:
            model = self._models[endpoint] = _open(endpoint, self._http)
        return await direct.model_request(model, messages, model_settings=settings, model_request_parameters=parameters)

    async def aclose(self) -> None:
        """Close the connections."""
        self._models.clear()
        await self._http.aclose()


def _open(endpoint: endpoints.Endpoint, http: httpx2.AsyncClient) -> Model[Any]:
    opener = {"openai": _openai, "anthropic": _anthropic, "google": _google, "ollama": _ollama}[endpoint.provider]
    return opener(endpoint, http)


def _openai(endpoint: endpoints.Endpoint, http: httpx2.AsyncClient) -> Model[Any]:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(endpoint.name, provider=OpenAIProvider(openai_client=_openai_client(endpoint, http)))


def _ollama(endpoint: endpoints.Endpoint, http: httpx2.AsyncClient) -> Model[Any]:
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.ollama import OllamaProvider

    # Ollama's server ignores `max_completion_tokens`; a limit that is not kept would break the budget.
    profile = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)
    provider = OllamaProvider(openai_client=_openai_client(endpoint, http))
    return OllamaModel(endpoint.name, provider=provider, profile=profile)


def _openai_client(endpoint: endpoints.Endpoint, http: httpx2.AsyncClient) -> "AsyncOpenAI":
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=endpoint.api_key, base_url=endpoint.url, http_client=http, max_retries=0)
    completions: Any = client.chat.completions
    create: Callable[..., Awaitable[Any]] = completions.create

    async def create_as_given(*, messages: object, extra_body: dict[str, object] | None = None, **rest: Any) -> Any:
        return await create(messages=(), extra_body={**(extra_body or {}), "messages": messages}, **rest)

    # The SDK walks all of `messages` for each request, on the event loop (232 ms at 400 turns; so: 12 ms).
    completions.create = create_as_given
    return client


def _anthropic(endpoint: endpoints.Endpoint, http: httpx2.AsyncClient) -> Model[Any]:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(api_key=endpoint.api_key, base_url=endpoint.url, http_client=http, max_retries=0)
    return AnthropicModel(endpoint.name, provider=AnthropicProvider(anthropic_client=client))


def _google(endpoint: endpoints.Endpoint, http: httpx2.AsyncClient) -> Model[Any]:
    try:
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider
    except ImportError as error:
        message = "The package for google models is not installed."
        raise errors.BadSetting(message, hint="pip install 'pocketlet[google]'") from error
    provider = GoogleProvider(api_key=endpoint.api_key, base_url=endpoint.url, http_client=http)
    return GoogleModel(endpoint.name, provider=provider)
