"""Other gateways under the same loads: LiteLLM's proxy, Portkey's gateway, TensorZero's embedded gateway.

Rule 1: each is installed at one exact version into a directory that git ignores, by the package client the machine has.
Rule 2: each runs as its own documentation advises for production where that needs no further server; none has a
database, none writes logs of requests, so each is measured at its lightest.
Rule 3: a peer that cannot be installed or started is named in the report with the reason, never left out in silence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from benchmarks.gateways import Gateway, Launch, Site, Unavailable
from benchmarks.load import Address

INSTALL_TIMEOUT_S: Final = 900

LITELLM_VERSION: Final = "1.106.2"
"""Never 1.82.7 or 1.82.8: those releases carried malware."""
LITELLM_REFUSED: Final = frozenset({"1.82.7", "1.82.8"})
TENSORZERO_VERSION: Final = "2026.6.0"
PORTKEY_PACKAGES: Final = {"@portkey-ai/gateway": "1.15.2"}
PORTKEY_PINS: Final = {"@hono/node-server": "1.12.2", "hono": "4.9.7"}
"""Later servers make it answer 500 to every streamed request."""


class LiteLlm:
    """LiteLLM's proxy in production mode, one worker."""

    name: ClassVar[str] = "litellm"
    key: ClassVar[str] = "sk-bench"

    def __init__(self, home: Path) -> None:
        self._home = home / self.name

    def about(self) -> str:
        return f"{LITELLM_VERSION} (Python), production mode, one worker, a master key, no database"

    def prepare(self, site: Site) -> Launch:
        assert LITELLM_VERSION not in LITELLM_REFUSED
        _virtual_environment(self._home, f"litellm[proxy]=={LITELLM_VERSION}")
        configuration = site.directory / "config.yaml"
        configuration.write_bytes(msgspec.json.encode(self._configuration(site)))  # JSON is YAML
        return Launch(
            argv=(
                *(str(self._home / "bin" / "litellm"), "--config", str(configuration)),
                *("--host", "127.0.0.1", "--port", str(site.port), "--num_workers", "1", "--telemetry", "False"),
            ),
            address=Address(port=site.port, headers=(("authorization", f"Bearer {self.key}"),)),
            environment=(
                ("LITELLM_MASTER_KEY", self.key),
                ("LITELLM_MODE", "PRODUCTION"),
                ("LITELLM_LOG", "ERROR"),
                ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
                ("PATH", f"{self._home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"),
            ),
            start_max_s=120,
        )

    def _configuration(self, site: Site) -> dict[str, object]:
        return {
            "model_list": [
                {
                    "model_name": model,
                    "litellm_params": {"model": f"openai/{model}", "api_base": site.upstream_url, "api_key": "bench"},
                }
                for model in site.models
            ],
            "litellm_settings": {"json_logs": True, "set_verbose": False, "request_timeout": 600},
            "general_settings": {"master_key": self.key, "proxy_batch_write_at": 60},
        }


class Portkey:
    """Portkey's open gateway on Node."""

    name: ClassVar[str] = "portkey"

    def __init__(self, home: Path) -> None:
        self._home = home / self.name

    def about(self) -> str:
        pins = ", ".join(f"{name} {version}" for name, version in PORTKEY_PINS.items())
        return f"{PORTKEY_PACKAGES['@portkey-ai/gateway']} (Node), headless, with {pins}"

    def prepare(self, site: Site) -> Launch:
        node = _program("node")
        _node_packages(self._home, PORTKEY_PACKAGES, PORTKEY_PINS)
        server = self._home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
        return Launch(
            argv=(node, str(server), f"--port={site.port}", "--headless"),
            address=Address(
                port=site.port,
                headers=(
                    ("x-portkey-provider", "openai"),
                    ("x-portkey-custom-host", site.upstream_url),
                    ("authorization", "Bearer bench"),
                ),
            ),
            environment=(("NODE_ENV", "production"),),
            start_max_s=60,
        )


class TensorZero:
    """TensorZero's gateway (Rust), served from the wheel of its Python client."""

    name: ClassVar[str] = "tensorzero"

    def __init__(self, home: Path) -> None:
        self._home = home / self.name

    def about(self) -> str:
        return f"{TENSORZERO_VERSION} (Rust), embedded gateway, observability off"

    def prepare(self, site: Site) -> Launch:
        _virtual_environment(self._home, f"tensorzero=={TENSORZERO_VERSION}")
        configuration = site.directory / "tensorzero.toml"
        configuration.write_text(tensorzero_configuration(site))
        script = site.directory / "serve.py"
        script.write_text(_TENSORZERO_SCRIPT)
        port_file = site.directory / "port"
        port_file.unlink(missing_ok=True)
        return Launch(
            argv=(str(self._home / "bin" / "python"), str(script), str(configuration), str(port_file)),
            address=Address(
                port=site.port, path="/openai/v1/chat/completions", model_prefix="tensorzero::model_name::"
            ),
            port_file=port_file,
            start_max_s=60,
        )


_TENSORZERO_SCRIPT: Final = textwrap.dedent(
    """\
    import pathlib
    import signal
    import sys

    import tensorzero

    gateway = tensorzero._start_http_gateway(
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    port = pathlib.Path(sys.argv[2])
    port.with_suffix(".new").write_text(gateway.base_url.rstrip("/").rpartition(":")[2].partition("/")[0])
    port.with_suffix(".new").rename(port)
    signal.pause()
    """
)


def tensorzero_configuration(site: Site) -> str:
    """Every model routed to the upstream, nothing recorded."""
    head = "[gateway]\nobservability.enabled = false\ndisable_pseudonymous_usage_analytics = true\n"
    models = [
        f'\n[models."{model}"]\nrouting = ["bench"]\n\n[models."{model}".providers.bench]\ntype = "openai"\n'
        f'model_name = "{model}"\napi_base = "{site.upstream_url}/"\napi_key_location = "none"\n'
        for model in site.models
    ]
    return head + "".join(models)


def peers(home: Path) -> tuple[Gateway, ...]:
    """All of them; what they need is installed below `home` when they are prepared."""
    return (TensorZero(home), Portkey(home), LiteLlm(home))


def _virtual_environment(home: Path, requirement: str) -> None:
    """A virtual environment that holds the requirement; made once per requirement."""
    mark = home / "installed"
    if mark.exists() and mark.read_text() == requirement:
        return
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    _install([sys.executable, "-m", "venv", str(home)], home.parent)
    _install([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement], home)
    mark.write_text(requirement)


def _node_packages(home: Path, packages: dict[str, str], pins: dict[str, str]) -> None:
    """A directory with the packages at these versions; made once per set of versions."""
    wanted = msgspec.json.encode({"private": True, "dependencies": packages, "overrides": pins})
    mark = home / "installed"
    if mark.exists() and mark.read_bytes() == wanted:
        return
    npm = _program("npm")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "package.json").write_bytes(wanted)
    _install([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], home)
    mark.write_bytes(wanted)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not installed")
    return path


def _install(argv: Sequence[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            argv, cwd=directory, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Unavailable(f"cannot be installed: {problem}") from problem
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Unavailable(f"cannot be installed: {' '.join(last) or f'status {done.returncode}'}")
