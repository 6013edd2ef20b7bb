"""Everything that Pocketlet raises on purpose.

PocketletError                      exit code
├── BadSetting                      2   a setting or an argument is not usable
├── BadInput                        2   a file or text that was given can't be used
│   └── BadAgent                    2   an agent folder that can't be imported
├── NotFound                        6   no such agent, run, approval, revision …
├── Conflict                        6   the thing exists already, or has moved on since
├── Refused                         4   a rule forbids it
├── OverBudget                      5   the cap would be passed
├── UnknownPrice                    5   no price is known for the model
├── Unreachable                     7   Postgres, a model or a mail server does not answer
│   ├── NoPostgres                  7
│   ├── NoModel                     7
│   │   ├── ModelBusy               7   rate limited or overloaded: worth another try
│   │   ├── ModelUnreachable        7   no connection to its server
│   │   ├── ModelPaused             7   the breaker is open: no model is asked for a while
│   │   └── ModelTimeout            7   it did not answer in time: it may have worked, and be billed
│   ├── NoMailServer                7
│   │   └── MailUncertain           7   the server may have taken the message, or not
│   ├── NoMailbox                   7   a mailbox can't be read now: worth another try
│   │   └── MailboxLogin            7   login or folder was refused: somebody has to reconnect it
│   └── ServiceUnreachable          7   an outside service: the request surely never left
│       ├── ServiceBusy             7   it wants a pause
│       └── ServiceUncertain        7   it may have left: the service may have done it, or not
├── BadModelReply                   7   the model answered with something that can't be used
├── GateRefusal                     4   the reader gate refused or stopped a query
│   ├── GateBusy                    4   it reads others of the same owner now
│   └── EgressRefused               4   the egress wire refused a request: nothing was sent
├── LostRun                         1   the run belongs to another worker now (stale fence)
├── MailRejected                    1   the mail server answered that it does not take this message
├── BadMigration                    7   the database's schema is not what this version can work with
└── Failed                          1   something else that was expected to work did not
    ├── Overdue                     1   a step or a run took longer than it may
    └── Quarantined                 1   a run lost its worker again and again

Each class says what happened; `hint` says what to do next. The message defaults to the class's docstring.
"""

from datetime import datetime
from typing import ClassVar


class PocketletError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.hint = hint or self.default_hint


class BadSetting(PocketletError):
    """A setting can't be used."""

    exit_code = 2
    default_hint = "Nothing was changed: correct the setting and try again."


class BadInput(PocketletError):
    """This input can't be used."""

    exit_code = 2
    default_hint = "Nothing was changed: correct it and try again."


class BadAgent(BadInput):
    """This agent folder can't be imported."""

    default_hint = "Nothing was imported. Correct the folder and import it again."


class NotFound(PocketletError):
    """There is no such thing."""

    exit_code = 6


class Conflict(PocketletError):
    """That exists already, or has changed in the meantime."""

    exit_code = 6
    default_hint = "Nothing was changed: `pocketlet status` shows how things stand."


class Refused(PocketletError):
    """A rule forbids this."""

    exit_code = 4


class Tampered(PocketletError):
    """What lies in the database is not what was decided on."""

    exit_code = 4
    default_hint = "Nothing was sent. `pocketlet audit verify` shows whether the records were changed."


class OverBudget(PocketletError):
    """The budget does not allow another model call."""

    exit_code = 5
    default_hint = (
        "Raise `budget` in agent.toml, `pocketlet agent import --replace DIR`, and start a new run (this one keeps the "
        "budget that it began with). A day's budget is whole again at 0:00 UTC: then `pocketlet retry RUN`."
    )


class UnknownPrice(PocketletError):
    """No price is known for this model."""

    exit_code = 5
    default_hint = (
        "Give it in agent.toml: price = {input = 1.0, output = 3.0} (USD per million tokens), "
        "`pocketlet agent import --replace DIR`, and start a new run."
    )


class Unreachable(PocketletError):
    """A server does not answer."""

    exit_code = 7


class NoPostgres(Unreachable):
    """Postgres can't be reached."""

    default_hint = "See `pocketlet doctor`."


class NoModel(Unreachable):
    """The model can't be reached."""

    default_hint = "Check the provider's variables (base URL and key), then `pocketlet retry RUN`."


class ModelBusy(NoModel):
    """The model's provider is overloaded or limits the rate."""

    def __init__(self, message: str = "", *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ModelUnreachable(NoModel):
    """There is no connection to the model's server."""


class ModelPaused(NoModel):
    """Models are not asked for a while, as calls in a row failed. `until`: when the next one may be."""

    default_hint = "Nothing was asked: see that the provider answers. Runs go on by themselves."

    def __init__(self, message: str = "", *, hint: str = "", until: datetime) -> None:
        super().__init__(message, hint=hint)
        self.until = until


class ModelTimeout(NoModel):
    """The model did not answer in time."""


class NoMailServer(Unreachable):
    """The mail server can't be reached."""

    default_hint = (
        "`pocketlet secret set POCKETLET_SMTP_URL` (smtp://user:password@host:port), then `pocketlet retry RUN`."
    )


class MailUncertain(NoMailServer):
    """The connection broke after the message was handed over: nobody knows whether it was taken."""


class NoMailbox(Unreachable):
    """The mailbox can't be read now."""

    default_hint = "Nothing is lost: it is tried again by itself, and goes on where it stopped."


class MailboxLogin(NoMailbox):
    """The mailbox does not let us in."""

    default_hint = "Reconnect it: check the user, the password (often an app password) and the folder's name."


class ServiceUnreachable(Unreachable):
    """The service can't be reached: nothing was sent."""

    default_hint = "Nothing was sent. Check the connection's address and whether the service is up, then try again."


class ServiceBusy(ServiceUnreachable):
    """The service wants a pause, of `retry_after` seconds."""

    def __init__(self, message: str = "", *, hint: str = "", retry_after: float) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ServiceUncertain(ServiceUnreachable):
    """The connection broke after the request was begun: nobody knows whether it arrived."""

    default_hint = "The service may have done it: look there before you send it again."


class BadModelReply(Unreachable):
    """The model's answer can't be used."""

    default_hint = "Try `pocketlet retry RUN`, or another model."


class GateRefusal(PocketletError):
    """The reader gate refused this query."""

    exit_code = 4


class GateBusy(GateRefusal):
    """Other queries of yours are being read."""

    default_hint = "Nothing was read: ask again once one of them has ended, in a few seconds."


class EgressRefused(GateRefusal):
    """The egress wire refused this request: nothing was sent."""

    default_hint = "Nothing was sent. See the connection's address and what it is pinned to."


class LostRun(PocketletError):
    """This run belongs to another worker now."""


class Rejected(PocketletError):
    """The other side refused it."""


class MailRejected(Rejected):
    """The mail server does not take this message."""


class BadMigration(PocketletError):
    """The database's schema is not one that this version of Pocketlet can work with."""

    exit_code = 7


class Failed(PocketletError):
    """That did not work."""


class Overdue(Failed):
    """The run took longer than its `deadline` allows."""

    default_hint = (
        "`pocketlet show RUN` tells where the time went. `pocketlet retry RUN` goes on, with the whole time anew; "
        "`deadline` in agent.toml sets another for new runs."
    )


class Quarantined(Failed):
    """The run lost its worker again and again."""

    default_hint = "See what it did last: `pocketlet show RUN`. `pocketlet retry RUN` lets it go on."
