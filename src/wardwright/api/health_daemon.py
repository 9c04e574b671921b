"""The health of an installation as a service of its own: /healthz, /readyz and /metrics from the latest look.

Rule 1: a request never looks: it is answered from the latest look, so that nobody can make the disk busy by asking.
Rule 2: it answers on loopback alone: what it tells needs no credential.
Rule 3: looks that come to no end are told as such: after STALE_LOOKS intervals nothing is ready, and the
watchdog is not fed any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn import Config

from wardwright.api.serving import Listening, listen, url_of
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.health import GRADES, Change, Facts, Look, changes, look_of
from wardwright.runtime.notify import Notifier
from wardwright.runtime.settings import address_of, is_loopback
from wardwright.runtime.supervisor import Supervisor

STALE_LOOKS: Final = 4
"""Intervals without a look, after which the latest says nothing any more."""
STALE_S_MIN: Final = 30.0

log = logging.getLogger("wardwright.health")


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the latest look still says something."""

    status: Literal["ready", "stale"]
    looked_at: int
    """µs since the epoch; 0: never yet."""


class HealthDaemon:
    """Construct, `run` once."""

    def __init__(
        self,
        look: Callable[[], Facts],
        *,
        bind: str,
        every_s: float,
        notifier: Notifier,
        told: Callable[[Change], None],
    ) -> None:
        """`look` blocks; it is called off the event loop. `told` hears of each finding that changed. Raises
        `settings_invalid` for an address that others can reach."""
        host, _ = address_of(bind)
        if not is_loopback(host):
            raise WardwrightError(
                "settings_invalid",
                f"`{bind}` is open to others, and health asks for no credential",
                hint="bind to loopback, and let a proxy decide who may ask",
            )
        self.facts: Facts | None = None
        self.latest: Look | None = None
        self._bind = bind
        self._every_s = every_s
        self._look = look
        self._looked_s = float("-inf")
        """On the loop's clock."""
        self._notifier = notifier
        self._supervisor = Supervisor(_report)
        self._told = told

    @property
    def fresh(self) -> bool:
        limit_s = max(STALE_S_MIN, STALE_LOOKS * self._every_s)
        return asyncio.get_running_loop().time() - self._looked_s < limit_s

    async def run(self, started: Callable[[str], None]) -> None:
        """Look and answer until SIGINT or SIGTERM. `started` hears the address once the first look was made."""
        listener = listen(self._bind)
        url = url_of(listener)
        try:
            await self._once()

            def announce() -> None:
                started(url)
                self._notifier.ready(self._status())
                self._supervisor.spawn(self._notifier.feed(lambda: self.fresh))
                self._supervisor.spawn(self._keep_looking())

            config = Config(
                self.app(),
                access_log=False,
                lifespan="off",
                log_config=None,
                loop="none",
                server_header=False,
                ws="none",
            )
            await Listening(config, announce, self._notifier.stopping).serve([listener])
        finally:
            await self._supervisor.aclose()
            listener.close()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", self._show_health),
                Route("/readyz", self._show_readiness),
                Route("/metrics", self._show_metrics),
            ]
        )

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self._once()

    async def _once(self) -> None:
        facts = await asyncio.to_thread(self._look)
        look = look_of(facts)
        for change in changes(self.latest, look):
            self._told(change)
        self.facts, self.latest = facts, look
        self._looked_s = asyncio.get_running_loop().time()
        self._notifier.status(self._status())

    def _status(self) -> str:
        assert self.latest is not None
        ill = [one.about for one in self.latest.findings if one.grade == self.latest.grade != "ok"]
        return self.latest.grade + (f": {', '.join(ill[:5])}" if ill else "")

    async def _show_health(self, _: Request) -> Response:
        assert self.latest is not None
        return _json(self.latest, 503 if self.latest.grade == "bad" or not self.fresh else 200)

    async def _show_readiness(self, _: Request) -> Response:
        at = 0 if self.latest is None else self.latest.at
        return _json(Ready(status="ready" if self.fresh else "stale", looked_at=at), 200 if self.fresh else 503)

    async def _show_metrics(self, request: Request) -> Response:
        assert self.facts is not None
        assert self.latest is not None
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Metrics(self.facts, self.latest))
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=media_type)


class _Metrics(Collector):
    """A look as gauges."""

    def __init__(self, facts: Facts, look: Look) -> None:
        self._facts = facts
        self._look = look

    def collect(self) -> Iterator[Metric]:
        facts, look = self._facts, self._look
        grade = GaugeMetricFamily("wardwright_health", "0 ok, 1 warn, 2 bad.", labels=["about"])
        for one in look.findings:
            grade.add_metric([one.about], GRADES.index(one.grade))
        yield grade
        yield _gauge("wardwright_health_worst", "The worst of them.", GRADES.index(look.grade))
        yield _gauge("wardwright_health_look_timestamp_seconds", "When it was looked.", look.at / 1_000_000)
        up = facts.serving is not None and facts.serving.failure is None
        yield _gauge("wardwright_gateway_up", "1 while a gateway answers.", int(up))
        if facts.disk is not None:
            yield _gauge("wardwright_disk_free_bytes", "Where the state directory lies.", facts.disk.bytes_free)
            yield _gauge("wardwright_disk_free_inodes", "Where the state directory lies.", facts.disk.inodes_free)
        stored = GaugeMetricFamily("wardwright_stored_bytes", "In the state directory.", labels=["what"])
        for name, size in facts.stored:
            stored.add_metric([name], size)
        yield stored
        jobs = GaugeMetricFamily("wardwright_queue_jobs", "Of the work queues.", labels=["file", "lane", "state"])
        for queue in facts.queues:
            jobs.add_metric([queue.file, queue.lane, "waiting"], queue.waiting)
            jobs.add_metric([queue.file, queue.lane, "leased"], queue.leased)
            jobs.add_metric([queue.file, queue.lane, "dead"], queue.dead)
        yield jobs
        held = GaugeMetricFamily("wardwright_lock_held", "1 while a process holds it.", labels=["name"])
        for writer in facts.writers:
            held.add_metric([writer.name], int(writer.held))
        yield held
        if facts.approvals_waiting is not None:
            yield _gauge("wardwright_approvals_waiting", "Requests that wait for a person.", facts.approvals_waiting)
        if facts.index_behind is not None:
            yield _gauge("wardwright_index_behind", "1 while the index lacks records.", int(facts.index_behind))


def _gauge(name: str, means: str, value: float) -> Metric:
    return GaugeMetricFamily(name, means, value=value)


def _json(value: msgspec.Struct, status: int) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def _report(defect: BaseException) -> None:
    log.error("defect: %s: %s", type(defect).__name__, defect, exc_info=defect)
