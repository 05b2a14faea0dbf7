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
        callbacks = CounterMetricFamily(
            "lendgate_callbacks", "Messages from partners, by verdict", labels=["connection", "verdict"]
        )
        for (connection, verdict), count in sorted(self._gateway.callbacks.verdicts.items()):
            callbacks.add_metric([connection, verdict], count)
        yield callbacks
        working = GaugeMetricFamily(
            "lendgate_connection_working", "1: configured and working; 0: broken", labels=["connection"]
        )
        channels = GaugeMetricFamily(
            "lendgate_channel", "What the way to a partner says about itself", labels=["connection", "what", "value"]
        )
        for connection in self._gateway.connections:
            working.add_metric([connection.name], 1)
            for what, value in _described(connection.channel):
                number = float(value) if isinstance(value, bool | int | float) else 1.0
                text = value if isinstance(value, str) else ""
                channels.add_metric([connection.name, what, text], number)
        for name in self._gateway.connections.broken:
            working.add_metric([name], 0)
        yield working
        yield channels


def _described(channel: Any) -> list[tuple[str, Any]]:
    """Plain values of `describe()`, where the channel has it; one level of nesting is joined by a dot."""
    describe = getattr(channel, "describe", None)
    if describe is None:
        return []
    found: list[tuple[str, Any]] = []
    for name, value in describe().items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for part, plain in inner:
            if isinstance(plain, bool | int | float | str):
                found.append((f"{name}.{part}" if part else name, plain))
    return found
