"""What other engines do with the spans that the store has just been filled with.

    store_peers.py FOLDER DAYS

reads FOLDER/data/segments/spans/*.parquet. DuckDB takes all of them into a file of its own and
answers the same questions; SQLite (WAL, a transaction for each 1,000 rows, synchronous as the
store's own acknowledgement) takes a million. Prints one JSON object a line, as bench_store does.
"""

import json
import os
import resource
import sqlite3
import sys
import time

import duckdb

END_NS = 1_793_491_200_000_000_000
DAY_NS = 86_400_000_000_000
ROUNDS = 20
SQLITE_ROWS = 1_000_000
ROWS_PER_TRANSACTION = 1_000


def tell(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)


def measure(name, ask):
    """First, then ROUNDS times; milliseconds."""
    times = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        ask()
        times.append((time.perf_counter() - started) * 1e3)
    first, rest = times[0], sorted(times[1:])
    tell(
        name,
        first_ms=round(first, 2),
        p50_ms=round(rest[ROUNDS // 2], 2),
        p95_ms=round(rest[ROUNDS * 95 // 100 - 1], 2),
    )


def questions(days):
    """The same as of the store: its names, and what they are in SQL."""
    day, all_days = END_NS - DAY_NS, END_NS - days * DAY_NS
    calls = "llm_kind IN ('llm', 'embedding')"
    figures = (
        "count(*), count(*) FILTER (status = 'error'), approx_quantile(duration_ns, 0.5), "
        "approx_quantile(duration_ns, 0.95), approx_quantile(ttft_ns, 0.95), "
        "sum(input_tokens), sum(output_tokens), sum(queue_ns), sum(load_ns), "
        "sum(prompt_eval_ns), sum(eval_ns)"
    )

    def series(step_ns, since, where="true", by=""):
        comma = f"{by}, " if by else ""
        return (
            f"SELECT {comma}start_ns // {step_ns} AS step, {figures} FROM spans "
            f"WHERE start_ns >= {since} AND start_ns < {END_NS} AND {where} GROUP BY ALL"
        )

    hour = 3_600_000_000_000
    return {
        "overview 24 h": series(hour // 6, day, calls),
        "overview 24 h, all spans": series(hour // 6, day),
        "overview 7 d": series(hour, END_NS - 7 * DAY_NS, calls),
        "overview 30 d": series(6 * hour, all_days, calls),
        "overview 30 d, all spans": series(6 * hour, all_days),
        "overview 30 d by model": series(6 * hour, all_days, calls, "model"),
        "overview 30 d of a service": series(6 * hour, all_days, "service = 'gateway'"),
        "overview 30 d of slow ones (spans)": series(
            6 * hour, all_days, "duration_ns > 5000000000"
        ),
        "sql: 24 h by minute with percentiles": (
            "SELECT start_ns // 60000000000 AS minute, count(*), approx_quantile(duration_ns, 0.95)"
            f" FROM spans WHERE start_ns >= {day} GROUP BY 1"
        ),
        "sql: 30 d by hour, all services": (
            f"SELECT service, start_ns // {hour} AS hour, count(*), avg(duration_ns) FROM spans"
            f" WHERE start_ns >= {all_days} GROUP BY 1, 2"
        ),
        "sql: latest 50 slow of a day": (
            f"SELECT * FROM spans WHERE start_ns >= {day} AND duration_ns > 5000000000"
            " ORDER BY start_ns DESC LIMIT 50"
        ),
        "heat map 24 h": (
            "SELECT start_ns // 600000000000 AS t, floor(log10(duration_ns) * 6) AS d, count(*)"
            f" FROM spans WHERE start_ns >= {day} AND duration_ns > 0 GROUP BY 1, 2"
        ),
    }


def ask_duckdb(folder, days):
    path = os.path.join(folder, "peer.duckdb")
    base = duckdb.connect(path, config={"threads": min(2, os.cpu_count() or 1)})
    files = os.path.join(folder, "data/segments/spans/*.parquet")
    started = time.perf_counter()
    base.execute(f"CREATE TABLE spans AS SELECT * FROM read_parquet('{files}') ORDER BY start_ns")
    base.execute("CHECKPOINT")
    (rows,) = base.execute("SELECT count(*) FROM spans").fetchone()
    tell(
        "duckdb: fill from the files, at once",
        spans=rows,
        spans_per_s=round(rows / (time.perf_counter() - started)),
        bytes_per_span=round(os.path.getsize(path) / rows, 1),
    )
    for name, sql in questions(days).items():
        measure(f"duckdb: {name}", lambda sql=sql: base.execute(sql).fetchall())
    (trace_id,) = base.execute("SELECT trace_id FROM spans LIMIT 1 OFFSET 4321").fetchone()
    one = "SELECT * FROM spans WHERE trace_id = ?"
    measure("duckdb: trace by id", lambda: base.execute(one, [trace_id]).fetchall())
    base.close()


def fill_sqlite(folder):
    """Rows are made beforehand; what is timed is the insertion, through Python's own module, whose
    statements are bound in C."""
    files = os.path.join(folder, "data/segments/spans/*.parquet")
    rows = duckdb.execute(
        "SELECT * REPLACE (CAST(to_json(attributes) AS VARCHAR) AS attributes)"
        f" FROM read_parquet('{files}') LIMIT {SQLITE_ROWS}"
    )
    columns = [column[0] for column in rows.description]
    base = sqlite3.connect(os.path.join(folder, "peer.sqlite"), isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = FULL")
    base.execute(f"CREATE TABLE spans ({', '.join(columns)}, PRIMARY KEY (trace_id, span_id))")
    base.execute("CREATE INDEX spans_by_time ON spans (service, start_ns)")
    insert = f"INSERT INTO spans VALUES ({', '.join('?' * len(columns))})"
    busy, stored = 0.0, 0
    while chunk := rows.fetchmany(50 * ROWS_PER_TRANSACTION):
        started = time.perf_counter()
        for begin in range(0, len(chunk), ROWS_PER_TRANSACTION):
            base.execute("BEGIN")
            base.executemany(insert, chunk[begin : begin + ROWS_PER_TRANSACTION])
            base.execute("COMMIT")
        busy += time.perf_counter() - started
        stored += len(chunk)
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = os.path.getsize(os.path.join(folder, "peer.sqlite"))
    tell(
        "sqlite: ingest",
        spans=stored,
        spans_per_s=round(stored / busy),
        bytes_per_span=round(size / stored, 1),
    )


def main():
    folder, days = sys.argv[1], int(sys.argv[2])
    ask_duckdb(folder, days)
    fill_sqlite(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    tell("peers: memory", peak_rss_mib=peak)


if __name__ == "__main__":
    main()
