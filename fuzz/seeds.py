#!/usr/bin/env python3
"""Writes beginnings for fuzzing from the recordings of the receivers' tests: fuzz/seeds.py FOLDER.

Each file has the bytes before it that its target in fuzz_targets/ reads first. Recordings are taken apart
into their spans, since small inputs are changed much faster than large ones. There are more than are
worth keeping: fuzz/seeds has those that reach something of their own, as `-merge=1` finds them, and
what once was a bug (`bug-*`).
"""

import gzip
import json
import struct
import sys
import zlib
from pathlib import Path

FIXTURES = Path(__file__).parent.parent / "crates/receive/tests/fixtures"
OUT = Path(sys.argv[1])
SIGNALS = ["traces", "metrics", "logs"]
LARGEST = 10_000
BETWEEN = b"\xff\xfe"


def first(*choices):
    """The byte of these choices, each (place, count); see `Choices` in fuzz/src/lib.rs."""
    byte, step = 0, 1
    for place, count in choices:
        byte += place * step
        step *= count
    return bytes([byte])


def write(target, name, data):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """Number and bytes of each field, its head among them."""
    at = 0
    while at < len(data):
        begin = at
        head, at = varint(data, at)
        if head & 7 == 0:
            _, at = varint(data, at)
            inner = b""
        elif head & 7 == 2:
            length, at = varint(data, at)
            inner = data[at : at + length]
            at += length
        else:
            at += 8 if head & 7 == 1 else 4
            inner = b""
        yield head >> 3, data[begin:at], inner


def field(number, inner):
    length, head = len(inner), b""
    while True:
        head += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + head + inner


def alone(request):
    """Requests with one span, record or metric each."""
    for _, _, resource in fields(request):
        of_resource = b"".join(whole for number, whole, _ in fields(resource) if number != 2)
        for number, _, scope in fields(resource):
            if number != 2:
                continue
            of_scope = b"".join(whole for number, whole, _ in fields(scope) if number != 2)
            for number, whole, _ in fields(scope):
                if number == 2:
                    yield field(1, of_resource + field(2, of_scope + whole))


def zstd_raw(data):
    """A frame of one block that is not packed: magic, no checksum, window of 128 KiB."""
    block = struct.pack("<I", len(data) << 3 | 1)[:3] + data
    return b"\x28\xb5\x2f\xfd\x00\x38" + block


def zstd_bomb(count):
    """Blocks that say one byte 128 KiB times."""
    blocks = [struct.pack("<I", (128 << 10) << 3 | 2 | (at == count - 1))[:3] + b"\0" for at in range(count)]
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(blocks)


def pack(encoding, data):
    if encoding == "gzip":
        return gzip.compress(data, mtime=0)
    if encoding == "deflate":
        return zlib.compress(data)
    return zstd_raw(data) if encoding == "zstd" else data


def otlp():
    for file in sorted(FIXTURES.glob("otlp/*/*.bin")):
        body = file.read_bytes()
        if body.startswith(b"\x1f\x8b"):
            body = gzip.decompress(body)
        name = f"{file.parent.name}-{file.name[:3]}"
        signal = next(at for at, word in enumerate(SIGNALS) if word in file.name)
        if body.startswith(b"{"):
            write("otlp_json", name, first((signal, 3), (0, 3)) + body)
            packed = gzip.compress(body, mtime=0)
            write("packed", f"{name}-json", first((0, 4), (1, 2)) + b"\x80" + packed)
            continue
        for at, request in enumerate(alone(body)):
            if len(request) > LARGEST:
                continue
            policy = (at % 3, 3)
            write("otlp_protobuf", f"{name}-{at}", first((signal, 3), policy) + request)
            if len(request) > 2_000 or at > 0:
                continue
            for place, encoding in enumerate(["", "gzip", "deflate", "zstd"]):
                packed = pack(encoding, request)
                framed = struct.pack(">BI", bool(encoding), len(packed)) + packed
                head = first((signal, 3), (place, 5), policy) + b"\x03"
                write("otlp_grpc", f"{name}-{encoding or 'plain'}", head + framed)
            for place, encoding in enumerate(["gzip", "deflate", "zstd", "identity"]):
                packed = pack(encoding, request)
                for room in range(2):
                    head = first((place, 4), (0, 2), policy, (room, 2)) + b"\x80"
                    write("packed", f"{name}-{encoding}-{room}", head + packed)
    for place, bomb in enumerate([gzip.compress(bytes(1 << 20), mtime=0), zlib.compress(bytes(1 << 20)), zstd_bomb(8)]):
        write("packed", f"bomb-{place}", first((place, 4)) + b"\0" + bomb)


def datadog():
    folder = FIXTURES / "datadog"
    read = lambda name: (folder / name).read_bytes()
    v04, v05 = read("ddtrace-4.16.v04.msgpack"), read("ddtrace-3.10.v05.msgpack")
    for at, name in enumerate(["article-node", "article-python", "ddtrace-4.16"]):
        write("datadog_traces", name, first((0, 3), (0, 3), (at, 3)) + read(f"{name}.v04.msgpack"))
    write("datadog_traces", "v05", first((1, 3), (0, 3)) + v05)
    span = b'{"trace_id":1,"span_id":2,"parent_id":"3","service":"s","name":"n","resource":"SELECT 1","type":"sql","start":1700000000000000000,"duration":5,"error":1,"meta":{"env":"prod","_dd.p.tid":"6b05c23d00000000","error.message":"no","span.kind":"client"},"metrics":{"_sampling_priority_v1":1,"process_id":7},"span_links":[{"trace_id":4,"span_id":5}],"span_events":[{"name":"exception","time_unix_nano":1700000000000000001,"attributes":{"exception.message":"no"}}]}'
    write("datadog_traces", "json", first((0, 3), (1, 3)) + b"[[" + span + b"]]")
    row = b'[["","s","n","r","web","env","prod","pid"],[[[1,2,3,1,2,0,1700000000000000000,5,0,{"5":6},{"7":1},4]]]]'
    write("datadog_traces", "json-v05", first((1, 3), (2, 3)) + row)
    events, said = read("ddtrace-3.10-llmobs.json"), read("ddtrace-3.10-evaluations.json")
    doors = {"llmobs": b"\0" + events, "evaluations": b"\1" + said, "json": b"\3[[" + span + b"]]"}
    doors["packed"] = b"\2" + v04
    doors["evaluations-4"] = b"\1" + read("ddtrace-4.16-evaluations.json")
    small = b'\0[{"spans":[{"trace_id":"1","span_id":"2","tags":["k:v","ml_app:a"],"name":"n","start_ns":1700000000000000000,"duration":9,"meta":{"span":{"kind":"llm"},"input":{"messages":[{"role":"user","content":"hello there"}]},"output":{"value":"well"},"error":{"message":"hello there"}},"metrics":{"input_tokens":3}}]}]'
    mark = b'\3[[{"trace_id":1,"span_id":2,"type":"llm","start":1700000000000000000,"meta":{"_dd.llmobs.submitted":"1","error.message":"hello there"}}]]'
    tag = b'\1{"data":{"attributes":{"metrics":[{"join_on":{"tag":{"key":"k","value":"v"}},"label":"q","metric_type":"boolean","boolean_value":true,"reasoning":"so"},{"trace_id":"1","span_id":2,"label":"q","metric_type":"categorical","categorical_value":"c"}]}}}'
    for at, (name, request) in enumerate(doors.items()):
        write("datadog_llm", name, bytes([at % 3]) + request)
    for at, order in enumerate([[small, mark, tag], [tag, mark, small], [mark, small, small], [doors["llmobs"], doors["evaluations"]]]):
        write("datadog_llm", f"several-{at}", bytes([at % 3]) + BETWEEN.join(order))


def langfuse():
    for file in sorted(FIXTURES.glob("langfuse/*.json")):
        batches = json.loads(file.read_text())
        requests = [b"\0" + json.dumps(batch, ensure_ascii=False).encode() for batch in batches]
        for at, request in enumerate(requests):
            write("langfuse", f"{file.stem}-{at}", bytes([at % 3]) + request)
        write("langfuse", f"{file.stem}-all", b"\0" + BETWEEN.join(reversed(requests)))
    media = b'\2{"contentType":"image/png","contentLength":12,"sha256Hash":"8CqDDPA6HPdWwEYUgdtoK8klSlo5n4R0lNM4UMP/cVY=","traceId":"t","field":"input"}'
    scores = (FIXTURES / "otlp-langfuse-scores.json").read_bytes()
    reference = b'\0{"batch":[{"id":"1","type":"generation-update","body":{"id":"g","traceId":"t","usageDetails":{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":1}},"costDetails":{"total":1},"metadata":"x","input":["@@@langfuseMedia:type=image/png|id=f02a830cf03a1cf756c0461481db682bc9254a5a399f847494d33850c3ff7156-12|source=bytes@@@"]}},{"id":"2","type":"trace-create","body":{"id":"t","tags":["a"],"end_time":"2026-12-01T04:42:10Z"}},{"id":"3","type":"score-create","body":{"traceId":"t","name":"q","value":true}},{"id":"4","type":"sdk-log","body":{}}]}'
    for at, (name, request) in enumerate({"media": media, "scores": b"\1" + scores, "reference": reference}.items()):
        write("langfuse", name, bytes([at % 3]) + request)


def dogstatsd():
    lines = [
        "chat.tokens:1:2.5|d|@0.5|#model:granite3.2:2b,beta|c:in-42|T1700000000",
        "c:1|c\nc:2|c|@0.5\ng:-7.5e3|g\nt:3|ms|#env:prod,service:web,host:h\ns:a:b|s\ns:b|s\nh:1e300:-1e300:0|h",
        "_e{9,5}:起動し|a|b:c|t:warning|h:vps|#k:v\n_sc|db.up|2|d:1700000000|h:vps|#a:b|m:no | answer",
    ]
    for at, text in enumerate(lines):
        write("dogstatsd", f"lines-{at}", first((at, 3), (at, 3)) + text.encode())


def otlp_in_json():
    """What no recording has."""
    span = '{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"","name":"chat m","kind":"SPAN_KIND_CLIENT","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,"status":{"code":2,"message":"no"},"attributes":[%s],"events":[{"name":"gen_ai.user.message","timeUnixNano":"1544712660000000001","attributes":[{"key":"content","value":{"stringValue":"hello"}}]}],"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175"}]}'
    values = '{"key":"gen_ai.request.model","value":{"stringValue":"m"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"3"}},{"key":"llm.input_messages.0.message.content","value":{"stringValue":"hi"}},{"key":"gen_ai.input.messages","value":{"stringValue":"[{\\"role\\":\\"user\\",\\"parts\\":[{\\"type\\":\\"text\\",\\"content\\":\\"hello\\"}]}]"}},{"key":"a","value":{"arrayValue":{"values":[{"doubleValue":"NaN"},{"boolValue":true},{"bytesValue":"aGk="},{"kvlistValue":{"values":[{"key":"k","value":{}}]}}]}}}'
    request = '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"scopeSpans":[{"scope":{"name":"n"},"spans":[%s]}]}]}' % (span % values)
    write("otlp_json", "span", first((0, 3), (1, 3)) + request.encode())
    histograms = '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1","count":"3","sum":1.5,"bucketCounts":["1","2"],"explicitBounds":[1]}]}},{"name":"e","exponentialHistogram":{"dataPoints":[{"count":3,"scale":1,"zeroCount":1,"positive":{"offset":-1,"bucketCounts":["2"]}}]}},{"name":"s","summary":{"dataPoints":[{"count":1,"sum":2}]}},{"name":"g","gauge":{"dataPoints":[{"asDouble":"Infinity"}]}}]}]}]}'
    write("otlp_json", "metrics", first((1, 3), (2, 3)) + histograms.encode())
    log = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5","severityText":"WARN","eventName":"gen_ai.evaluation.result","traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","body":{"stringValue":"x"},"attributes":[{"key":"gen_ai.evaluation.name","value":{"stringValue":"q"}},{"key":"gen_ai.evaluation.score.value","value":{"doubleValue":0.5}}]}]}]}]}'
    write("otlp_json", "evaluation", first((2, 3), (0, 3)) + log.encode())


otlp()
otlp_in_json()
datadog()
langfuse()
dogstatsd()
