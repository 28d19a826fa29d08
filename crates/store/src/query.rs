//! The filter language of the list, and what the list answers.
//!
//! `words text:天気 @user.plan:pro service:gateway model:"gemma3:270m" status:error duration:>5s -name:/x`
//!
//! Terms are joined by «and»; a leading `-` negates. Without quotes a value is looked for inside
//! the field, in quotes it is the whole field. What a newcomer gets wrong: `gemma3:270m` alone is
//! no field called `gemma3` but a word, because model names look like that.

use std::{fmt, str::FromStr};

use andon_model::{Cause, Status, Timings, TraceId, UnixNanos};
use serde::{Deserialize, Serialize, de::IntoDeserializer, de::value::StrDeserializer};

use crate::Interrupt;

/// What a question for traces asks. The default asks for the newest of all.
#[derive(Debug, Clone, Default)]
pub struct TraceQuery {
    /// Traces that began at or after this.
    pub from_ns: Option<UnixNanos>,
    /// Traces that began before this.
    pub to_ns: Option<UnixNanos>,
    pub filter: Filter,
    /// Rows wanted; 0 is the most that a page may have.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// Ends the question when it is raised.
    pub interrupt: Interrupt,
}

/// One page of the list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TracePage {
    pub traces: Vec<TraceSummary>,
    pub next_cursor: Option<String>,
    /// Traces that match on all pages together.
    pub total_matched: u64,
    /// The search for texts ended before it had looked at all of them: there may be more, and older.
    pub is_partial: bool,
    pub facets: Facets,
}

/// How often which value occurs among the traces that match, most frequent first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Facets {
    pub cause: Vec<FacetCount>,
    pub service: Vec<FacetCount>,
    pub model: Vec<FacetCount>,
    pub status: Vec<FacetCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FacetCount {
    pub value: String,
    pub count: u64,
}

/// One row of the list: what all spans of a trace come to.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TraceSummary {
    pub trace_id: TraceId,
    #[schema(value_type = u64)]
    pub start_ns: UnixNanos,
    /// From the earliest start to the latest end.
    pub duration_ns: u64,
    pub service: String,
    pub name: String,
    pub resource: Option<String>,
    pub model: Option<String>,
    pub model_requested: Option<String>,
    pub status: Status,
    pub http_status: Option<u16>,
    pub error_type: Option<String>,
    pub cause: Option<Cause>,
    pub cold_start: bool,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cached_tokens: Option<u64>,
    pub span_count: u64,
    pub session_id: Option<String>,
    pub request_id: Option<String>,
    pub stream: Option<bool>,
    pub timings: Timings,
    /// The machine that the call to the model says that it ran on, else that of the span that the list
    /// shows.
    pub host: Option<String>,
}

/// Why a filter cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {message}")]
pub struct QueryError {
    /// In characters from 0.
    pub position: usize,
    pub message: String,
}

/// A parsed filter. The default matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub(crate) terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) negated: bool,
    pub(crate) test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Anywhere(Pattern),
    Text(TextField, Pattern),
    Status(Status),
    Cause(Cause),
    Duration {
        comparison: Comparison,
        nanos: u64,
    },
    /// A text of the trace holds this; folded.
    Content(String),
    /// The attribute of this name.
    Attribute(String, Pattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextField {
    Service,
    Model,
    Name,
    Session,
    Request,
    Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A text to look for, without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    lowered: String,
    whole: bool,
}

impl Filter {
    /// Characters of a filter.
    pub const MAX_CHARS: usize = 1_000;
    /// Terms of a filter.
    pub const MAX_TERMS: usize = 32;

    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let characters: Vec<char> = text.chars().take(Self::MAX_CHARS + 1).collect();
        if characters.len() > Self::MAX_CHARS {
            let message = format!("a filter has at most {} characters", Self::MAX_CHARS);
            return Err(QueryError { position: Self::MAX_CHARS, message });
        }
        let mut parser = Parser { characters: &characters, position: 0 };
        let mut terms = Vec::new();
        while parser.skip_space() {
            if terms.len() == Self::MAX_TERMS {
                let message = format!("a filter has at most {} terms", Self::MAX_TERMS);
                return Err(parser.error_at(parser.position, message));
            }
            terms.push(parser.term()?);
        }
        Ok(Self { terms })
    }
}

impl Filter {
    /// The terms about attributes, alone.
    pub(crate) fn attributes(&self) -> Self {
        let is_attribute = |term: &&Term| matches!(term.test, Test::Attribute(..));
        Self { terms: self.terms.iter().filter(is_attribute).cloned().collect() }
    }

    /// What texts are to hold.
    pub(crate) fn words(&self) -> Vec<String> {
        let words = self.terms.iter().filter_map(|term| match &term.test {
            Test::Content(word) => Some(word.clone()),
            _ => None,
        });
        words.collect()
    }
}

impl FromStr for Filter {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::parse(text)
    }
}

struct Parser<'a> {
    characters: &'a [char],
    position: usize,
}

impl Parser<'_> {
    fn skip_space(&mut self) -> bool {
        while self.peek().is_some_and(char::is_whitespace) {
            self.position += 1;
        }
        self.peek().is_some()
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.position).copied()
    }

    fn term(&mut self) -> Result<Term, QueryError> {
        let negated = self.peek() == Some('-');
        self.position += usize::from(negated);
        let start = self.position;
        let attribute = self.attribute_name()?;
        let name = if attribute.is_none() { self.field_name() } else { None };
        let value_start = self.position;
        let (value, quoted) = self.value()?;
        if value.is_empty() {
            let message = match attribute.as_ref().or(name.as_ref()) {
                Some(name) => format!("{name}: needs a value"),
                None => "a word is missing here".to_owned(),
            };
            return Err(self.error_at(value_start, message));
        }
        if let Some(attribute) = attribute {
            let test = Test::Attribute(attribute, Pattern::new(&value, quoted));
            return self.unless_negated(negated, start, "an attribute", test);
        }
        let test = match name.as_deref() {
            None => Test::Anywhere(Pattern::new(&value, false)),
            Some("service") => Test::Text(TextField::Service, Pattern::new(&value, quoted)),
            Some("model") => Test::Text(TextField::Model, Pattern::new(&value, quoted)),
            Some("name") => Test::Text(TextField::Name, Pattern::new(&value, quoted)),
            Some("session") => Test::Text(TextField::Session, Pattern::new(&value, quoted)),
            Some("request") => Test::Text(TextField::Request, Pattern::new(&value, quoted)),
            Some("host") => Test::Text(TextField::Host, Pattern::new(&value, quoted)),
            Some("status") => Test::Status(named(&value).ok_or_else(|| {
                self.error_at(value_start, "status is ok, error or unset".to_owned())
            })?),
            Some("cause") => Test::Cause(named(&value).ok_or_else(|| {
                self.error_at(value_start, format!("there is no cause called {value:?}"))
            })?),
            Some("duration") => duration(&value).ok_or_else(|| {
                let example = "write a duration like duration:>5s or duration:<=200ms".to_owned();
                self.error_at(value_start, example)
            })?,
            Some("text") => {
                let test = Test::Content(andon_search::fold(&value));
                return self.unless_negated(negated, start, "text:", test);
            }
            Some(other) => {
                return Err(self.error_at(start, format!("there is no field called {other}")));
            }
        };
        Ok(Term { negated, test })
    }

    /// What is looked for beforehand cannot be left out.
    fn unless_negated(
        &self,
        negated: bool,
        start: usize,
        what: &str,
        test: Test,
    ) -> Result<Term, QueryError> {
        if negated {
            let message = format!("{what} cannot be left out, only looked for");
            return Err(self.error_at(start, message));
        }
        Ok(Term { negated, test })
    }

    /// Takes `@name:`.
    fn attribute_name(&mut self) -> Result<Option<String>, QueryError> {
        if self.peek() != Some('@') {
            return Ok(None);
        }
        let start = self.position;
        self.position += 1;
        let is_of_name = |character: &char| !character.is_whitespace() && *character != ':';
        let rest = self.characters.get(self.position..).unwrap_or_default();
        let name: String = rest.iter().copied().take_while(is_of_name).collect();
        self.position += name.chars().count();
        if name.is_empty() || self.peek() != Some(':') {
            let message = "write an attribute like @user.plan:pro".to_owned();
            return Err(self.error_at(start, message));
        }
        self.position += 1;
        Ok(Some(name))
    }

    /// Takes `field:` when a known field's name stands here.
    fn field_name(&mut self) -> Option<String> {
        const FIELDS: [&str; 10] = [
            "service", "model", "name", "session", "request", "host", "status", "cause",
            "duration", "text",
        ];
        let rest = self.characters.get(self.position..)?;
        let colon = rest.iter().position(|character| !character.is_ascii_alphabetic())?;
        let name: String = rest[..colon].iter().collect::<String>().to_ascii_lowercase();
        let known = rest[colon] == ':' && FIELDS.contains(&name.as_str());
        known.then(|| {
            self.position += colon + 1;
            name
        })
    }

    fn value(&mut self) -> Result<(String, bool), QueryError> {
        if self.peek() != Some('"') {
            let start = self.position;
            while self.peek().is_some_and(|character| !character.is_whitespace()) {
                self.position += 1;
            }
            return Ok((self.characters[start..self.position].iter().collect(), false));
        }
        let quote = self.position;
        self.position += 1;
        let mut value = String::new();
        while let Some(character) = self.peek() {
            self.position += 1;
            match character {
                '"' => return Ok((value, true)),
                '\\' if matches!(self.peek(), Some('"' | '\\')) => {
                    value.extend(self.peek());
                    self.position += 1;
                }
                other => value.push(other),
            }
        }
        Err(self.error_at(quote, "this quote is not closed".to_owned()))
    }

    fn error_at(&self, position: usize, message: String) -> QueryError {
        QueryError { position, message }
    }
}

/// A unit variant by its serde name, so that filter and JSON never differ.
fn named<T: for<'de> Deserialize<'de>>(name: &str) -> Option<T> {
    let lowered = name.to_ascii_lowercase();
    let deserializer: StrDeserializer<'_, serde::de::value::Error> =
        lowered.as_str().into_deserializer();
    T::deserialize(deserializer).ok()
}

fn duration(text: &str) -> Option<Test> {
    let (comparison, amount) = [
        (">=", Comparison::GreaterOrEqual),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        ("<", Comparison::Less),
    ]
    .into_iter()
    .find_map(|(sign, comparison)| text.strip_prefix(sign).map(|rest| (comparison, rest)))?;
    let unit_start = amount.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = amount.split_at(unit_start);
    let nanos_per_unit = match unit.to_ascii_lowercase().as_str() {
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        _ => return None,
    };
    let number: f64 = number.parse().ok().filter(|number| *number >= 0.0)?;
    Some(Test::Duration { comparison, nanos: (number * nanos_per_unit) as u64 })
}

impl Comparison {
    pub(crate) fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Pattern {
    fn new(text: &str, whole: bool) -> Self {
        Self { lowered: text.to_lowercase(), whole }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.lowered.is_ascii() && text.is_ascii() {
            let (text, wanted) = (text.as_bytes(), self.lowered.as_bytes());
            return if self.whole {
                text.eq_ignore_ascii_case(wanted)
            } else {
                text.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
            };
        }
        let text = text.to_lowercase();
        if self.whole { text == self.lowered } else { text.contains(&self.lowered) }
    }

    pub(crate) fn starts(&self, text: &str) -> bool {
        text.starts_with(&self.lowered)
    }
}

/// A place in the list, between two traces. Its text is for this store alone to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) start_ns: UnixNanos,
    pub(crate) trace_id: TraceId,
}

impl Cursor {
    /// Traces below this follow it in the list.
    pub(crate) fn key(self) -> (UnixNanos, TraceId) {
        (self.start_ns, self.trace_id)
    }
}

/// Why a text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.start_ns, self.trace_id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (start, id) = text.split_at_checked(16).ok_or(CursorError)?;
        if !start.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(CursorError);
        }
        let start_ns = u64::from_str_radix(start, 16).map_err(|_| CursorError)?;
        let trace_id = id.parse().map_err(|_| CursorError)?;
        Ok(Self { start_ns, trace_id })
    }
}

#[cfg(test)]
mod tests;
