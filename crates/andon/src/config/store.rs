//! `[store]` and `[limits]` of `andon.toml`: how much is kept, how large one span may be, and what an
//! answer may cost. Bounds keep out what would break: a memory of nothing, a time of a year.

use std::{ops::RangeInclusive, time::Duration};

use andon_privacy::SpanLimits;
use andon_store::{Config, Retention};
use toml::Table;

use super::{Origins, section::Section};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `[store]`.
pub(super) fn store(said: Option<Table>, origins: &mut Origins) -> anyhow::Result<Config> {
    let mut table = Section::new("store", said, origins);
    let mut config = Config::default();
    let Config { keep_spans, keep_contents, keep_samples, keep_metrics, keep_rollups, .. } =
        &mut config;
    keep(&mut table, "keep_spans", keep_spans)?;
    keep(&mut table, "keep_contents", keep_contents)?;
    keep(&mut table, "keep_samples", keep_samples)?;
    keep(&mut table, "keep_metrics", keep_metrics)?;
    keep(&mut table, "keep_rollups", keep_rollups)?;
    // Three generations of it may be in memory, and one column of them has at most 2 GiB.
    table.size("hot_memory", &mut config.hot_bytes, MIB..=256 * MIB)?;
    table.time("seal_after", &mut config.segment_age, SECOND..=DAY)?;
    table.time("commit_interval", &mut config.commit_interval, MILLISECOND..=10 * SECOND)?;
    table.time("late_window", &mut config.late_window, MINUTE..=30 * DAY)?;
    table.time("scrub_interval", &mut config.scrub_interval, HOUR..=365 * DAY)?;
    table.size("scrub_rate", &mut config.scrub_bytes_per_s, 64 * KIB..=GIB)?;
    answers(&mut table, &mut config)?;
    table.finish()?;
    Ok(config)
}

/// What an answer may hold and cost.
fn answers(table: &mut Section<'_>, config: &mut Config) -> anyhow::Result<()> {
    table.count("page_rows", &mut config.page_rows, 10..=10_000)?;
    table.count("facet_values", &mut config.facet_values, 5..=1_000)?;
    table.count("trace_spans", &mut config.spans_per_trace, 100..=1_000_000)?;
    table.size("trace_text", &mut config.trace_text_bytes, 64 * KIB..=256 * MIB)?;
    table.time("sample_range", &mut config.sample_range, HOUR..=31 * DAY)?;
    table.count("sample_points", &mut config.sample_points, 60..=100_000)?;
    table.count("search_traces", &mut config.search_traces, 10..=100_000)?;
    table.time("search_time", &mut config.search_time, 10 * MILLISECOND..=MINUTE)?;
    table.time("aggregate_time", &mut config.aggregate_time, 100 * MILLISECOND..=10 * MINUTE)?;
    table.size("aggregate_memory", &mut config.aggregate_bytes, 4 * MIB..=4 * GIB)?;
    table.count("question_threads", &mut config.question_threads, 1..=256)?;
    table.size("sql_memory", &mut config.sql_memory_bytes, 16 * MIB..=64 * GIB)?;
    table.count("sql_rows", &mut config.sql_rows, 1..=1_000_000)?;
    table.time("sql_time", &mut config.sql_time, 100 * MILLISECOND..=HOUR)?;
    table.count("sql_at_once", &mut config.sql_at_once, 1..=64)?;
    table.count("sql_threads", &mut config.sql_threads, 1..=256)
}

fn keep(table: &mut Section<'_>, key: &'static str, keep: &mut Retention) -> anyhow::Result<()> {
    const SIZES: RangeInclusive<u64> = MIB..=16 * TIB;
    let mut table = table.inner(key, "{ age = \"30d\", size = \"1GiB\" }")?;
    table.time("age", &mut keep.age, HOUR..=3_650 * DAY)?;
    table.size("size", &mut keep.bytes, SIZES)?;
    table.finish()
}

/// `[limits]`.
pub(super) fn limits(said: Option<Table>, origins: &mut Origins) -> anyhow::Result<SpanLimits> {
    let mut table = Section::new("limits", said, origins);
    let mut limits = SpanLimits::default();
    table.count("attributes", &mut limits.attributes, 8..=10_000)?;
    table.size("attribute_name", &mut limits.attribute_name_bytes, 32..=4 * KIB)?;
    table.size("attribute_value", &mut limits.attribute_value_bytes, 512..=256 * KIB)?;
    // Four thousand spans are read at a time, and one column of them has at most 2 GiB.
    table.size("attributes_size", &mut limits.attribute_bytes, 4 * KIB..=256 * KIB)?;
    table.size("name", &mut limits.name_bytes, 64..=64 * KIB)?;
    table.size("error_message", &mut limits.error_message_bytes, 256..=256 * KIB)?;
    table.count("texts", &mut limits.texts, 2..=100_000)?;
    table.size("text", &mut limits.text_bytes, KIB..=4 * MIB)?;
    table.finish()?;
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> anyhow::Result<(Config, SpanLimits, Origins)> {
        let mut file: Table = text.parse()?;
        let mut table = |name| file.remove(name).and_then(|value| value.try_into().ok());
        let (said, said_limits) = (table("store"), table("limits"));
        let mut origins = Origins::new();
        let store = store(said, &mut origins)?;
        let limits = limits(said_limits, &mut origins)?;
        Ok((store, limits, origins))
    }

    #[test]
    fn what_is_said_is_taken_and_the_rest_is_default() {
        let (store, limits, origins) = read(
            "[store]\nhot_memory = \"64MiB\"\nkeep_spans = { age = \"90d\" }\nsql_rows = 5\n\
             search_time = 3\n[limits]\ntext = 4096\n",
        )
        .unwrap();
        let default = Config::default();
        assert_eq!((store.hot_bytes, store.sql_rows, limits.text_bytes), (64 << 20, 5, 4_096));
        assert_eq!(store.keep_spans, Retention { age: 90 * DAY, ..default.keep_spans });
        assert_eq!((store.search_time, store.sql_time), (3 * SECOND, default.sql_time));
        let shown = |name| origins.iter().find(|(known, ..)| known == name).cloned().unwrap();
        assert_eq!(
            shown("store.keep_spans.age"),
            ("store.keep_spans.age".to_owned(), "90d".to_owned(), "andon.toml")
        );
        assert_eq!(shown("store.keep_spans.size").1, "1GiB");
        assert_eq!(shown("store.keep_spans.size").2, "default");
    }

    #[test]
    fn what_is_wrong_is_named_with_a_good_value() {
        let message = |text: &str| format!("{:#}", read(text).expect_err("an error"));
        for (text, parts) in [
            (
                "[store]\nhot_memory = \"64 apples\"\n",
                &["store.hot_memory", "\"64 apples\" is no size", "\"16MiB\""][..],
            ),
            ("[store]\nhot_memory = 0\n", &["store.hot_memory", "must be from 1MiB to 256MiB"]),
            ("[store]\nhot_memory = \"1TiB\"\n", &["must be from 1MiB to 256MiB"]),
            ("[store]\npage_rows = -1\n", &["store.page_rows: -1 is no number", "such as 500"]),
            ("[store]\npage_rows = \"500\"\n", &["is no number"]),
            ("[store]\nsql_time = \"2y\"\n", &["store.sql_time", "is no time", "\"30s\""]),
            ("[store]\nkeep_spans = \"30d\"\n", &["store.keep_spans", "is no table", "age ="]),
            (
                "[store]\nkeep_spans = { age = \"1s\" }\n",
                &["store.keep_spans.age", "from 1h to 3650d"],
            ),
            (
                "[store]\nkeep_spans = { aeg = \"1d\" }\n",
                &["\"store.keep_spans.aeg\"", "\"store.keep_spans.age\""],
            ),
            ("[store]\nhot_bytes = 1\n", &["\"store.hot_bytes\"", "\"store.hot_memory\""]),
            ("[limits]\natributes = 1\n", &["\"limits.atributes\"", "\"limits.attributes\""]),
            ("[limits]\ntext = 1.5\n", &["limits.text: 1.5 is no size"]),
        ] {
            let message = message(text);
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
    }

    #[test]
    fn docs_have_each_setting_with_its_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/store.md");
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
        let documented: Vec<_> = rows
            .filter_map(|(name, rest)| Some((name.to_owned(), rest.split_once('`')?.0.to_owned())))
            .collect();
        let (_, _, origins) = read("").unwrap();
        let known: Vec<_> = origins
            .into_iter()
            // The default is the machine's.
            .map(|(name, default, _)| match name.as_str() {
                "store.question_threads" | "store.sql_threads" => (name, "2".to_owned()),
                _ => (name, default),
            })
            .collect();
        assert_eq!(documented, known);
    }
}
