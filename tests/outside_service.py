"""A service outside, on loopback: an API behind a bearer token, its OpenAPI document, and its OAuth2 token server."""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "us", "cs-5f1e&%=+ secret"


class Service(ThreadingHTTPServer):
    """`life` of its tokens in seconds (None: not said); `rotates` refresh tokens; `fails` with a status, `says` an
    error code; `requests` as (method, target, authorization).
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.life: int | None = 3600
        self.rotates, self.fails, self.says = True, 0, ""
        self.access: set[str] = set()
        self.refresh: set[str] = set()
        self.codes: dict[str, tuple[str, str]] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.forms: list[dict[str, str]] = []
        self._number = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextlib.contextmanager
    def serving(self) -> Iterator["Service"]:
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def authorize(self, target: str) -> str:
        """What the owner's browser does: says yes, and is sent back to this URL."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = self._fresh("code")
        self.codes[code] = (asked["code_challenge"], asked["redirect_uri"])
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, object]]:
        with self._lock:
            self.forms.append(form)
            if self.fails:
                return self.fails, {"error": self.says}
            if not self._knows(form, authorization):
                return 401, {"error": "invalid_client"}
            return self._granted(form)

    def _knows(self, form: dict[str, str], authorization: str) -> bool:
        both = urlencode({CLIENT_ID: CLIENT_SECRET}).replace("=", ":", 1)
        in_body = (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        return in_body or authorization == f"Basic {base64.b64encode(both.encode()).decode()}"

    def _granted(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        given: dict[str, object] = {"access_token": self._fresh("at"), "token_type": "Bearer"}
        match form["grant_type"]:
            case "client_credentials":
                pass
            case "authorization_code":
                challenge, redirect = self.codes.pop(form["code"], ("", ""))
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                if (proof, form["redirect_uri"]) != (challenge, redirect):
                    return 400, {"error": "invalid_grant", "error_description": form["code_verifier"]}
                given["refresh_token"] = self._fresh("rt")
            case _:
                if form["refresh_token"] not in self.refresh:
                    return 400, {"error": "invalid_grant", "error_description": "token " + form["refresh_token"]}
                if self.rotates:
                    self.refresh.discard(form["refresh_token"])
                    given["refresh_token"] = self._fresh("rt")
        self.access.add(str(given["access_token"]))
        self.refresh |= {str(given["refresh_token"])} if "refresh_token" in given else set()
        return 200, given | ({} if self.life is None else {"expires_in": self.life})

    def _fresh(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number:04}-{'x' * 20}"

    def document(self) -> dict[str, object]:
        """Its OpenAPI document."""
        order = {"name": "id", "in": "path", "required": True, "schema": {"$ref": "#/components/schemas/Order"}}
        status = {"name": "status", "in": "query", "schema": {"type": "string"}}
        return {
            "openapi": "3.1.0",
            "info": {"title": "Shop", "version": "1"},
            "servers": [{"url": "/v1"}],
            "security": [{"token": ["orders"]}],
            "paths": {
                "/orders": {"get": {"parameters": [{"$ref": "#/components/parameters/status"}]}, "post": {}},
                "/orders/{id}": {"parameters": [order], "get": {}, "post": {}, "delete": {}},
                "/orders/purge": {"post": {}},
            },
            "components": {
                "parameters": {"status": status},
                "schemas": {"Order": {"properties": {"parent": {"$ref": "#/components/schemas/Order"}}}},
                "securitySchemes": {
                    "token": {
                        "type": "oauth2",
                        "flows": {"clientCredentials": {"tokenUrl": f"{self.url}/token", "scopes": {"orders": "all"}}},
                    }
                },
            },
        }


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self._note()
        if path == "/openapi.json":
            self._answer(200, self.server.document())
        elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.server.access:
            self._answer(401, {"error": "who are you?"})
        else:
            self._answer(200, {"path": path, "you": self.headers["Authorization"]})

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._answer(*self.server.token(form, self.headers.get("Authorization", "")))

    def _note(self) -> None:
        self.server.requests.append((self.command, self.path, self.headers.get("Authorization", "")))

    def _answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""
