"""The page's server: on the loopback address, for whoever knows its token.

What keeps others out: the path begins with a random token; the Host must be ours, so that a name that an attacker
makes point here (DNS rebinding) is refused; so is an Origin that is not ours, and whatever a browser says came from
another site (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/); orders must be JSON, which no form of another
page can send. The standard library's server is enough: one reader, plain files and JSON, nothing that a framework
would add.
"""

import hmac
import json
import secrets
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs

from gmsr.topology.errors import UserError

from .page import LOOKS, charts, files
from .source import Source

HOST = "127.0.0.1"
LARGEST_ORDER = 1 << 16
PATIENCE_REAL_S = 10.0
"""A connection that says nothing for so long is closed."""
GUARDS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer. Vega compiles its expressions, hence 'unsafe-eval'."""

Order = Callable[[dict[str, Any]], dict[str, Any]]


class Site:
    """Serves until it is closed. ``orders``: what a page may do, by name. Raises UserError for a port in use."""

    def __init__(self, source: Source, orders: dict[str, Order], port: int = 0) -> None:
        self.source = source
        self.orders = orders
        self.token = secrets.token_urlsafe(24)
        self.files = files()
        try:
            self._server = _Server(self, port)
        except OSError as error:
            raise UserError(f"--port: {port}: {error.strerror}; name another, or 0 for any") from error
        self.port = self._server.server_port
        self.address = f"http://{HOST}:{self.port}/{self.token}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.source.close()


class _Server(ThreadingHTTPServer):
    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who goes in the middle of a request is no error of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gmsr", ""
    timeout = PATIENCE_REAL_S

    @property
    def site(self) -> Site:
        """Whose requests these are."""
        return cast(_Server, self.server).site

    def do_GET(self) -> None:
        """The page's files, and what it shows."""
        path = self._admitted()
        if path is None:
            return
        site = self.site
        if path in site.files:
            kind, content = site.files[path]
            self._answer(HTTPStatus.OK, kind, content)
        elif path == "about":
            about = site.source.about()
            self._say(HTTPStatus.OK, {**about, "charts": charts(about) if "plan" in about else {}, **LOOKS})
        elif path == "news":
            after = parse_qs(self.path.partition("?")[2]).get("after", ["0"])[0]
            self._say(HTTPStatus.OK, site.source.news(int(after) if after.isdecimal() else 0))
        else:
            self._say(HTTPStatus.NOT_FOUND, {"error": "there is no such page"})

    def do_POST(self) -> None:
        """An order of the page."""
        path = self._admitted()
        if path is None:
            return
        size = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json" or not size.isdecimal():
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an order is JSON, of a length that is told")
        elif int(size) > LARGEST_ORDER:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no order is so long")
        elif path not in self.site.orders:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such order")
        else:
            self._obey(path, self.rfile.read(int(size)))

    def _obey(self, name: str, body: bytes) -> None:
        try:
            order = json.loads(body)
            if not isinstance(order, dict):
                raise ValueError("it is no object")
        except ValueError as error:
            self._say(HTTPStatus.BAD_REQUEST, {"error": f"the order is no JSON object: {error}"})
            return
        try:
            self._say(HTTPStatus.OK, self.site.orders[name](order))
        except UserError as error:
            self._say(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _admitted(self) -> str | None:
        """The path behind the token; None where the request was refused."""
        ours = [f"{name}:{self.site.port}" for name in (HOST, "localhost")]
        origin = self.headers.get("Origin")
        token, slash, path = self.path.partition("?")[0].removeprefix("/").partition("/")
        if (
            self.headers.get("Host") in ours
            and (origin is None or origin in [f"http://{name}" for name in ours])
            and self.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
            and slash
            and hmac.compare_digest(token.encode(), self.site.token.encode())
        ):
            return path
        self._refuse(HTTPStatus.FORBIDDEN, "open the address that gmsr printed")
        return None

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """What else was sent is not read: the connection ends."""
        self.close_connection = True
        self._say(status, {"error": why})

    def _say(self, status: HTTPStatus, content: object) -> None:
        self._answer(status, "application/json", json.dumps(content).encode())

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        with suppress(OSError):  # whoever asked has gone
            self.send_response(status)
            for name, value in GUARDS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: standard error belongs to the run's progress."""
