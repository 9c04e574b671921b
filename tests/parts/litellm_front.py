"""A gateway in front of the gateway, the way LiteLLM's proxy forwards: its own users and keys, one key towards us.

It takes OpenAI requests from its own users, replaces the model by `wardwright/<model>` and the credential by its one
serving key, and puts what it knows of the caller into the body's `metadata`, as LiteLLM does for providers that it
passes metadata on to. Answers go back as they come, piece by piece.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

PIECE_BYTES: Final = 65_536
PASSED_ON: Final = ("content-type", "x-wardwright-receipt-id", "x-should-retry", "retry-after")


@dataclass(frozen=True)
class User:
    """A user of the front: what its own key stands for."""

    alias: str
    team: str
    end_user: str


@dataclass
class Front:
    """The front while it serves."""

    base_url: str
    upstream_url: str
    key: str
    users: Mapping[str, User]
    """By the front's own keys."""
    calls: list[str] = field(default_factory=list)
    """Its own id of each call."""

    def metadata(self, user: User, said: dict[str, Any] | None, call_id: str) -> dict[str, Any]:
        """What it tells of a caller, beside what the caller said."""
        return {
            "user_api_key_alias": user.alias,
            "user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "user_api_key_team_alias": user.team,
            "user_api_key_team_id": f"team-{user.team}",
            "user_api_key_end_user_id": user.end_user,
            "user_api_key_user_id": None,
            "litellm_call_id": call_id,
            "litellm_api_version": "1.84.0",
            "requester_metadata": said or {},
        }


@contextmanager
def running(upstream_url: str, key: str, users: Mapping[str, User]) -> Iterator[Front]:
    """Serve in front of the gateway at `upstream_url` (without a path) until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.front = Front(f"http://127.0.0.1:{server.server_address[1]}/v1", upstream_url, key, users)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    front: Front


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        front = self.server.front
        body = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])), type=dict[str, Any])
        user = front.users[self.headers["authorization"].removeprefix("Bearer ")]
        call_id = f"call-{len(front.calls)}"
        front.calls.append(call_id)
        body["model"] = f"wardwright/{body['model']}"
        body["metadata"] = front.metadata(user, body.get("metadata"), call_id)
        # One header that a user of the front may set passes through, as LiteLLM's `forward_client_headers_to_llm_api`.
        passed = {name: value for name, value in self.headers.items() if name.lower() == "x-wardwright-session-id"}
        headers = {"content-type": "application/json", "authorization": f"Bearer {front.key}", **passed}
        connection = http.client.HTTPConnection(urlsplit(front.upstream_url).netloc, timeout=20)
        try:
            connection.request("POST", self.path, msgspec.json.encode(body), headers)
            self._pass_on(connection.getresponse())
        finally:
            connection.close()

    def _pass_on(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name in PASSED_ON:
            value = answer.headers.get(name)
            if value is not None:
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := answer.read1(PIECE_BYTES):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
