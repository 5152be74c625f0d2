"""Who may ask: tokens, cookies, hosts, origins; what an answer allows a browser; how much may come."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from sonoseg.review.app import body_limit, create_app
from sonoseg.review.settings import ServerLimits, Settings

TOKEN = "a token of the tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

Serve = Callable[..., TestClient]


@pytest.mark.process
def test_without_the_token_nothing_is_told(serve: Serve) -> None:
    client = serve(token=TOKEN)
    routes = client.get("/api/v1/openapi.json", headers=BEARER).json()["paths"]
    assert len(routes) > 15
    for path, methods in routes.items():
        for method in methods:
            url = path.replace("{id}", "0" * 16).replace("{k}", "1")
            answer = client.request(method.upper(), url)
            if path in ("/health", "/ready"):
                assert answer.status_code == 200, path
            elif path == "/login":
                assert answer.status_code in (200, 422), path
                assert "set-cookie" not in answer.headers
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert answer.json()["error"]["found"] == "the token is missing or wrong"
    assert client.get("/").status_code == 200  # the page asks for the token itself
    assert client.get("/page/../api/v1/items").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer \xfc".encode("latin-1")},
        {"Cookie": f"sonoseg={TOKEN}"},
        {"Cookie": "\x7f=;;=,"},
    ],
)
def test_a_wrong_token(serve: Serve, headers: dict[str, Any]) -> None:
    assert serve(token=TOKEN).get("/api/v1/items", headers=headers).status_code == 401


def test_the_token_opens(serve: Serve) -> None:
    client = serve(token=TOKEN)
    assert client.get("/api/v1/about", headers=BEARER).json()["token_required"] is True
    assert client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_login_leaves_a_cookie_that_is_not_the_token(serve: Serve) -> None:
    client = serve(token=TOKEN)
    assert client.get("/login", params={"token": "another"}).status_code == 401
    assert client.post("/login", json={"token": "another"}).status_code == 401
    assert not client.cookies
    done = client.get("/login", params={"token": TOKEN})
    assert done.status_code == 200
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie  # over plain HTTP it would never come back
    assert TOKEN not in cookie
    assert client.get("/api/v1/items").status_code == 200
    client.cookies.clear()
    assert client.post("/login", json={"token": TOKEN}).status_code == 204
    assert client.get("/api/v1/items").status_code == 200
    (name,) = client.cookies
    client.cookies = {name: "0" * 64}
    assert client.get("/api/v1/items").status_code == 401


def test_over_https_the_cookie_is_secure(serve: Serve) -> None:
    client = serve(token=TOKEN)
    client.base_url = "https://testserver"
    assert "Secure" in client.get("/login", params={"token": TOKEN}).headers["set-cookie"]


def test_a_foreign_page_may_change_nothing(client: TestClient, send: Any) -> None:
    item = send()
    url = f"/api/v1/items/{item['id']}"
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:81"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        told = client.post(f"{url}/refer", json={"reader": "X"}, headers={"If-Match": '"0"', **headers})
        assert told.status_code == 403, headers
        assert client.put(f"{url}/mask", content=b"", headers=headers).status_code == 403
        assert client.post("/login", json={"token": "x"}, headers=headers).status_code == 403
    assert client.get(url).json()["status"] == "new"
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin", "If-Match": '"0"'}
    assert client.post(f"{url}/refer", json={"reader": "X"}, headers=own).status_code == 200


def test_nothing_is_said_to_other_origins(client: TestClient) -> None:
    answer = client.options(
        "/api/v1/items",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"},
    )
    assert answer.status_code == 405
    told = client.get("/api/v1/items", headers={"Origin": "https://evil.example"})
    for headers in (answer.headers, told.headers):
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_a_server_on_this_machine_answers_to_its_own_names_alone(serve: Serve) -> None:
    client = serve(hosts=("localhost", "127.0.0.1", "::1"))
    for host in ("127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765"):
        assert client.get("/health", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example", "[::2]:8765", "", "localhost.", "["):
        answer = client.get("/api/v1/items", headers={"Host": host})
        assert answer.status_code == 421, host


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/v1/about", "/api/v1/nothing", "/health"])
def test_every_answer_carries_the_shield(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == ("no-cache" if path in ("/", "/page/main.js") else "no-store")


@pytest.mark.parametrize(
    "path",
    [
        "/page/../settings.py",
        "/page/%2e%2e/settings.py",
        "/page/..%2fsettings.py",
        "/page/..%5csettings.py",
        "/page//etc/passwd",
        "/page/%00",
    ],
)
def test_no_path_leads_out_of_the_page(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 405)
    assert "root:" not in answer.text
    assert "Limits" not in answer.text


@pytest.mark.process
@pytest.mark.parametrize("identity", ["../state.sqlite", "..%2f..%2fstate.sqlite", "0" * 15, "g" * 16, "%00"])
def test_no_id_leads_out_of_the_state(client: TestClient, identity: str) -> None:
    for end in ("/mask.png", "/thumbnail.png", ""):
        answer = client.get(f"/api/v1/items/{identity}{end}")
        assert answer.status_code in (404, 422), identity
        assert b"SQLite format" not in answer.content


def test_a_name_with_folders_stays_in_the_state(client: TestClient, send: Any, tmp_path: Any) -> None:
    item = send(name="../../../../evil.png")
    assert item["name"] == "evil.png"
    assert not list(tmp_path.rglob("evil*"))
    assert (tmp_path / "state" / "originals" / f"{item['id']}.png").is_file()


def test_a_long_body_is_cut_off_while_it_streams(tmp_path: Any, dark_predictor: Any) -> None:
    """500 MB to each route, straight into the application: how much of it is asked for?"""
    limits = ServerLimits(max_bytes=2 << 20, max_body=3 << 20)
    app = create_app(Settings(folder=tmp_path / "state", limits=limits), dark_predictor)
    store = app.state.server.store

    async def ask(method: str, path: str, kind: bytes, announced: int | None) -> tuple[int, int]:
        asked = 0
        statuses = []

        async def receive() -> dict[str, Any]:
            nonlocal asked
            asked += 1
            body = os.urandom(1 << 20)
            if asked == 1 and b"multipart" in kind:
                body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + body
            return {"type": "http.request", "body": body, "more_body": asked < 500}

        async def reply(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"host", b"testserver"), (b"content-type", kind), (b"if-match", b'"0"')]
        if announced is not None:
            headers.append((b"content-length", str(announced).encode()))
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "server": ("testserver", 80),
            "client": ("c", 1),
            "asgi": {"version": "3.0"},
        }
        await app(scope, receive, reply)
        return statuses[0], asked

    async def run() -> None:
        form = b"multipart/form-data; boundary=x"
        for method, path, kind, most in (
            ("POST", "/api/v1/items", form, 4),
            ("POST", "/api/v1/predict", b"application/octet-stream", 4),
            ("POST", "/api/v1/export", b"application/json", 3),
            ("POST", "/login", b"application/json", 3),
        ):
            status, asked = await ask(method, path, kind, None)
            assert status == 413, path
            assert asked <= most, path
            assert (await ask(method, path, kind, 500 << 20)) == (413, 0)

    anyio.run(run)
    assert not list((tmp_path / "state" / "incoming").glob("*"))
    store.close()


def test_limits_are_by_route() -> None:
    limits = ServerLimits(max_body=50 << 20)
    assert body_limit(limits, "/api/v1/items") == 50 << 20
    assert body_limit(limits, "/api/v1/export") == 1 << 20
    assert body_limit(limits, f"/api/v1/items/{'0' * 16}/mask") > 5 * limits.max_pixels
