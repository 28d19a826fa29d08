"""An app that measures its machine with OpenTelemetry's instrumentation, once a second, until it is ended.

    measures.py grpc|http URL HOST SERVICE
"""

import logging
import signal
import sys

protocol, url, host, service = sys.argv[1:]
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402

if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(endpoint=url, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(endpoint=f"{url}/v1/metrics")

reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1_000)
resource = Resource.create({"host.name": host, "service.name": service})
provider = MeterProvider([reader], resource=resource)
SystemMetricsInstrumentor().instrument(meter_provider=provider)
signal.pause()
