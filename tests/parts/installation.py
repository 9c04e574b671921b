"""An installation as an operator has it: a folder of contracts, a state folder, a gateway over both, its clients.

Whatever a gateway of an installation wrote is audited when it ends (`parts.audit`), so every receipt that a test makes
is replayed and every journal verified.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import openai

from parts import gateway_process
from parts.audit import Audit, audit
from parts.gateway_process import GatewayProcess
from wardwright.calls.receipt import Receipt

Json = dict[str, Any]


@dataclass
class Served:
    """A running gateway and those who talk to it."""

    process: GatewayProcess
    http: httpx2.Client
    """With the admin's credential."""
    _clients: list[openai.OpenAI] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return self.process.base_url

    def client(self, key: str = "unused", **options: Any) -> openai.OpenAI:
        """The official client, without retries unless they are asked for."""
        client = openai.OpenAI(base_url=self.base_url, api_key=key, **{"max_retries": 0, "timeout": 20} | options)
        self._clients.append(client)
        return client

    def admin(self, method: str, path: str, body: Json | None = None) -> Any:
        """The answer's JSON; AssertionError for a refusal."""
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def key(self, **terms: Any) -> str:
        """The token of a new serving key."""
        return str(self.admin("POST", "/api/keys", terms)["token"])

    def receipt(self, id_: str) -> Receipt:
        """The receipt of a closed call, by its id or by the id of the answer that carries it."""
        id_ = id_.removeprefix("chatcmpl-")
        full = self.admin("GET", f"/v1/receipts/{id_}")
        assert full["receipt"] is not None, f"{id_} is {full['state']}"
        return msgspec.convert(full["receipt"], Receipt)

    def receipts(self, *, least: int = 1, **filters: Any) -> list[Json]:
        """Rows of receipts, newest first, once there are at least so many: the journal and its index trail a little."""

        def look() -> list[Json] | None:
            rows = self.http.get("/v1/receipts", params=filters).raise_for_status().json()["data"]
            return list(rows) if len(rows) >= least else None

        return self.process.child.wait_for(f"{least} receipts with {filters}", look)


@dataclass
class Installation:
    """Folders that outlive the gateways over them."""

    folder: Path
    state: Path
    audited: list[Audit] = field(default_factory=list)

    def write(self, *documents: Json) -> None:
        """Write each document to the file of its kind and name, at once."""
        for document in documents:
            path = self.file(document)
            fresh = path.with_suffix(".writing")
            fresh.write_bytes(msgspec.json.encode(document))
            os.replace(fresh, path)

    def file(self, document: Json) -> Path:
        return self.folder / f"{document['kind']}-{document['name']}.json"

    @contextmanager
    def serving(self, *, env: Mapping[str, str] | None = None, options: Sequence[str] = ()) -> Iterator[Served]:
        """Run a gateway; what it wrote is audited after it."""
        with gateway_process.running(self.folder, self.state, env=env, options=options) as process:
            token = (self.state / "admin-token").read_text().strip()
            headers = {"x-wardwright-admin-token": token}
            with httpx2.Client(base_url=process.url, headers=headers, timeout=20) as http:
                served = Served(process, http)
                try:
                    yield served
                finally:
                    for client in served._clients:
                        client.close()
            killed = process.child.process.poll() == -signal.SIGKILL
            code = process.stop()
            assert killed or code == 0, f"the gateway ended with {code}; it said:\n{process.child.said()}"
        self.audited.append(audit(self.state, ended_well=not killed))


def at(directory: Path, *documents: Json) -> Installation:
    """A fresh installation with these documents."""
    made = Installation(directory / "contracts", directory / "state")
    made.folder.mkdir(parents=True)
    made.write(*documents)
    return made


def provider(name: str, base_url: str, **members: Any) -> Json:
    """A provider whose targets never rest unless the test says when: tests fail on purpose, and often."""
    return {"kind": "provider", "name": name, "base_url": base_url, "breaker": {"calls_min": 1000}, **members}


def target(name: str, provider: str, **members: Any) -> Json:
    """A target that its provider knows under the same name."""
    return {"name": name, "provider": provider, "model": name, "context_window": "32K", **members}


def model(name: str, *targets: Json, route: Any = None, **members: Any) -> Json:
    """A model over targets; their cascade in the order given, unless it has a route."""
    names = [one["name"] for one in targets]
    return {
        "kind": "model",
        "name": name,
        "targets": list(targets),
        "route": {"cascade": names} if route is None else route,
        **members,
    }
