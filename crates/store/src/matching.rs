//! The filter over columns of `traces`, of spans and of their rollups. What it means is said once more, for traces in
//! memory, in `hot/view.rs`; a property test holds the two together.

use andon_model::{Cause, Named as _, Status, TraceId, UnixNanos};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, DictionaryArray, FixedSizeBinaryArray, Int64Array, MapArray,
        RecordBatch, StringArray,
    },
    datatypes::{Int32Type, Int64Type},
};

use crate::{
    hot::{Counts, count},
    query::{Comparison, Filter, Pattern, Test, TextField},
    table::unquoted,
};

/// Columns that every question needs.
const FACETS: [&str; 5] = ["start_ns", "service", "model", "status", "cause"];

/// The columns that a question for the list looks at.
pub(crate) fn needed_columns(filter: &Filter, needs_ids: bool) -> Vec<&'static str> {
    let mut columns = FACETS.to_vec();
    columns.extend(columns_of_filter(filter));
    if needs_ids {
        columns.push("trace_id");
    }
    columns
}

/// The columns that a filter looks at.
pub(crate) fn columns_of_filter(filter: &Filter) -> Vec<&'static str> {
    let mut columns = Vec::new();
    for term in &filter.terms {
        columns.extend_from_slice(match &term.test {
            Test::Status(_) => &["status"],
            Test::Cause(_) => &["cause"],
            Test::Content(_) => &[],
            Test::Attribute(..) => &["attributes"],
            Test::Duration { .. } => &["duration_ns"],
            Test::Text(field, _) => columns_of(*field),
            Test::Anywhere(_) => &ANYWHERE,
        });
        if matches!(term.test, Test::Anywhere(_)) {
            columns.push("trace_id");
        }
    }
    columns
}

const ANYWHERE: [&str; 8] = [
    "name",
    "service",
    "resource",
    "model",
    "model_requested",
    "error_type",
    "request_id",
    "session_id",
];

fn columns_of(field: TextField) -> &'static [&'static str] {
    match field {
        TextField::Service => &["service"],
        TextField::Model => &["model", "model_requested"],
        TextField::Name => &["name", "resource"],
        TextField::Session => &["session_id"],
        TextField::Request => &["request_id"],
        TextField::Host => &["host"],
    }
}

/// A batch, and for each term of a filter what it takes to tell whether a row passes.
pub(crate) struct Matching<'a> {
    batch: &'a RecordBatch,
    starts: Option<&'a Int64Array>,
    ids: Option<&'a FixedSizeBinaryArray>,
    terms: Vec<(bool, Term<'a>)>,
}

enum Term<'a> {
    Always,
    /// A row passes where one of these says so.
    AnyOf(Vec<Column<'a>>),
    Duration {
        durations: Option<&'a Int64Array>,
        comparison: Comparison,
        nanos: u64,
    },
    IdStarts(&'a Pattern, Vec<Column<'a>>),
}

enum Column<'a> {
    /// Asked once for each word that occurs.
    Words {
        keys: &'a arrow::array::PrimitiveArray<Int32Type>,
        passes: Vec<bool>,
    },
    Texts {
        texts: &'a StringArray,
        pattern: &'a Pattern,
    },
    Attribute {
        map: &'a MapArray,
        names: &'a StringArray,
        values: &'a StringArray,
        name: &'a str,
        pattern: &'a Pattern,
    },
}

impl<'a> Matching<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, filter: &'a Filter) -> Self {
        let column = |name| batch.column_by_name(name);
        let terms = filter.terms.iter().map(|term| (term.negated, Term::new(batch, &term.test)));
        Self {
            batch,
            starts: column("start_ns").and_then(|column| column.as_primitive_opt::<Int64Type>()),
            ids: column("trace_id").and_then(|column| column.as_fixed_size_binary_opt()),
            terms: terms.collect(),
        }
    }

    pub(crate) fn start_ns(&self, place: usize) -> UnixNanos {
        self.starts.map_or(0, |starts| starts.value(place).unsigned_abs())
    }

    /// `None` where the column was not asked for.
    pub(crate) fn trace_id(&self, place: usize) -> Option<TraceId> {
        self.ids?.value(place).try_into().ok().map(TraceId::from_bytes)
    }

    pub(crate) fn matches(&self, place: usize) -> bool {
        self.terms.iter().all(|(negated, term)| self.passes(term, place) != *negated)
    }

    fn passes(&self, term: &Term<'_>, place: usize) -> bool {
        let any = |columns: &[Column<'_>]| columns.iter().any(|column| column.passes(place));
        match term {
            Term::Always => true,
            Term::AnyOf(columns) => any(columns),
            Term::Duration { durations, comparison, nanos } => {
                let duration_ns = durations.map_or(0, |all| all.value(place).unsigned_abs());
                comparison.holds(duration_ns, *nanos)
            }
            Term::IdStarts(pattern, columns) => {
                let id = self.trace_id(place).map(|id| id.to_string());
                any(columns) || id.is_some_and(|id| pattern.starts(&id))
            }
        }
    }

    /// Counts the facets of these rows.
    pub(crate) fn count(&self, places: &[usize], counts: &mut Counts) {
        count_words(self.batch, "service", places, &mut counts.service);
        count_words(self.batch, "model", places, &mut counts.model);
        count_words(self.batch, "status", places, &mut counts.status);
        count_words(self.batch, "cause", places, &mut counts.cause);
    }
}

impl<'a> Term<'a> {
    fn new(batch: &'a RecordBatch, test: &'a Test) -> Self {
        match test {
            Test::Status(status) => Self::named(batch, "status", Status::name(*status)),
            Test::Cause(cause) => Self::named(batch, "cause", Cause::name(*cause)),
            // Looked for beforehand: only traces that have it are asked.
            Test::Content(_) => Self::Always,
            Test::Attribute(name, pattern) => match batch.column_by_name("attributes") {
                Some(column) => Self::AnyOf(Column::attribute(column, name, pattern)),
                // Traces have none; this was looked for as well.
                None => Self::Always,
            },
            Test::Duration { comparison, nanos } => {
                let durations = batch.column_by_name("duration_ns");
                Self::Duration {
                    durations: durations.and_then(|column| column.as_primitive_opt::<Int64Type>()),
                    comparison: *comparison,
                    nanos: *nanos,
                }
            }
            Test::Text(field, pattern) => {
                Self::AnyOf(Column::all(batch, columns_of(*field), pattern))
            }
            Test::Anywhere(pattern) => {
                Self::IdStarts(pattern, Column::all(batch, &ANYWHERE, pattern))
            }
        }
    }

    fn named(batch: &'a RecordBatch, column: &str, name: &str) -> Self {
        let words = words(batch, column);
        Self::AnyOf(
            words.into_iter().map(|words| Column::words(words, |word| word == name)).collect(),
        )
    }
}

impl<'a> Column<'a> {
    fn all(batch: &'a RecordBatch, names: &[&str], pattern: &'a Pattern) -> Vec<Self> {
        let column = |name: &&str| {
            if let Some(words) = words(batch, name) {
                return Some(Self::words(words, |word| pattern.matches(word)));
            }
            let texts = batch.column_by_name(name)?.as_string_opt::<i32>()?;
            Some(Self::Texts { texts, pattern })
        };
        names.iter().filter_map(column).collect()
    }

    fn attribute(column: &'a ArrayRef, name: &'a str, pattern: &'a Pattern) -> Vec<Self> {
        let read = || {
            let map = column.as_map_opt()?;
            let names = map.keys().as_string_opt::<i32>()?;
            let values = map.values().as_string_opt::<i32>()?;
            Some(Self::Attribute { map, names, values, name, pattern })
        };
        read().into_iter().collect()
    }

    fn words(words: &'a DictionaryArray<Int32Type>, test: impl Fn(&str) -> bool) -> Self {
        let known = words.values().as_string_opt::<i32>();
        let passes = known.into_iter().flatten().map(|word| word.is_some_and(&test)).collect();
        Self::Words { keys: words.keys(), passes }
    }

    fn passes(&self, place: usize) -> bool {
        match self {
            Self::Words { keys, passes } => {
                keys.is_valid(place)
                    && passes.get(keys.value(place) as usize).copied().unwrap_or(false)
            }
            Self::Texts { texts, pattern } => {
                texts.is_valid(place) && pattern.matches(texts.value(place))
            }
            Self::Attribute { map, names, values, name, pattern } => {
                let offsets = map.value_offsets();
                let mut entries = offsets[place] as usize..offsets[place + 1] as usize;
                let fits = |entry: usize| {
                    names.value(entry) == *name
                        && values.is_valid(entry)
                        && pattern.matches(unquoted(values.value(entry)))
                };
                map.is_valid(place) && entries.any(fits)
            }
        }
    }
}

pub(crate) fn words<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Option<&'a DictionaryArray<Int32Type>> {
    batch.column_by_name(name)?.as_dictionary_opt::<Int32Type>()
}

/// For each row whether its word passes; the test is asked once for each word that occurs.
pub(crate) fn rows_where(
    batch: &RecordBatch,
    column: &str,
    test: impl Fn(&str) -> bool,
) -> Vec<bool> {
    let column = words(batch, column).map(|words| Column::words(words, test));
    let passes = |row| column.as_ref().is_some_and(|column| column.passes(row));
    (0..batch.num_rows()).map(passes).collect()
}

fn count_words(
    batch: &RecordBatch,
    name: &str,
    places: &[usize],
    counts: &mut std::collections::HashMap<String, u64>,
) {
    let Some(words) = words(batch, name) else { return };
    let (keys, Some(values)) = (words.keys(), words.values().as_string_opt::<i32>()) else {
        return;
    };
    let mut by_key = vec![0_u64; values.len()];
    for place in places {
        if keys.is_valid(*place)
            && let Some(number) = by_key.get_mut(keys.value(*place) as usize)
        {
            *number += 1;
        }
    }
    for (key, number) in by_key.into_iter().enumerate().filter(|(_, number)| *number > 0) {
        count(counts, values.value(key), number);
    }
}
