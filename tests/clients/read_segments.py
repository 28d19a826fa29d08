"""Other programs at Andon's files, while it writes them.

    read_segments.py watch SEGMENTS        reads again and again until it gets SIGTERM
    read_segments.py ask SEGMENTS SQL      answers one question with DuckDB, as JSON

`watch` prints one line of JSON per round: {"round", "files", "rows"}, `files` those that it has read
so far, `rows` of the spans. A file that is not whole, or figures that differ between DuckDB, pandas
and Polars, end it with status 1.
"""

import collections
import glob
import json
import os
import signal
import sys

import duckdb
import pandas
import polars
import pyarrow.parquet

ATTEMPTS = 50


class Gone(Exception):
    """A file that is not there any more."""


def named(segments):
    """What the manifest names: a list of paths for each table, and how many rows and bytes each has."""
    paths = collections.defaultdict(list)
    facts = {}
    try:
        with open(os.path.join(segments, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)["manifest"]
    except FileNotFoundError:
        # There is none before the first segment.
        return paths, facts
    for segment in manifest["segments"]:
        path = os.path.join(segments, segment["table"], f"{segment['id']:010}.parquet")
        paths[segment["table"]].append(path)
        facts[path] = segment
    return paths, facts


def reading(read):
    """`read()`, with one error for a file that went away whoever opens it."""
    try:
        return read()
    except FileNotFoundError as error:
        raise Gone(str(error)) from error
    except duckdb.IOException as error:
        if "No such file" in str(error) or "No files found" in str(error):
            raise Gone(str(error)) from error
        raise


def by_manifest(segments, read):
    """`read(paths, facts)`; once more where a file has gone that the manifest names no longer."""
    for _ in range(ATTEMPTS):
        paths, facts = named(segments)
        try:
            return reading(lambda: read(paths, facts))
        except Gone as gone:
            lost = [path for path in named(segments)[1] if not os.path.exists(path)]
            assert not lost, f"the manifest names {lost}, which are not there: {gone}"
    raise AssertionError("files go faster than they can be read")


def look_at(path):
    """Reads the whole of one file with each library; the number of its rows."""
    table = pyarrow.parquet.read_table(path)
    table.validate(full=True)
    rows = pyarrow.parquet.ParquetFile(path).metadata.num_rows
    counts = {
        "metadata": rows,
        "pyarrow": table.num_rows,
        "pandas": len(pandas.read_parquet(path, dtype_backend="pyarrow")),
        "polars": polars.read_parquet(path).height,
        "duckdb": len(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()),
    }
    assert set(counts.values()) == {rows}, f"{path}: {counts}"
    return rows


def spans_of(paths, facts):
    """The same sums over all spans, three times."""
    files = paths["spans"]
    if not files:
        return [0, 0, 0, None, None]
    sums = "count(*), sum(input_tokens), sum(output_tokens), min(start_ns), max(start_ns)"
    columns = ["input_tokens", "output_tokens", "start_ns"]
    in_duckdb = duckdb.execute(f"SELECT {sums} FROM read_parquet(?)", [files]).fetchall()[0]
    frames = [
        pandas.read_parquet(file, columns=columns, dtype_backend="pyarrow") for file in files
    ]
    frame = pandas.concat(frames)
    start = frame["start_ns"]
    in_pandas = [len(frame), *frame[columns[:2]].sum(), start.min(), start.max()]
    start = polars.col("start_ns")
    lazy = polars.scan_parquet(files).select(
        polars.len().alias("rows"),
        polars.col("input_tokens").sum(),
        polars.col("output_tokens").sum(),
        start.min().alias("first"),
        start.max().alias("last"),
    )
    in_polars = lazy.collect().row(0)
    found = [[int(value or 0) for value in row] for row in (in_duckdb, in_pandas, in_polars)]
    assert found[0] == found[1] == found[2], dict(zip(["duckdb", "pandas", "polars"], found))
    assert found[0][0] == sum(facts[file]["rows"] for file in files), "rows and manifest differ"
    return found[0]


def watch(segments):
    """Reads whatever there is until it is told to end."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    seen = set()
    rounds = rows = 0
    while not ended:
        for path in sorted(glob.glob(os.path.join(segments, "*", "*.parquet"))):
            if path in seen:
                continue
            try:
                found = reading(lambda path=path: look_at(path))
            except Gone:
                assert path not in named(segments)[1], f"{path} counts and is gone"
                continue
            fact = named(segments)[1].get(path)
            if fact is not None:
                assert fact["rows"] == found, f"{path} has {found} rows, not {fact['rows']}"
                assert fact["bytes"] == os.path.getsize(path), f"{path} has another size"
            seen.add(path)
        now = by_manifest(segments, spans_of)[0]
        assert now >= rows, f"there were {rows} spans, and now there are {now}"
        rows, rounds = now, rounds + 1
        line = {"round": rounds, "files": len(seen), "rows": rows}
        print(json.dumps(line), flush=True)


def ask(segments, sql):
    """Prints the rows of one question about the tables, as `andon query` does: without nulls."""

    def answer(paths, _facts):
        connection = duckdb.connect()
        for table, files in paths.items():
            connection.from_parquet(files).create_view(table)
        found = connection.sql(sql)
        return [dict(zip(found.columns, row)) for row in found.fetchall()]

    for row in by_manifest(segments, answer):
        print(json.dumps({name: value for name, value in row.items() if value is not None}))


if __name__ == "__main__":
    {"watch": watch, "ask": ask}[sys.argv[1]](*sys.argv[2:])
