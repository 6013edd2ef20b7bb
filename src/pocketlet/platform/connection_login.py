"""How a service knows us, as the owner says it, in the place of what a document proposed; secrets by their names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pocketlet import errors
from pocketlet.platform import connections, oauth

DEFAULT_NAMES = {"bearer": "TOKEN", "basic": "LOGIN", "header": "KEY", "query": "KEY"}


def auth(name: str, options: Mapping[str, Any], proposed: connections.Auth) -> connections.Auth:
    """The way to log in that the options name, instead of the proposed one. Raises errors.BadInput.

    `options`: auth, secret, header, prefix, query; token_url, authorize_url, client_id, client_auth, public, scope.
    """
    kind, own = options["auth"] or proposed.kind, connections.prefix(name)
    if kind == "none":
        return connections.Auth()
    if kind.startswith("oauth2"):
        known = proposed.client or oauth.Client("", "")
        public = options["public"] and kind == "oauth2-code"
        client = oauth.Client(
            options["token_url"] or known.token_url,
            options["client_id"] or known.client_id,
            "" if public else options["secret"] or known.secret or f"{own}CLIENT_SECRET",
            options["authorize_url"] or known.authorize_url,
            tuple(options["scope"]) or known.scopes,
            options["client_auth"],
        )
        return connections.Auth(kind, (), client)
    if not options["auth"] and len(proposed.places) != 1:
        raise errors.BadInput("--secret goes with --auth.", hint=f"--auth {' | '.join(connections.AUTHS[1:])}")
    place = connections.Place(
        kind, options["secret"] or own + DEFAULT_NAMES[kind], options["header"] or options["query"], options["prefix"]
    )
    chosen = place if options["auth"] else replace(proposed.places[0], secret=place.secret)
    return connections.Auth(kind, (chosen,))
