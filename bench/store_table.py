"""The lines of bench_store and store_peers as one table: store_table.py FILE."""

import json
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    found = {line["what"]: line for line in lines}
    print("| what | Andon | DuckDB | ratio |\n| --- | ---: | ---: | ---: |")
    for what, line in found.items():
        if "p95_ms" not in line or what.startswith("duckdb: "):
            continue
        own, peer = line["p95_ms"], found.get(f"duckdb: {what}", {}).get("p95_ms")
        ratio = f"{own / peer:.2f}" if peer else ""
        print(f"| {what}, p95 ms | {own} | {peer or ''} | {ratio} |")
    ingest, sqlite = found.get("ingest all"), found.get("sqlite: ingest")
    if ingest and sqlite:
        own, peer = ingest["spans_per_s"], sqlite["spans_per_s"]
        print(f"\ningest: {own:,.0f} spans/s; SQLite {peer:,.0f}: {own / peer:.1f} times as many")
    for line in lines:
        if "p95_ms" not in line:
            print(json.dumps(line))


if __name__ == "__main__":
    main()
