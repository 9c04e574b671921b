"""Prometheus metrics: read from the gateway's meters when they are asked for, so that calls pay nothing for them.

Rule 1: names begin with `wardwright_` and end with their unit.
Rule 2: labels come from contracts and from closed sets, never from a request, so that no caller can make series.
Rule 3: where several workers serve, each tells its own, under the label `worker`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families
from prometheus_client.registry import Collector

from wardwright.api.front import Front
from wardwright.api.operation import Ask, Document
from wardwright.gateway.meters import BUCKETS_S, Distribution, Meters
from wardwright.kernel.units import SECOND_US
from wardwright.kernel.usage import NANO_USD

_STATES: Final = ("closed", "open", "half_open")


async def show_metrics(ask: Ask[None]) -> Document:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayCollector(ask.front))
    ProcessCollector(namespace="wardwright", registry=registry)
    encode, media_type = choose_encoder(ask.headers.get(b"accept", b"").decode("latin-1"))
    return Document(encode(registry), media_type)


def all_metrics(_: Ask[None], of: Mapping[int, Document]) -> Document:
    """The metrics of every worker on one page, each sample with the label `worker`."""
    media_type = next(iter(of.values())).media_type
    openmetrics = media_type.startswith("application/openmetrics-text")
    parse = openmetrics_families if openmetrics else text_families
    families: dict[str, Metric] = {}
    for number, document in sorted(of.items()):
        for family in parse(document.content.decode()):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                known.samples.append(sample._replace(labels={**sample.labels, "worker": str(number)}))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families.values()))
    encode, _media_type = choose_encoder(media_type)
    return Document(encode(registry), media_type)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class GatewayCollector(Collector):
    """Everything the gateway counts. Cheap, and on the event loop's thread: reads memory alone."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def collect(self) -> Iterator[Metric]:
        meters = self._front.gateway.meters
        yield from _calls(meters)
        yield from _latencies(meters)
        yield from self._now()
        yield from self._upstreams()
        yield from self._journal()
        yield from self._captures()
        yield from self._alerts()
        yield from self._contracts()

    def _now(self) -> Iterator[Metric]:
        front = self._front
        build = GaugeMetricFamily("wardwright_build_info", "The version that runs.", labels=["version"])
        build.add_metric([front.build], 1)
        yield build
        yield GaugeMetricFamily("wardwright_calls_live", "Calls under way.", value=len(front.gateway.live))
        yield GaugeMetricFamily("wardwright_connections", "Connections of clients.", value=front.connections)
        yield GaugeMetricFamily("wardwright_draining", "1 while no new work is taken.", value=int(front.draining))
        yield GaugeMetricFamily("wardwright_keys", "Serving keys that are not revoked.", value=len(front.gateway.keys))

    def _upstreams(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "wardwright_endpoint_state",
            "1 for the state of an endpoint's breaker.",
            labels=["provider", "model", "state"],
        )
        resting = GaugeMetricFamily(
            "wardwright_endpoint_resting", "1 while an endpoint takes no call.", labels=["provider", "model"]
        )
        gateway = self._front.gateway
        for (provider, model), health in sorted(gateway.health.all(gateway.now()).items()):
            for name in _STATES:
                state.add_metric([provider, model, name], int(health.state == name))
            resting.add_metric([provider, model], int(health.rest is not None))
        yield state
        yield resting
        connections = GaugeMetricFamily(
            "wardwright_upstream_connections", "Connections to a provider.", labels=["provider", "state"]
        )
        waiting = GaugeMetricFamily(
            "wardwright_upstream_requests_waiting", "Requests that wait for a connection.", labels=["provider"]
        )
        for name, upstream in sorted(self._front.upstreams.by_name.items()):
            gauges = upstream.transport.gauges()
            connections.add_metric([name, "busy"], gauges.connections - gauges.idle)
            connections.add_metric([name, "idle"], gauges.idle)
            waiting.add_metric([name], gauges.waiting)
        yield connections
        yield waiting

    def _journal(self) -> Iterator[Metric]:
        pulse = self._front.journal.pulse()
        yield GaugeMetricFamily(
            "wardwright_journal_writable", "0 while the journal cannot be written.", value=int(pulse.failure is None)
        )
        yield GaugeMetricFamily(
            "wardwright_journal_entries_waiting", "Entries put and not written yet.", value=pulse.waiting
        )
        yield CounterMetricFamily(
            "wardwright_journal_entries_refused", "Entries that found the queue full.", value=pulse.refused
        )

    def _captures(self) -> Iterator[Metric]:
        pulse = self._front.captures.pulse()
        yield GaugeMetricFamily("wardwright_captures_waiting", "Captures not written yet.", value=pulse.waiting)
        yield CounterMetricFamily(
            "wardwright_captures_dropped", "Captures that found the queue or the disk full.", value=pulse.dropped
        )

    def _alerts(self) -> Iterator[Metric]:
        held = GaugeMetricFamily("wardwright_alerts_held", "Alerts by how they stand.", labels=["sink", "state"])
        settled = CounterMetricFamily("wardwright_alerts", "Alerts by what became of them.", labels=["sink", "outcome"])
        failing = GaugeMetricFamily("wardwright_sink_failing", "1 while deliveries to a sink fail.", labels=["sink"])
        for pulse in self._front.alerts.pulse():
            held.add_metric([pulse.name, "waiting"], pulse.jobs.waiting + pulse.jobs.leased)
            held.add_metric([pulse.name, "dead"], pulse.jobs.dead)
            settled.add_metric([pulse.name, "delivered"], pulse.delivered)
            settled.add_metric([pulse.name, "dead_lettered"], pulse.dead_lettered)
            settled.add_metric([pulse.name, "dropped"], pulse.dropped)
            settled.add_metric([pulse.name, "refused"], pulse.refused)
            failing.add_metric([pulse.name], int(pulse.failures > 0))
        yield held
        yield settled
        yield failing
        yield GaugeMetricFamily(
            "wardwright_approvals_waiting", "Requests that wait for a person.", value=self._front.approvals.waiting
        )

    def _contracts(self) -> Iterator[Metric]:
        front = self._front
        state = front.control.state
        yield GaugeMetricFamily("wardwright_models", "Names that calls may use.", value=len(front.gateway.catalog))
        yield GaugeMetricFamily("wardwright_reload_errors", "Errors of the last reload.", value=len(state.errors))
        yield GaugeMetricFamily(
            "wardwright_reload_timestamp_seconds", "When contract files were last read.", value=state.at / SECOND_US
        )


def _calls(meters: Meters) -> Iterator[Metric]:
    calls = CounterMetricFamily("wardwright_calls", "Calls by how they ended.", labels=["model", "status"])
    attempts = CounterMetricFamily(
        "wardwright_attempts",
        "Attempts by their outcome: `ok`, `abandoned`, or the class of the failure.",
        labels=["model", "provider", "target", "outcome"],
    )
    tokens = CounterMetricFamily("wardwright_tokens", "Tokens, in and out.", labels=["model", "direction"])
    cost = CounterMetricFamily("wardwright_cost_usd", "Cost by the contracts' prices, in USD.", labels=["model"])
    for name, meter in sorted(meters.models.items()):
        for status, count in sorted(meter.statuses.items()):
            calls.add_metric([name, status], count)
        for (provider, target, outcome), count in sorted(meter.attempts.items()):
            attempts.add_metric([name, provider, target, outcome], count)
        tokens.add_metric([name, "input"], meter.input_tokens)
        tokens.add_metric([name, "output"], meter.output_tokens)
        cost.add_metric([name], meter.cost_nano_usd / NANO_USD)
    turned_away = CounterMetricFamily(
        "wardwright_requests_turned_away", "Requests that nobody may make, by error code.", labels=["code"]
    )
    for code, count in sorted(meters.refused_early.items()):
        turned_away.add_metric([code], count)
    yield from (calls, attempts, tokens, cost, turned_away)


def _latencies(meters: Meters) -> Iterator[Metric]:
    total = HistogramMetricFamily(
        "wardwright_call_duration_seconds", "From acceptance to the end of the answer.", labels=["model"]
    )
    first_byte = HistogramMetricFamily(
        "wardwright_call_first_byte_seconds", "From acceptance to the first byte for the client.", labels=["model"]
    )
    overhead = HistogramMetricFamily(
        "wardwright_call_overhead_seconds", "From acceptance to the plan: the gateway's own time.", labels=["model"]
    )
    for name, meter in sorted(meters.models.items()):
        _add(total, name, meter.total)
        _add(first_byte, name, meter.first_byte)
        _add(overhead, name, meter.overhead)
    yield from (total, first_byte, overhead)


def _add(family: HistogramMetricFamily, name: str, seen: Distribution) -> None:
    buckets: list[tuple[str, float]] = []
    cumulated = 0
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), seen.counts, strict=True):
        cumulated += count
        buckets.append((bound, cumulated))
    family.add_metric([name], buckets, seen.total_us / SECOND_US)
