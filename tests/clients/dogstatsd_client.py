"""Sends what Datadog's own client for DogStatsD can send, to the port that is given."""

import sys

from datadog.dogstatsd import DogStatsd

client = DogStatsd(
    host="127.0.0.1",
    port=int(sys.argv[1]),
    constant_tags=["service:shop", "env:test"],
    # Its own figures are no subject here.
    telemetry_min_flush_interval=3600,
)
for _ in range(3):
    client.increment("orders", 2, tags=["model:granite3.2:2b"])
client.gauge("queue", 7)
client.gauge("queue", 4)
for value in (10, 20, 30):
    client.distribution("latency", value, tags=["route:/chat"])
    client.timing("load", value)
client.set("users", "ann")
client.set("users", "ann")
client.set("users", "bob")
client.event("デプロイ", "なぜ遅いのか、利用者に聞くこと\nsecond line", alert_type="warning")
client.service_check("ollama.up", 2, message="no | answer from the machine at the window")
client.flush()
client.close_socket()
