"""Counters in Prometheus' text format: calls, operations, callbacks, and what a channel says about itself.

Rules
- Labels have few values: routes are templates, never paths; no client, no reference, no id.
- Each application has a registry of its own, so that two of them in one process do not add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.store.operation import Operation

if TYPE_CHECKING:
    from gateway.service.gateway import Gateway

__all__ = ["MEDIA_TYPE", "Metrics"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one running API."""

    def __init__(self, gateway: Gateway) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter("lendgate_calls", "Calls of the HTTP API", ["route", "status"], registry=self.registry)
        self._seconds = Histogram(
            "lendgate_call_seconds", "Time to answer a call", ["route"], buckets=SECONDS, registry=self.registry
        )
        self._changes = Counter(
            "lendgate_operation_changes",
            "Events of operations: each new state, and attention",
            ["kind", "event"],
            registry=self.registry,
        )
        self._strangers = Counter(
            "lendgate_unauthenticated", "Calls without a valid API key", ["problem"], registry=self.registry
        )
        self._open = Gauge(
            "lendgate_operations_open",
            "Operations that have not ended, by state; counting stops at 200 each",
            ["state"],
            registry=self.registry,
        )
        self.registry.register(_Parts(gateway))
        self._resolved: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def call(self, route: str, status: int, seconds: float) -> None:
        """Count one call. Children are looked up once: `labels` takes a lock and costs more than the count."""
        children = self._resolved.get((route, status))
        if children is None:
            children = (self._calls.labels(route, str(status)), self._seconds.labels(route))
            self._resolved[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def changed(self, operation: Operation, events: tuple[str, ...]) -> None:
        """A listener of the door: called after a change is durable."""
        for event in events:
            self._changes.labels(operation.kind, event).inc()

    def stranger(self, problem: str) -> None:
        """A call was refused because nobody knows who made it."""
        self._strangers.labels(problem).inc()

    def standing(self, counts: Mapping[str, int]) -> None:
        """How many operations are open now, by state."""
        for state, count in counts.items():
            self._open.labels(state).set(count)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class _Parts(Collector):
    """What the gateway's parts count themselves, read when somebody asks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield self._callbacks()
        yield self._webhooks()
        connections = self._gateway.connections
        working = GaugeMetricFamily("lendgate_connection_working", "1: it works; 0: broken", labels=["connection"])
        for connection in connections:
            working.add_metric([connection.name], 1)
        for name in connections.broken:
            working.add_metric([name], 0)
        yield working
        yield from self._quarantine()
        yield self._sends()
        yield from self._channels()

    def _callbacks(self) -> Metric:
        family = CounterMetricFamily(
            "lendgate_callbacks", "Messages from partners, by verdict", labels=["connection", "verdict"]
        )
        for (connection, verdict), count in sorted(self._gateway.callbacks.verdicts.items()):
            family.add_metric([connection, verdict], count)
        return family

    def _webhooks(self) -> Metric:
        family = CounterMetricFamily(
            "lendgate_webhook_deliveries",
            "Attempts to tell platforms, by how they ended; a dead delivery counts as failed too",
            labels=["ended"],
        )
        for ended, count in sorted(self._gateway.notifier.ended.items()):
            family.add_metric([ended], count)
        return family

    def _quarantine(self) -> Iterable[Metric]:
        quarantine = self._gateway.quarantine
        held = GaugeMetricFamily(
            "lendgate_quarantine", "1: acts are inquired before they are sent", labels=["connection"]
        )
        for name in quarantine.standing():
            held.add_metric([name], 1)
        acts = CounterMetricFamily(
            "lendgate_quarantine_acts", "New acts in quarantine, by what became of them", labels=["connection", "ended"]
        )
        for ended, counts in (("found", quarantine.found), ("refused", quarantine.refused)):
            for name, count in sorted(counts.items()):
                acts.add_metric([name, ended], count)
        return [held, acts]

    def _sends(self) -> Metric:
        family = CounterMetricFamily(
            "lendgate_sends", "Requests to partners, by what was observed", labels=["connection", "verb", "observed"]
        )
        for connection in self._gateway.connections:
            for (verb, observed), count in sorted(connection.channel.observed.items()):
                family.add_metric([connection.name, verb, observed], count)
        return family

    def _channels(self) -> Iterable[Metric]:
        labels = ["connection", "verb"]
        breakers = GaugeMetricFamily("lendgate_breaker", "1 for the state it is in", labels=[*labels, "state"])
        under_way = GaugeMetricFamily("lendgate_sends_under_way", "Requests that are out now", labels=labels)
        waiting = GaugeMetricFamily("lendgate_sends_waiting", "Requests that wait for a place", labels=labels)
        for connection in self._gateway.connections:
            said: Any = connection.channel.describe()
            for verb, breaker in said["breaker"].items():
                breakers.add_metric([connection.name, verb, breaker["state"]], 1)
            for verb, room in said["limit"].items():
                under_way.add_metric([connection.name, verb], room["under_way"])
                waiting.add_metric([connection.name, verb], room["waiting"])
        return [breakers, under_way, waiting]
