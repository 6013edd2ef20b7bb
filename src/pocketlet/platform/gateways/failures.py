"""What a failed model call means to us: Pydantic AI's exceptions as our errors, without the key."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import cast

from pydantic_ai import exceptions

from pocketlet import errors
from pocketlet.platform.gateways import endpoints

#: The longest text of a provider that goes into a message, in characters.
LONGEST_REASON = 300

#: The SDKs don't check the replies that they parse, so a body of another shape surfaces as any of these.
MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError, AssertionError)


#: Statuses under 500 that another try may cure: request timeout, conflict, rate limit.
TRANSIENT = frozenset({408, 409, 429})


@contextmanager
def translated(endpoint: endpoints.Endpoint, timeout: float) -> Generator[None]:
    """Raise our error in place of Pydantic AI's; `timeout` (seconds) is for the message.

    The cause is cut off: providers and clients may quote the key in theirs, and a traceback would print it.
    """
    try:
        yield
    except exceptions.ModelAPIError as error:
        raise _from_api(error, endpoint, timeout) from None
    except (exceptions.AgentRunError, *MISSHAPEN) as error:
        raise _bad_reply(error, endpoint) from None


def _from_api(error: exceptions.ModelAPIError, endpoint: endpoints.Endpoint, timeout: float) -> errors.PocketletError:
    match error:
        case exceptions.ModelTimeoutError() | exceptions.ModelRequestTimeout():
            return errors.ModelTimeout(f"{endpoint.model} at {endpoint.address} did not answer within {timeout:g} s.")
        case exceptions.ModelConnectionError() if not _never_connected(error):
            return errors.ModelTimeout(f"The connection to {endpoint.model} at {endpoint.address} broke.")
        case exceptions.ModelConnectionError():
            return errors.ModelUnreachable(f"Can't reach {endpoint.model} at {endpoint.address}.")
        case exceptions.ModelHTTPError():
            return _from_status(error, error.status_code, endpoint)
        case _:
            return _bad_reply(error, endpoint)


def _never_connected(error: BaseException) -> bool:
    """Whether the request certainly never left: then nothing can have been billed."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ in ("ConnectError", "ConnectTimeout", "gaierror", "ConnectionRefusedError"):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _from_status(error: exceptions.ModelAPIError, status: int, endpoint: endpoints.Endpoint) -> errors.NoModel:
    reason = _reason(error, endpoint)
    match error:
        case exceptions.ModelAuthenticationError():
            return errors.NoModel(
                f"The key for {endpoint.provider} was refused{reason}",
                hint=f"Check {endpoint.key_name}, or `pocketlet secret set {endpoint.key_name}`.",
            )
        case exceptions.ModelNotFoundError():
            return errors.NoModel(
                f"{endpoint.address} has no model {endpoint.name!r}{reason}",
                hint="Check `model` in agent.toml and the provider's base URL.",
            )
        case exceptions.ModelQuotaExceededError():
            return errors.NoModel(
                f"The {endpoint.provider} account has no credit or quota left{reason}",
                hint="Waiting does not help: see the account's billing, then `pocketlet retry RUN`.",
            )
        case _ if status in TRANSIENT or status >= 500:
            busy = f"{endpoint.model} is busy (HTTP {status}){reason}"
            return errors.ModelBusy(busy, retry_after=error.retry_after)
        case _:
            return errors.NoModel(f"{endpoint.model} refused the request (HTTP {status}){reason}")


def _bad_reply(error: Exception, endpoint: endpoints.Endpoint) -> errors.BadModelReply:
    reason = _scrubbed(str(error) or type(error).__name__, endpoint)
    return errors.BadModelReply(f"{endpoint.model} sent something that is not an answer: {reason}")


def _reason(error: exceptions.ModelAPIError, endpoint: endpoints.Endpoint) -> str:
    """What the provider said, to end a sentence with: `: …` or a full stop."""
    said = _scrubbed(_said(error.body), endpoint)
    return f": {said}" if said else "."


def _said(body: object) -> str:
    """The message in a provider's error body: `{"error": {"message": …}}`, `{"message": …}`, or text."""
    if isinstance(body, Mapping):
        fields = cast("Mapping[str, object]", body)
        return _said(fields.get("error") or fields.get("message"))
    return body if isinstance(body, str) else ""


def _scrubbed(text: str, endpoint: endpoints.Endpoint) -> str:
    without_key = text.replace(endpoint.api_key, "[key]")
    line = " ".join(without_key.split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"
