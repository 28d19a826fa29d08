//! One table of `andon.toml` whose values have units and bounds. A key is known by being read; what
//! is left over at the end is an error that names the nearest known one.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{bail, ensure};
use toml::{Table, Value};

use super::{
    Origins, nearest,
    units::{parse_size, parse_time, size_text, time_text},
};

pub(super) struct Section<'a> {
    name: String,
    said: Table,
    known: Vec<&'static str>,
    origins: &'a mut Origins,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &str, said: Option<Table>, origins: &'a mut Origins) -> Self {
        let said = said.unwrap_or_default();
        Self { name: name.to_owned(), said, known: Vec::new(), origins }
    }

    /// A table within this one.
    pub(super) fn inner(
        &mut self,
        key: &'static str,
        example: &str,
    ) -> anyhow::Result<Section<'_>> {
        let said = match self.said.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                bail!(
                    "{}.{key}: {} is no table; write one such as {example}",
                    self.name,
                    shown(&other)
                )
            }
        };
        self.known.push(key);
        let (name, known) = (format!("{}.{key}", self.name), Vec::new());
        Ok(Section { name, said, known, origins: self.origins })
    }

    /// Reads over a setting that has its default: bytes, a number, or a text such as `64MiB`.
    pub(super) fn size<T>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        bounds: RangeInclusive<u64>,
    ) -> anyhow::Result<()>
    where
        T: TryInto<u64> + TryFrom<u64> + Copy,
    {
        let kind = Kind { name: "size", parse: parse_size, text: |size| size_text(*size) };
        self.number(key, setting, bounds, &kind)
    }

    pub(super) fn count<T>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        bounds: RangeInclusive<u64>,
    ) -> anyhow::Result<()>
    where
        T: TryInto<u64> + TryFrom<u64> + Copy,
    {
        let kind = Kind { name: "number", parse: |_| None, text: u64::to_string };
        self.number(key, setting, bounds, &kind)
    }

    /// A text such as `30s` or `7d`, or seconds.
    pub(super) fn time(
        &mut self,
        key: &'static str,
        setting: &mut Duration,
        bounds: RangeInclusive<Duration>,
    ) -> anyhow::Result<()> {
        let kind = Kind { name: "time", parse: parse_time, text: |time| time_text(*time) };
        let of_seconds = |seconds| Some(Duration::from_secs(seconds));
        *setting = self.value(key, *setting, bounds, &kind, of_seconds)?;
        Ok(())
    }

    fn number<T>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        bounds: RangeInclusive<u64>,
        kind: &Kind<u64>,
    ) -> anyhow::Result<()>
    where
        T: TryInto<u64> + TryFrom<u64> + Copy,
    {
        let default = (*setting).try_into().unwrap_or(u64::MAX);
        let said = self.value(key, default, bounds, kind, Some)?;
        // Every upper bound fits its type.
        *setting = T::try_from(said).unwrap_or(*setting);
        Ok(())
    }

    fn value<V: PartialOrd + Clone>(
        &mut self,
        key: &'static str,
        default: V,
        bounds: RangeInclusive<V>,
        kind: &Kind<V>,
        of_number: fn(u64) -> Option<V>,
    ) -> anyhow::Result<V> {
        self.known.push(key);
        let name = format!("{}.{key}", self.name);
        let text = kind.text;
        let Some(said) = self.said.remove(key) else {
            self.origins.push((name, text(&default), "default"));
            return Ok(default);
        };
        let value = match &said {
            Value::Integer(number) => u64::try_from(*number).ok().and_then(of_number),
            Value::String(text) => (kind.parse)(text),
            _ => None,
        };
        let Some(value) = value else {
            let (kind, example) = (kind.name, quoted(&text(&default)));
            bail!("{name}: {} is no {kind}; write one such as {example}", shown(&said));
        };
        ensure!(
            bounds.contains(&value),
            "{name}: {} must be from {} to {}",
            shown(&said),
            text(bounds.start()),
            text(bounds.end()),
        );
        self.origins.push((name, text(&value), "andon.toml"));
        Ok(value)
    }

    /// Complains about what nobody asked for.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self { name, said, known, .. } = self;
        if let Some(key) = said.keys().next() {
            bail!(
                "unknown key \"{name}.{key}\"; the nearest that Andon knows is \"{name}.{}\"",
                nearest(key, &known)
            );
        }
        Ok(())
    }
}

/// How a kind of value is written.
struct Kind<V> {
    name: &'static str,
    parse: fn(&str) -> Option<V>,
    text: fn(&V) -> String,
}

/// As it is to be written in the file.
fn quoted(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

/// What somebody wrote, in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            format!("the {}", value.type_str())
        }
    }
}
