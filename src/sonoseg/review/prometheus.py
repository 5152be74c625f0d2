"""Prometheus metrics: requests, predictions, saves, queue length."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = CONTENT_TYPE_LATEST

API = "/api/v1"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one server; docs/server.md lists them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "sonoseg_requests",
            "Requests, by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "sonoseg_request_seconds",
            "From the head of a request to the end of its response, by method and route.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.predictions = Counter(
            "sonoseg_predictions", "Predictions, by outcome.", ("outcome",), registry=self._registry
        )
        self.prediction_seconds = Histogram(
            "sonoseg_prediction_seconds",
            "From the request of a prediction to its result.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self.saves = Counter(
            "sonoseg_saves", "Changes by readers, by what was saved.", ("what",), registry=self._registry
        )
        self.uploads = Counter(
            "sonoseg_uploads", "Uploaded files, by outcome.", ("outcome",), registry=self._registry
        )
        self._depth = Gauge(
            "sonoseg_queue_depth", "Submitted images without a result.", registry=self._registry
        )
        self._ready = Gauge("sonoseg_ready", "1 once the model is loaded.", registry=self._registry)
        self._info = Gauge(
            "sonoseg_model", "The model.", ("name", "hash", "runtime"), registry=self._registry
        )
        ProcessCollector(registry=self._registry)
        for outcome in ("done", "failed"):
            self.predictions.labels(outcome)
        for outcome in ("added", "refused"):
            self.uploads.labels(outcome)
        for what in ("mask", "review", "signed", "referred", "reopened"):
            self.saves.labels(what)

    def watch(self, depth: Callable[[], float], ready: Callable[[], float]) -> None:
        """Set the functions that give the queue's length and whether the model is loaded."""
        self._depth.set_function(depth)
        self._ready.set_function(ready)

    def model(self, name: str, digest: str, runtime: str) -> None:
        """Set the loaded model."""
        self._info.labels(name, digest, runtime).set(1)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class RequestMetrics:
    """Count requests and measure their time."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request; an address without a route counts as "none", so that labels stay few."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            route = _route(scope)
            method = scope["method"] if route != "none" else "any"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.request_seconds.labels(method, route).observe(time.perf_counter() - began)


def _route(scope: Scope) -> str:
    """The route's template as OpenAPI has it; "none" where there is none."""
    path = str(getattr(scope.get("route"), "path", None) or "")
    if not path:
        return "none"
    # An included router may give its path without the prefix.
    return path if path.startswith(API) or not scope["path"].startswith(API) else API + path
