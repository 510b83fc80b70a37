"""``gmsr run --metrics PORT``: how a run fares, for Prometheus, on the loopback address and as long as it runs.

Fed by telemetry alone, which may be lost: a counter may stand still for a second and then catch up, and what a
restarted agent counts begins anew. ``grafana.json`` beside this file is a dashboard of these metrics.
"""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from ..plan import Options

HOST = "127.0.0.1"


class _Count(NamedTuple):
    """A field of an agent's status as a metric."""

    field: str
    name: str
    help: str
    role: str
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]


COUNTS = (
    _Count("offered", "gmsr_jobs_offered", "Jobs that arrived at a dispatcher.", "dispatcher", CounterMetricFamily),
    _Count("completed", "gmsr_jobs_completed", "Jobs whose completion it booked.", "dispatcher", CounterMetricFamily),
    _Count("lost", "gmsr_jobs_lost", "Jobs it gave up, whatever the cause.", "dispatcher", CounterMetricFamily),
    _Count("in_flight", "gmsr_jobs_in_flight", "Jobs it has in flight.", "dispatcher", GaugeMetricFamily),
    _Count("arrived", "gmsr_server_jobs_arrived", "Jobs a server took in.", "server", CounterMetricFamily),
    _Count("departed", "gmsr_server_jobs_departed", "Jobs that left it, done.", "server", CounterMetricFamily),
    _Count("held", "gmsr_server_jobs", "Jobs it holds.", "server", GaugeMetricFamily),
    _Count("rate", "gmsr_server_rate", "Its service rate as it is, slow-downs and all.", "server", GaugeMetricFamily),
    _Count("marginal", "gmsr_server_marginal_rate", "What one more job would add.", "server", GaugeMetricFamily),
)  # fmt: skip


class Metrics(Collector):
    """A server of metrics on the loopback address. Raises UserError where the port cannot be had."""

    def __init__(self, topology: Topology, options: Options, port: int) -> None:
        self._scale = options.scale
        self._about = {"topology": topology.name, "policy": options.policy, "seed": str(options.seed)}
        self._statuses: dict[str, Mapping[str, Any]] = {}
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, addr=HOST, registry=registry)
        except OSError as error:
            raise UserError(
                f"--metrics: port {port}: {error.strerror}; name another, or 0 for any"
            ) from error
        self.address = f"http://{HOST}:{self._server.server_port}/metrics"

    def heard(self, status: Mapping[str, Any]) -> None:
        """Take what an agent says of itself. Another thread reads: one assignment, no more."""
        self._statuses[status["id"]] = status

    def collect(self) -> Iterable[Metric]:
        """All metrics as they stand."""
        yield InfoMetricFamily("gmsr_run", "What is run.", self._about)
        statuses = dict(self._statuses)
        now = GaugeMetricFamily("gmsr_time_seconds", "Emulated seconds since the start.")
        now.add_metric([], max((each["t"] for each in statuses.values()), default=0.0))
        yield now
        for count in COUNTS:
            family = count.kind(count.name, count.help, labels=[count.role])
            for agent, status in statuses.items():
                if count.field in status:
                    family.add_metric([agent], status[count.field])
            yield family
        workload = GaugeMetricFamily(
            "gmsr_server_workload", "Workload N: jobs over the scale.", labels=["server"]
        )
        for agent, status in statuses.items():
            if "held" in status:
                workload.add_metric([agent], status["held"] / self._scale)
        yield workload

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
