"""What is under test: how to configure it, how to start it, how to reach it.

A gateway is a name and a `prepare` that writes its configuration into a site and says how to launch it; the rig does
the rest. A gateway that cannot be prepared raises `Unavailable` with a reason for people.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Final, Literal, Protocol

import msgspec

from benchmarks.load import Address

FLOOR: Final = "floor"
"""The name of the load straight at the upstream."""
NGINX: Final = "nginx"
WARDWRIGHT: Final = "wardwright"
"""With every default."""
DEFERRED: Final = "wardwright-deferred"
"""With the receipt index left to be built later."""
GOVERNED: Final = "wardwright-governed"
"""With every default, and every call under RULES."""
RULES: Final = ("rules-50", "rules-100")
"""The policies of the governed gateway, as they stand beside this file; none of their rules fires under these loads."""
SINKS: Final = ("agents", "cost", "lab", "platform", "release", "security")
"""Where rules of RULES would tell of something."""
WAITING: Final = "rule-that-waits"
"""A policy more, whose one rule holds the end of what `hold` says."""
INDEX_DELAY_S: Final = 1.3
"""The receipt index follows within a second, and takes a moment."""
JOURNAL_DELAY_S: Final = 0.2
SPARE_CONTRACTS: Final = 200
"""Contracts loaded beside those that are called, in the timed start."""


class Unavailable(Exception):
    """A gateway cannot be measured on this machine; the message says why."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where one gateway lives during a run."""

    directory: Path
    """Its own, empty at first, kept over restarts."""
    port: int
    """Where it must listen on loopback."""
    upstream_port: int
    models: tuple[str, ...]
    """Each is served under its own name by the upstream's model of that name."""
    spare_contracts: int = 0
    """Further models to declare and never call."""

    @property
    def upstream_url(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}/v1"


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How to start a prepared gateway and where it answers."""

    argv: tuple[str, ...]
    address: Address
    environment: tuple[tuple[str, str], ...] = ()
    """Added to the rig's own."""
    port_file: Path | None = None
    """Where a gateway that chooses its own port writes it; it stands in for the port of the address."""
    settle_s: float = 0.1
    """How long work for a call may follow its answer. It is waited for and counted."""
    start_max_s: float = 30
    """To its first right answer."""


class Gateway(Protocol):
    """One product under test."""

    @property
    def name(self) -> str:
        """Its column in every table."""

    def about(self) -> str:
        """Its version and settings, for the report."""

    def prepare(self, site: Site) -> Launch:
        """Write its configuration; `Unavailable` where it cannot run here. Repeatable on one site."""


class Nginx:
    """Debian's nginx as a plain proxy: one worker, kept-alive upstream connections, no buffering of answers."""

    name: ClassVar[str] = NGINX

    def about(self) -> str:
        version = subprocess.run([_nginx(), "-v"], capture_output=True, text=True, check=True).stderr
        return f"{version.strip().rpartition('/')[2]}, one worker, keep-alive upstream, `proxy_buffering off`"

    def prepare(self, site: Site) -> Launch:
        program = _nginx()
        configuration = site.directory / "nginx.conf"
        configuration.write_text(nginx_configuration(site, pwd.getpwuid(os.getuid()).pw_name))
        return Launch(
            argv=(program, "-p", str(site.directory), "-e", "error.log", "-c", str(configuration)),
            address=Address(port=site.port),
        )


def _nginx() -> str:
    program = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if program is None:
        raise Unavailable("nginx is not installed (Debian: apt-get install nginx)")
    return program


def nginx_configuration(site: Site, user: str) -> str:
    """The configuration of nginx as a plain proxy towards the upstream."""
    as_root = f"user {user};\n" if user == "root" else ""
    return f"""\
{as_root}daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid nginx.pid;
error_log error.log warn;
events {{
    worker_connections 8192;
}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_max_body_size 16m;
    client_body_buffer_size 1m;
    upstream model_server {{
        server 127.0.0.1:{site.upstream_port};
        keepalive 1024;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{site.port} backlog=4096;
        location / {{
            proxy_pass http://model_server;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""


class Wardwright:
    """This gateway: a serving key, receipts in `batch` mode, one dispatcher a model, no rules."""

    def __init__(self, name: str, index: Literal["follow", "deferred"], about: str, *, governed: bool = False) -> None:
        self._name = name
        self._index = index
        self._about = about
        self._governed = governed

    @property
    def name(self) -> str:
        return self._name

    def about(self) -> str:
        version = subprocess.run(
            [sys.executable, "-m", "wardwright", "--version"], capture_output=True, text=True, check=False
        ).stdout.strip()
        return f"{version or 'this source tree'}, keys required, receipts in `batch` mode, {self._about}"

    def prepare(self, site: Site) -> Launch:
        contracts, state = site.directory / "contracts", site.directory / "state"
        contracts.mkdir(exist_ok=True)
        state.mkdir(mode=0o700, exist_ok=True)
        for name, document in wardwright_documents(site, governed=self._governed).items():
            (contracts / name).write_bytes(document)
        if self._governed:
            (contracts / "wardwright.json").write_bytes(_settings_document())
        key = _serving_key(site.directory)
        return Launch(
            argv=(
                *(sys.executable, "-m", "wardwright", "serve", str(contracts)),
                *("--bind", f"127.0.0.1:{site.port}", "--state", str(state)),
            ),
            address=Address(port=site.port, headers=(("authorization", f"Bearer {key}"),)),
            environment=(("WARDWRIGHT_INDEX", self._index), ("WARDWRIGHT_KEYS", "required")),
            settle_s=INDEX_DELAY_S if self._index == "follow" else JOURNAL_DELAY_S,
        )


def wardwright_documents(site: Site, *, governed: bool = False) -> dict[str, bytes]:
    """The provider and a contract a model, by file name; `governed`: with policies over those that are served."""
    served = {model: model for model in site.models}
    spare = {f"spare-{number:03d}": "json" for number in range(site.spare_contracts)}
    policies = (*RULES, WAITING) if governed else ()
    documents = {f"{name}.json": _model_document(name, model, policies) for name, model in served.items()}
    documents |= {f"{name}.json": _model_document(name, model) for name, model in spare.items()}
    documents |= {f"{name}.yaml": (Path(__file__).parent / f"{name}.yaml").read_bytes() for name in policies[:-1]}
    if governed:
        documents[f"{WAITING}.json"] = _waiting_document()
    return {"upstream.json": _provider_document(site), **documents}


def _provider_document(site: Site) -> bytes:
    return msgspec.json.encode(
        {
            "kind": "provider",
            "name": "bench",
            "base_url": site.upstream_url,
            "pool": {"connections_max": 2048, "waiting_max": 2048},
        }
    )


def _settings_document() -> bytes:
    """Settings with the sinks that rules of RULES name; nothing is told to them under these loads."""
    sinks = {name: {"kind": "jsonl", "path": f"{name}.jsonl"} for name in SINKS}
    return msgspec.json.encode({"sinks": sinks})


def _waiting_document() -> bytes:
    """Patient as no rule of a file is: the streams that are measured stand still for as long as it takes."""
    rule = {
        "id": "waits",
        "phase": "stream",
        "on": ["text"],
        "match": {"contains": "§§§"},
        "hold": {"mode": "exact", "age_ms_max": 3_600_000},
        "then": [{"block": {}}],
        "why": "An open stream is measured with text that is held.",
    }
    return msgspec.json.encode({"kind": "policy", "name": WAITING, "rules": [rule]})


def _model_document(name: str, model: str, policies: tuple[str, ...] = ()) -> bytes:
    return msgspec.json.encode(
        {
            "kind": "model",
            "name": name,
            "policies": policies,
            "targets": [
                {"name": "small", "provider": "bench", "model": model, "context_window": 16_000},
                {"name": "large", "provider": "bench", "model": model, "context_window": 1_000_000},
            ],
            "route": {"dispatcher": ["small", "large"]},
        }
    )


def _serving_key(directory: Path) -> str:
    """The key of this site, made once."""
    kept = directory / "serving.key"
    if kept.exists():
        return kept.read_text()
    made = subprocess.run(
        [sys.executable, "-m", "wardwright", "key", "create", "--state", str(directory / "state")],
        capture_output=True,
        text=True,
        check=False,
    )
    token = re.search(r"\bwwk_\w+", made.stdout)
    if made.returncode != 0 or token is None:
        raise Unavailable(f"no serving key could be made: {(made.stderr or made.stdout).strip()[-300:]}")
    kept.write_text(token[0])
    return token[0]


def wardwrights() -> tuple[Gateway, ...]:
    """This gateway in the settings that are budgeted."""
    return (
        Wardwright(WARDWRIGHT, "follow", "the index kept within a second"),
        Wardwright(DEFERRED, "deferred", "the index built when it is asked"),
        Wardwright(
            GOVERNED, "follow", "the index kept within a second, 50 stream and 100 request rules", governed=True
        ),
    )
