"""Which server and key a `provider:name` stands for."""

import pytest

from pocketlet import errors
from pocketlet.platform.gateways import endpoints

KEY = "sk-very-secret-0123456789"


def test_the_usual_variables_decide() -> None:
    variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://models.example.org/v1/"}
    endpoint = endpoints.resolve("openai:gpt-5-mini", variables.get)
    assert (endpoint.provider, endpoint.name, endpoint.api_key) == ("openai", "gpt-5-mini", KEY)
    assert (endpoint.url, endpoint.loopback) == ("https://models.example.org/v1", False)
    assert KEY not in repr(endpoint)


@pytest.mark.parametrize(
    ("model", "variables", "url", "loopback"),
    [
        ("openai:x", {"OPENAI_API_KEY": KEY}, "https://api.openai.com/v1", False),
        ("openai:x", {"OPENAI_BASE_URL": "http://[::1]:8000/v1"}, "http://[::1]:8000/v1", True),
        ("openai:x", {"OPENAI_BASE_URL": "http://127.1.2.3/v1"}, "http://127.1.2.3/v1", True),
        ("anthropic:x", {"ANTHROPIC_BASE_URL": "http://localhost:1"}, "http://localhost:1", True),
        ("google:x", {"GEMINI_API_KEY": KEY}, "https://generativelanguage.googleapis.com", False),
        ("ollama:qwen3:8b", {}, "http://127.0.0.1:11434/v1", True),
        ("ollama:x", {"OLLAMA_BASE_URL": "http://box.lan:11434"}, "http://box.lan:11434/v1", False),
    ],
)
def test_where_models_are(model: str, variables: dict[str, str], url: str, loopback: bool) -> None:
    endpoint = endpoints.resolve(model, variables.get)
    assert (endpoint.url, endpoint.loopback, endpoint.model) == (url, loopback, model)


def test_hosts_that_only_look_local_are_not() -> None:
    assert not endpoints.is_loopback("127.0.0.1.example.org")
    assert not endpoints.is_loopback("localhost.example.org")
    assert not endpoints.is_loopback("10.0.0.1")


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(errors.NoModel, match="needs a key") as raised:
        endpoints.resolve("anthropic:claude-x", {"ANTHROPIC_API_KEY": " "}.get)
    assert "pocketlet secret set ANTHROPIC_API_KEY" in raised.value.hint


@pytest.mark.parametrize("model", ["gpt-5", "", ":x", "openai:", "openai: "])
def test_a_model_without_provider_or_name(model: str) -> None:
    with pytest.raises(errors.BadSetting, match="provider:name"):
        endpoints.resolve(model, {}.get)


def test_an_unknown_provider_gets_a_guess() -> None:
    with pytest.raises(errors.BadSetting, match=r"openai, anthropic, google, ollama\. Did you mean 'anthropic'\?"):
        endpoints.resolve("antropic:claude", {}.get)


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x/v1", "http://", "http://x:port/", "http://[::1"])
def test_a_base_url_that_is_none(url: str) -> None:
    with pytest.raises(errors.BadSetting, match="OPENAI_BASE_URL is not a base URL"):
        endpoints.resolve("openai:x", {"OPENAI_BASE_URL": url}.get)


def test_a_key_that_no_header_can_carry() -> None:
    with pytest.raises(errors.BadSetting) as raised:
        endpoints.resolve("openai:x", {"OPENAI_API_KEY": f"{KEY}\nx"}.get)
    assert KEY not in str(raised.value)


def test_messages_show_no_credentials_of_a_url() -> None:
    endpoint = endpoints.resolve("openai:x", {"OPENAI_BASE_URL": f"http://me:{KEY}@127.0.0.1:81/v1?k=1"}.get)
    assert endpoint.address == "http://127.0.0.1:81"
