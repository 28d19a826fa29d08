"""An app that traces itself with OpenTelemetry's SDK: one order, at times that are always the same.

    orders.py grpc|http none|gzip|deflate URL START_NS

Prints {"trace_id", "spans": {NAME: SPAN_ID}}. What the SDK says of itself is on standard error.
"""

import json
import logging
import os
import sys

protocol, compression, url, start_ns = sys.argv[1:]
if compression != "none" and protocol == "http":
    os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: E402
from opentelemetry.trace import (  # noqa: E402
    Link,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    # The environment's variable knows gzip alone.
    known = {
        "none": Compression.NoCompression,
        "gzip": Compression.Gzip,
        "deflate": Compression.Deflate,
    }
    exporter = OTLPSpanExporter(endpoint=url, insecure=True, compression=known[compression])
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")

resource = Resource.create(
    {"service.name": "注文", "deployment.environment.name": "試験", "service.version": "1.2"}
)
provider = TracerProvider(resource=resource)
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("orders", "7.8")


def at(ms):
    return int(start_ns) + ms * 1_000_000


order = tracer.start_span(
    "注文を受ける",
    kind=SpanKind.SERVER,
    start_time=at(0),
    attributes={
        "顧客": "青木",
        "注文.数": 3,
        "注文.番号": 9_007_199_254_740_991,
        "注文.比率": 0.5,
        "注文.急ぎ": True,
        "注文.品": ["寿司", "茶"],
        "http.request.method": "POST",
        "http.route": "/orders/{id}",
        "http.response.status_code": 201,
    },
)
order.add_event("在庫を見た", {"棚": "二番", "残り": 4}, timestamp=at(20))
inside = set_span_in_context(order)
earlier = SpanContext(0xAAAA << 112, 0xBBBB << 48, is_remote=True, trace_flags=TraceFlags(1))
payment = tracer.start_span(
    "支払い", inside, kind=SpanKind.CLIENT, start_time=at(50), links=[Link(earlier, {"訳": "前回"})]
)
payment.end(at(150))
parcel = tracer.start_span("発送", inside, kind=SpanKind.PRODUCER, start_time=at(160))
try:
    raise ValueError("住所がありません")
except ValueError as failure:
    parcel.record_exception(failure, timestamp=at(170))
    parcel.set_status(StatusCode.ERROR, str(failure))
parcel.end(at(240))
order.set_status(StatusCode.OK)
order.end(at(250))
provider.shutdown()

spans = {span.name: f"{span.context.span_id:016x}" for span in (order, payment, parcel)}
print(json.dumps({"trace_id": f"{order.context.trace_id:032x}", "spans": spans}))
