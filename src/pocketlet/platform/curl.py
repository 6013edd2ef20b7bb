"""A curl command as a proposal for a connection. What looks like a secret goes to the vault, whatever else it may be.

The body is looked at for nothing but the method: what was in it is not kept.
"""

import base64
import binascii
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote

from pocketlet import errors
from pocketlet.platform import connections, oauth
from pocketlet.platform.gateways import addresses

LONGEST = 100_000
#: Options that say something, by their long name.
SHORT = {
    "-X": "--request", "-H": "--header", "-u": "--user", "-d": "--data", "-G": "--get", "-I": "--head", "-F": "--form",
    "-A": "--user-agent", "-e": "--referer", "-o": "--output", "-m": "--max-time", "-w": "--write-out",
    "-s": "--silent", "-S": "--show-error", "-L": "--location", "-i": "--include", "-v": "--verbose", "-f": "--fail",
    "-g": "--globoff", "-N": "--no-buffer", "-#": "--progress-bar",
}  # fmt: skip
VALUED = {
    "--request", "--header", "--user", "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode",
    "--json", "--form", "--form-string", "--url", "--oauth2-bearer", "--user-agent", "--referer", "--output",
    "--max-time", "--connect-timeout", "--write-out", "--retry", "--retry-delay", "--url-query",
}  # fmt: skip
PLAIN = {
    "--get", "--head", "--silent", "--show-error", "--location", "--include", "--verbose", "--fail", "--globoff",
    "--no-buffer", "--progress-bar", "--compressed", "--http1.1", "--http2", "--basic", "--fail-with-body",
    "--ssl-reqd",
}  # fmt: skip
BODIES = {
    "--data",
    "--data-raw",
    "--data-binary",
    "--data-ascii",
    "--data-urlencode",
    "--json",
    "--form",
    "--form-string",
}
#: Headers of one request, and not of every one.
PASSING = {"accept-encoding", "content-type", "content-length", "host", "user-agent", "connection", "referer", "origin",
           "idempotency-key", "accept-language", "dnt", "priority", "te", "expect", "pragma"}  # fmt: skip
HARMLESS = {"accept", "prefer", "x-requested-with"}
SECRETIVE = re.compile(
    r"auth|token|secret|passw|pwd|api[-_]?key|(^|[-_.])key$|apikey|signature|session|credential|jwt|sig$", re.I
)
SHELL = re.compile(r"\$[A-Za-z_({]|`|<[A-Za-z_ -]+>|\{\{")
#: A segment of a path that is an id, or might be a secret: then it is no literal of the template.
IDENTIFYING = re.compile(r"\d+|[0-9a-f]{8}-[0-9a-f-]{27}|(?=.*\d)[A-Za-z0-9_=:.~-]{12,}|[A-Za-z0-9_=:~-]{25,}", re.I)
VERSION = re.compile(r"v\d{1,2}(\.\d{1,2})?|\d{1,2}\.\d{1,2}", re.I)


@dataclass(slots=True)
class _Read:
    """What the options said."""

    method: str = ""
    urls: list[str] = field(default_factory=list[str])
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    user: str = ""
    has_body: bool = False
    get: bool = False
    query: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class _Found:
    """Where secrets stood, by place, and their values by name."""

    own: str
    places: list[connections.Place] = field(default_factory=list[connections.Place])
    values: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, kind: str, value: str, name: str = "", before: str = "") -> None:
        """One more. Raises errors.BadInput if it is empty or still to be filled in; its text is not quoted."""
        if not value or SHELL.search(value):
            raise errors.BadInput(
                "A secret of this command is empty, or a variable that the shell has not filled in.",
                hint="Put the value itself there, or give the command with --curl - on stdin.",
            )
        secret = f"{self.own}{ {'bearer': 'TOKEN', 'basic': 'LOGIN'}.get(kind, 'KEY') }"
        if secret in self.values:
            secret = f"{self.own}KEY_{len(self.values)}"
        if len(self.places) == 4:
            raise errors.BadInput("This command holds more than four secrets.")
        self.places.append(connections.Place(kind, secret, name, before))
        self.values[secret] = value


def draft(command: str, name: str, pinned: tuple[str, ...] = ()) -> connections.Draft:
    """A connection that makes this one request. Raises errors.BadInput; no message quotes a value of the command."""
    found = _Found(connections.prefix(name))
    given = _options(_words(command))
    if len(given.urls) != 1:
        raise errors.BadInput("The command has to name exactly one URL.")
    url, login = _url(given.urls[0], pinned)
    if given.user or login:
        found.add("basic", _login(given.user or login))
    headers = _headers(given, found)
    path, _, query = url.target.partition("?")
    names = _query([*parse_qsl(query, keep_blank_values=True), *_pairs(given.query)], found)
    template, changed = _template(path)
    method = given.method or ("POST" if given.has_body and not given.get else "GET")
    keyed = method not in ("GET", "HEAD") and any(key.lower() == "idempotency-key" for key, _ in given.headers)
    allowed = connections.operation(f"{method} {template}", "keyed" if keyed else "")
    remarks = ["Parts of the path that may be ids or secrets are parameters: look at the template."] if changed else []
    auth = connections.Auth(found.places[0].kind, tuple(found.places)) if found.places else connections.Auth()
    return connections.Draft(
        name=name,
        base_url=oauth.origin(url),
        auth=auth,
        headers=headers,
        allow=(replace(allowed, query=names),),
        pinned=pinned,
        secrets=found.values,
        remarks=tuple(remarks),
    )


def _words(command: str) -> list[str]:
    if len(command) > LONGEST:
        raise errors.BadInput("The command is too long.")
    if "$'" in command:
        raise errors.BadInput("Quotes of the form $'…' are not read.", hint="Write them as plain '…' quotes.")
    try:
        words = shlex.split(command.replace("\\\r\n", " ").replace("\\\n", " "))
    except ValueError:  # its text is not passed on
        raise errors.BadInput("The quotes of this command do not close.") from None
    if words[:1] != ["curl"]:
        raise errors.BadInput("This is not a curl command.", hint="It begins with `curl `.")
    if any(word in ("|", ";", "&&", "||", ">", "<", "&") for word in words):
        raise errors.BadInput("Only the curl command itself is read, without pipes and redirections.")
    return words[1:]


def _options(words: list[str]) -> _Read:
    given = _Read()
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            given.urls.append(word)
            continue
        for option, value in _split(word):
            if option in PLAIN:
                given.get |= option == "--get"
                given.method = "HEAD" if option == "--head" else given.method
            elif option in VALUED:
                text = next(rest, None) if value is None else value
                if text is None:
                    raise errors.BadInput(f"The option {option} has no value.")
                _take(given, option, text)
            else:
                raise errors.BadInput(f"The option {option[:30]} of curl is not read.", hint="Leave it out.")
    return given


def _split(word: str) -> list[tuple[str, str | None]]:
    """`-sSH x` as its options; the value where it is joined to its option (`-HAccept: x`)."""
    if word.startswith("--"):
        return [(word, None)]
    found: list[tuple[str, str | None]] = []
    for at in range(1, len(word)):
        option = SHORT.get(f"-{word[at]}", f"-{word[at]}")
        if option in VALUED:
            return [*found, (option, word[at + 1 :] or None)]
        found.append((option, None))
    return found


def _take(given: _Read, option: str, text: str) -> None:
    match option:
        case "--request":
            given.method = text.upper()
        case "--url":
            given.urls.append(text)
        case "--header":
            given.headers.append(_header(text))
        case "--user":
            given.user = text
        case "--oauth2-bearer":
            given.headers.append(("Authorization", f"Bearer {text}"))
        case "--url-query":
            given.query.append(text)
        case _:
            given.has_body |= option in BODIES


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not connections.TOKEN.fullmatch(name.strip()):
        raise errors.BadInput("A header of this command can't be read.")
    return name.strip(), value.strip()


def _url(text: str, pinned: tuple[str, ...]) -> tuple[addresses.Url, str]:
    """The URL without its login, and that."""
    if SHELL.search(text):
        raise errors.BadInput("The URL holds something that is still to be filled in.")
    whole = text.partition("#")[0]
    if "://" not in whole:
        raise errors.BadInput("The URL has to begin with https://.")
    scheme, _, rest = whole.partition("://")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    login, at, host = authority.rpartition("@")
    plain = f"{scheme}://{host}{rest[len(authority) :]}" if at else whole
    return addresses.host_of(plain, inner=bool(pinned)), unquote(login)


def _login(text: str) -> str:
    if ":" not in text:
        raise errors.BadInput("The login of this command has no password.", hint="--user NAME:PASSWORD")
    return text


def _headers(given: _Read, found: _Found) -> Mapping[str, str]:
    kept: dict[str, str] = {}
    for name, value in given.headers:
        low = name.lower()
        if low in ("cookie", "proxy-authorization"):
            raise errors.BadInput(f"The header {name} is not sent.", hint="Use a key or token of the service's API.")
        if low == "authorization":
            _authorization(value, found)
        elif SECRETIVE.search(name) and low not in PASSING:
            found.add("header", value, name)
        elif low not in PASSING:
            if low not in HARMLESS and IDENTIFYING.fullmatch(value) and not _plain_value(value):
                found.add("header", value, name)
            else:
                kept[name] = value
    return kept


def _plain_value(value: str) -> bool:
    """Dates and versions, such as `2022-06-28`, are no secrets."""
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d(\.\w+)?", value) or re.fullmatch(r"[\d.]{1,12}", value))


def _authorization(value: str, found: _Found) -> None:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        found.add("bearer", rest.strip())
    elif scheme.lower() == "basic":
        try:
            found.add("basic", base64.b64decode(rest.strip(), validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            raise errors.BadInput("The Basic credentials of this command can't be read.") from None
    elif rest and connections.TOKEN.fullmatch(scheme):
        found.add("header", rest.strip(), "Authorization", f"{scheme} ")
    else:
        found.add("header", value, "Authorization")


def _pairs(texts: list[str]) -> list[tuple[str, str]]:
    """What --url-query puts into the query."""
    return [pair for text in texts for pair in parse_qsl(text, keep_blank_values=True)]


def _query(pairs: list[tuple[str, str]], found: _Found) -> tuple[str, ...]:
    """The names of the parameters; those that hold a secret are its places."""
    names: list[str] = []
    for name, value in pairs:
        if SECRETIVE.search(name) and name.lower() not in ("page_token", "pagetoken", "next_token", "sort_key"):
            found.add("query", value, name)
        elif name not in names and re.fullmatch(r"[A-Za-z0-9_.\[\]$:-]{1,64}", name):
            names.append(name)
    return tuple(names)


def _template(path: str) -> tuple[str, bool]:
    """The path with `{id}` for each segment that looks like one, and whether there is such a segment."""
    made: list[str] = []
    count = 0
    for segment in path.split("/"):
        # `/rest/api/2/issue` is a version, `/orders/2` is not.
        version = VERSION.fullmatch(segment) or (made[-1:] == ["api"] and len(segment) == 1)
        if IDENTIFYING.fullmatch(unquote(segment)) and not version:
            count += 1
            made.append("{id}" if count == 1 else f"{{id{count}}}")
        else:
            made.append(segment)
    return "/".join(made), count > 0
