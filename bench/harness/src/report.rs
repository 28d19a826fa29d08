//! What came out: rows for people, JSON for machines, both from the same numbers.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Which side of the target is the good one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// One measured figure beside the baseline of the same run.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) baseline_name: &'static str,
    pub(crate) baseline: f64,
    pub(crate) measured: f64,
    /// What is held against the target, with its spread.
    pub(crate) value: f64,
    pub(crate) value_unit: &'static str,
    pub(crate) spread: (f64, f64),
    pub(crate) target: Option<Target>,
}

impl Row {
    fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtLeast(limit) => self.value >= limit,
            Target::AtMost(limit) => self.value <= limit,
        })
    }

    fn target_text(&self) -> String {
        match self.target {
            None => "–".to_owned(),
            Some(Target::AtLeast(limit)) => format!("≥ {limit} {}", self.value_unit),
            Some(Target::AtMost(limit)) => format!("≤ {limit} {}", self.value_unit),
        }
    }

    fn to_json(&self) -> Value {
        let target = match self.target {
            None => Value::Null,
            Some(Target::AtLeast(limit)) => json!({"at_least": limit}),
            Some(Target::AtMost(limit)) => json!({"at_most": limit}),
        };
        json!({
            "name": self.name,
            "unit": self.unit,
            "baseline_name": self.baseline_name,
            "baseline": self.baseline,
            "measured": self.measured,
            "ratio": self.measured / self.baseline,
            "value": self.value,
            "value_unit": self.value_unit,
            "value_min": self.spread.0,
            "value_max": self.spread.1,
            "target": target,
            "met": self.met(),
        })
    }
}

/// A part of the run: its rows, what to know about them, and everything measured.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
    pub(crate) raw: Value,
}

impl Part {
    pub(crate) fn failed(name: &'static str, error: &anyhow::Error) -> Self {
        Self { name, notes: vec![format!("not measured: {error:#}")], ..Self::default() }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "notes": self.notes,
            "raw": self.raw,
        })
    }
}

/// All parts as a Markdown table, which also reads well as it is.
pub(crate) fn table(parts: &[Part]) -> String {
    let mut text = String::from(
        "| what | Andon | baseline | ratio | held against the target (min–max) | target | |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in parts.iter().flat_map(|part| &part.rows) {
        let met = match row.met() {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} {unit} | {} {unit} ({}) | {} | {} {} ({}–{}) | {} | {met} |",
            row.name,
            short(row.measured),
            short(row.baseline),
            row.baseline_name,
            short(row.measured / row.baseline),
            short(row.value),
            row.value_unit,
            short(row.spread.0),
            short(row.spread.1),
            row.target_text(),
            unit = row.unit,
        );
    }
    for part in parts.iter().filter(|part| !part.notes.is_empty()) {
        let _ = writeln!(text, "\n{}:", part.name);
        for note in &part.notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text
}

/// Three digits or so.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, target: Target) -> Row {
        Row {
            name: "x".to_owned(),
            unit: "ms",
            baseline_name: "y",
            baseline: 2.0,
            measured: 1.0,
            value,
            value_unit: "ms",
            spread: (0.5, 1.5),
            target: Some(target),
        }
    }

    #[test]
    fn a_target_is_met_on_its_good_side_and_never_by_nothing() {
        assert_eq!(row(0.95, Target::AtLeast(0.95)).met(), Some(true));
        assert_eq!(row(0.94, Target::AtLeast(0.95)).met(), Some(false));
        assert_eq!(row(151.0, Target::AtMost(150.0)).met(), Some(false));
        assert_eq!(row(f64::NAN, Target::AtMost(150.0)).met(), Some(false));
        assert_eq!(row(f64::NAN, Target::AtLeast(0.95)).met(), Some(false));
    }

    #[test]
    fn a_missed_target_stands_out() {
        let part = Part { rows: vec![row(0.94, Target::AtLeast(0.95))], ..Part::default() };
        assert!(table(&[part]).contains("| MISSED |"));
    }
}
