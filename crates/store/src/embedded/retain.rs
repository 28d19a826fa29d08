//! Which segments have had their time.

use std::collections::HashSet;

use andon_model::UnixNanos;

use crate::{Config, Retention, segment::SegmentInfo, table::Table};

/// Segments to let go of at this time: too old, or the oldest of too many bytes.
pub(super) fn outdated(
    segments: &[SegmentInfo],
    config: &Config,
    now_ns: UnixNanos,
) -> HashSet<u64> {
    let groups: [(Retention, &[Table]); 5] = [
        (config.keep_spans, &[Table::Spans, Table::Traces]),
        (config.keep_contents, &[Table::Contents, Table::Evaluations]),
        (
            config.keep_samples,
            &[Table::Hosts, Table::Processes, Table::Devices, Table::ModelEvents],
        ),
        (config.keep_metrics, &[Table::Metrics]),
        (config.keep_rollups, &[Table::Rollups]),
    ];
    groups
        .into_iter()
        .flat_map(|(keep, tables)| {
            let of_group = segments.iter().filter(|info| tables.contains(&info.table));
            outdated_of(of_group.collect(), keep, now_ns)
        })
        .collect()
}

/// Age is counted from when a segment was written, not from the times in it: a span of 1970 is kept
/// as long as any other, and one of 2070 no longer.
fn outdated_of(mut group: Vec<&SegmentInfo>, keep: Retention, now_ns: UnixNanos) -> Vec<u64> {
    group.sort_by_key(|info| (info.created_ns, info.to_ns));
    let age_ns = u64::try_from(keep.age.as_nanos()).unwrap_or(u64::MAX);
    let size = |info: &SegmentInfo| info.bytes + info.grams_bytes;
    let mut bytes: u64 = group.iter().map(|info| size(info)).sum();
    let is_outdated = |info: &&&SegmentInfo| {
        let is_over = bytes > keep.bytes || now_ns.saturating_sub(info.created_ns) > age_ns;
        bytes -= size(info);
        is_over
    };
    group.iter().take_while(is_outdated).map(|info| info.id).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn info(table: Table, id: u64, created_ns: u64) -> SegmentInfo {
        let (rows, bytes, grams_bytes, crc32c) = (1, 100, 0, 0);
        SegmentInfo {
            table,
            id,
            rows,
            bytes,
            grams_bytes,
            from_ns: 0,
            to_ns: 1,
            created_ns,
            crc32c,
        }
    }

    #[test]
    fn the_oldest_go_first_and_each_kind_has_its_own_limits() {
        let second = Retention { bytes: 1_000, age: Duration::from_nanos(50) };
        let config = Config {
            keep_spans: Retention { bytes: 250, age: Duration::MAX },
            keep_contents: second,
            ..Config::default()
        };
        let segments = [
            info(Table::Spans, 3, 30),
            info(Table::Spans, 1, 10),
            info(Table::Traces, 2, 20),
            info(Table::Contents, 4, 10),
            info(Table::Contents, 5, 60),
            info(Table::Hosts, 6, 0),
        ];
        assert_eq!(outdated(&segments, &config, 100), HashSet::from([1, 4]));
    }
}
