"""Who is let in, by plain HTTP: nobody without the token, from another origin, or by another name of this machine."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gmsr.launch.watch.hands import Hands
from gmsr.launch.watch.serving import GUARDS, Site
from gmsr.topology.errors import UserError

HTML = "text/html; charset=utf-8"


class Nothing:
    """A source of no run."""

    def about(self) -> dict[str, Any]:
        return {"mode": "starting"}

    def news(self, after: int) -> dict[str, Any]:
        return {"mode": "starting", "frames": [after], "aims": [], "faults": []}

    def close(self) -> None:
        pass


class Door:
    """A site, and what was ordered there."""

    def __init__(self) -> None:
        self.ordered: list[dict[str, Any]] = []
        self.site = Site(Nothing(), {"inject": self.inject})

    def inject(self, order: dict[str, Any]) -> dict[str, Any]:
        self.ordered.append(order)
        if order.get("kind") == "bad":
            raise UserError("kind: is none")
        return {"what": "done"}

    def ask(
        self,
        path: str = "",
        method: str = "GET",
        body: str | None = None,
        token: str | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=10)
        try:
            known = {name.replace("_", "-"): value for name, value in headers.items()}
            way = f"/{self.site.token if token is None else token}/{path}"
            connection.request(method, way, body, known)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def order(self, order: object, **more: str) -> int:
        return self.ask("inject", "POST", json.dumps(order), **{"Content_Type": "application/json", **more})[
            0
        ]


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.site.close()


def test_the_reader_gets_the_page_and_its_parts(door: Door) -> None:
    status, headers, page = door.ask()
    assert (status, headers["Content-Type"]) == (200, HTML)
    assert headers.items() >= GUARDS.items()
    for name in ("watch.js", "watch.css", "vega.js"):
        assert name.encode() in page
        assert door.ask(name)[0] == 200
    assert json.loads(door.ask("news?after=7")[2])["frames"] == [7]
    assert json.loads(door.ask("news?after=x")[2])["frames"] == [0]
    assert door.ask("../../etc/passwd")[0] == 404
    assert door.ask(Origin=f"http://127.0.0.1:{door.site.port}")[0] == 200
    assert door.ask(Host=f"localhost:{door.site.port}", Origin=f"http://localhost:{door.site.port}")[0] == 200


STRANGERS: list[dict[str, str]] = [
    {"token": ""},
    {"token": "x"},
    {"token": "é".encode().hex()},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1"},
    {"Host": "evil.example:{port}"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
def test_a_stranger_can_neither_read_nor_order(door: Door, stranger: dict[str, str]) -> None:
    given = {name: value.replace("{port}", str(door.site.port)) for name, value in stranger.items()}
    before = len(door.ordered)
    for path in ("", "about", "news", "watch.js", "vega.js"):
        status, headers, content = door.ask(path, **given)
        assert status == 403
        assert set(json.loads(content)) == {"error"}
        assert "Access-Control-Allow-Origin" not in headers
    assert door.order({"kind": "crash", "agent": "s1"}, **given) == 403
    assert len(door.ordered) == before


def test_the_token_is_needed_in_full(door: Door) -> None:
    token = door.site.token
    assert len(token) >= 32
    for wrong in (token[:-1], token + "x", token.swapcase(), "%00" + token):
        assert door.ask(token=wrong)[0] == 403


def test_orders_are_json_of_some_length(door: Door) -> None:
    assert door.order({"kind": "crash"}) == 200
    assert door.ordered[-1] == {"kind": "crash"}
    assert door.order({"kind": "bad"}) == 400
    assert door.order([1]) == 400
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert door.ask("inject", "POST", "kind=crash", **form)[0] == 415
    assert door.ask("inject", "POST", "{", Content_Type="application/json")[0] == 400
    assert door.order({"kind": "x" * 100_000}) == 413
    assert door.ask("stop", "POST", "{}", Content_Type="application/json")[0] == 404
    assert door.ask("inject")[0] == 404, "an order is no page"
    assert door.ask("about", "OPTIONS", Origin="http://evil.example")[0] == 501


def test_what_is_no_http_harms_nobody(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.site.port), timeout=10) as raw:
        raw.sendall(b"\x00\xff" * 40 + b"\r\n\r\n")
        assert b"400" in raw.recv(4096)
    assert door.ask()[0] == 200


def test_it_is_on_the_loopback_address_alone(door: Door) -> None:
    assert door.site._server.server_address[0] == "127.0.0.1"


def test_no_page_says_which_code_is_loaded(tmp_path: Path) -> None:
    for policy in ("os:system", "os:system:x=1"):
        with pytest.raises(UserError, match="a page gives policies by name"):
            Hands(tmp_path).inject({"kind": "policy", "policy": policy})


def test_a_port_in_use_is_told_in_a_line(door: Door) -> None:
    with pytest.raises(UserError, match=r"--port: .* in use; name another"):
        Site(Nothing(), {}, door.site.port)
