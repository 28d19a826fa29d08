//! From a span in anybody's words to one in the model's.
//!
//! Each attribute is looked at once: one that [`table`] knows is for a field, the best of each field
//! fills the span, and the rest stay attributes. Texts of prompts and answers leave the attributes for
//! the span's contents, from one source a side and never from two: conventions carry the same text on the
//! span, in numbered attributes, in events and in logs.

mod events;
mod flat;
mod messages;
mod names;
mod spans;
mod table;

use std::{borrow::Cow, collections::HashSet};

use andon_model::{
    AttributeValue, Attributes, Contents, Holds, Observation, RawAttribute, RawText, Span,
};
use serde_json::Value as Json;

use self::{
    flat::Tree,
    messages::{Beside, Reader, Side},
};
use crate::value::{KeyValue, Value, utf8};

pub(crate) use self::{
    events::{Event, is_message},
    table::{Field, field_of, parameter_of},
};

/// What sent a span, said once for many.
#[derive(Default)]
pub(crate) struct Origin {
    pub(crate) attributes: Vec<KeyValue>,
}

/// A span as it came, with what every protocol has put into the model already.
pub(crate) struct Incoming {
    pub(crate) span: Span,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) events: Vec<Event>,
    /// What the span's status says.
    pub(crate) message: Option<RawText>,
}

/// A value of a field: the place of its name among the field's, the name, and the value.
type Offer<'a> = (u8, &'a str, &'a Value);

/// The best value of each field.
pub(crate) struct Fields<'a> {
    best: [Option<Offer<'a>>; Field::COUNT],
    /// What was offered beside them.
    others: Vec<(Field, Offer<'a>)>,
}

impl<'a> Fields<'a> {
    fn new() -> Self {
        Self { best: [None; Field::COUNT], others: Vec::new() }
    }

    /// Takes it where its name comes before what there is. Of one name the last value counts.
    fn offer(&mut self, field: Field, place: u8, name: &'a str, value: &'a Value) {
        let best = &mut self.best[field as usize];
        let offer = (place, name, value);
        let passed_over = match best {
            Some((known, ..)) if place > *known => Some(offer),
            best => best.replace(offer),
        };
        self.others.extend(passed_over.map(|passed_over| (field, passed_over)));
    }

    fn have_content(&self) -> bool {
        Field::CONTENT.into_iter().any(|field| self.best[field as usize].is_some())
    }

    pub(crate) fn get(&self, field: Field) -> Option<&'a Value> {
        self.best[field as usize].map(|(_, _, value)| value)
    }

    pub(crate) fn text(&self, field: Field) -> Option<String> {
        self.get(field).map(Value::to_words).filter(|text| !text.is_empty())
    }

    fn name(&self, field: Field) -> Option<&'a str> {
        self.best[field as usize].map(|(_, name, _)| name)
    }
}

/// The attributes of a span and of what sent it, sorted.
struct Sorted<'a> {
    fields: Fields<'a>,
    numbered: Tree,
    parameters: Vec<(&'static str, AttributeValue)>,
    /// No field is for them.
    others: Vec<(&'a str, &'a Value)>,
}

fn sort<'a>(origin: &'a [KeyValue], span: &'a [KeyValue]) -> Sorted<'a> {
    let mut sorted = Sorted {
        fields: Fields::new(),
        numbered: Tree::default(),
        parameters: Vec::new(),
        others: Vec::new(),
    };
    // What the span says itself comes last, and wins; but who it is, its origin says.
    for (at, attribute) in origin.iter().chain(span).enumerate() {
        let Some(value) = attribute.value() else { continue };
        let Ok(name) = std::str::from_utf8(&attribute.key) else { continue };
        if let Some((field, place)) = table::field_of(name) {
            let is_identity =
                matches!(field, Field::Service | Field::Env | Field::Version | Field::Host);
            if is_identity && at >= origin.len() && sorted.fields.get(field).is_some() {
                sorted.fields.others.push((field, (place, name, value)));
            } else {
                sorted.fields.offer(field, place, name, value);
            }
        } else if let Some(parameter) = table::parameter_of(name).filter(|_| name.contains('.')) {
            sorted.parameters.extend(scalar(value).map(|value| (parameter, value)));
        } else if table::is_numbered(name) {
            sorted.numbered.insert(name, value.to_json());
        } else {
            sorted.others.push((name, value));
        }
    }
    sorted
}

/// Puts a span into the model's words.
pub(crate) fn observe(origin: &Origin, incoming: Incoming) -> Observation {
    let Incoming { mut span, attributes, events, message } = incoming;
    let mut sorted = sort(&origin.attributes, &attributes);
    for event in &events {
        events::offer(event, &mut sorted.fields);
    }
    let Sorted { fields, mut numbered, parameters, others } = sorted;
    spans::fill(&mut span, &fields);
    let mut texts = Texts::default();
    // Most spans have nothing to do with a model.
    if fields.have_content() || !numbered.is_empty() || !events.is_empty() {
        texts.gather(&fields, &mut numbered, &events);
        texts.note(&mut span, &fields);
    }
    let mut raw = RawAttributes::default();
    if let Some(in_one) = fields.get(Field::Parameters) {
        raw.parameters(&parameters, in_one);
    }
    for (name, value) in parameters {
        raw.set(name, value);
    }
    for (name, value) in others {
        raw.add(name.to_owned(), value);
    }
    losers(&fields, &mut raw);
    events::keep(&events, &mut span, &mut raw);
    let error = fields.text(Field::ErrorMessage).map(RawText::new);
    let error_message = message.filter(|text| !text.is_empty()).or(error);
    let held = raw.finish(&mut span.attributes);
    spans::judge(&mut span, &fields, error_message.is_some());
    Observation {
        contents: texts.contents.into_vec(),
        attributes: held,
        // A message of a span that went well says nothing.
        error_message: error_message.filter(|_| span.status == andon_model::Status::Error),
        related: Vec::new(),
        policy: None,
        span,
    }
}

/// The texts that events carry by themselves, of both sides.
pub(crate) fn messages_of(events: &[Event]) -> Contents {
    let mut fields = Fields::new();
    events.iter().for_each(|event| events::offer(event, &mut fields));
    let mut texts = Texts::default();
    texts.gather(&fields, &mut Tree::default(), events);
    texts.contents
}

/// A field's values that were not the best one are kept under their own names where they say something
/// else, unless they may be content.
fn losers(fields: &Fields<'_>, raw: &mut RawAttributes) {
    // Once for each field: one long value could have a million names beside it.
    let mut best: [Option<String>; Field::COUNT] = [const { None }; Field::COUNT];
    for (field, (place, name, value)) in &fields.others {
        let is_error = matches!(field, Field::ErrorMessage);
        let is_of_event = *place >= events::PLACES;
        if field.is_content() || is_error || is_of_event || fields.name(*field) == Some(*name) {
            continue;
        }
        let Some(kept) = fields.get(*field) else { continue };
        let kept = best[*field as usize].get_or_insert_with(|| kept.to_words());
        if *kept != value.to_words()
            && let Some(value) = scalar(value)
        {
            raw.set((*name).to_owned(), value);
        }
    }
}

/// Attributes on their way to be protected.
#[derive(Default)]
pub(crate) struct RawAttributes {
    /// What may be somebody's words.
    held: Vec<RawAttribute>,
    /// Numbers and names. Set all at once: there may be thousands, in any order.
    plain: Vec<(Cow<'static, str>, AttributeValue)>,
}

impl RawAttributes {
    /// With some that are held already.
    pub(crate) fn with(held: Vec<RawAttribute>) -> Self {
        Self { held, plain: Vec::new() }
    }

    /// Sets what needs no protection, and gives back what does.
    pub(crate) fn finish(self, to: &mut Attributes) -> Vec<RawAttribute> {
        to.extend(self.plain);
        self.held
    }

    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: AttributeValue) {
        self.plain.push((name.into(), value));
    }

    /// Numbers and names are set, and what may be somebody's words is held back.
    pub(crate) fn add(&mut self, name: String, value: &Value) {
        if let Some(value) = scalar_but_text(value) {
            return self.set(name, value);
        }
        if let Value::Array(array) = value
            && array.values.len() > MAX_NUMBERS
            && array.values.iter().all(|value| matches!(value.value, Some(Value::Double(_))))
        {
            // A vector of an embedding: nobody reads it, and it is larger than all else.
            let length = array.values.len() as u64;
            return self.set(format!("{name}.length"), length.into());
        }
        let text = names::tidy(&name, value.to_words());
        match names::holds(&name, &text) {
            None => self.set(name, text.into()),
            Some(holds) => self.hold(name, text, holds),
        }
    }

    pub(crate) fn hold(&mut self, name: impl Into<Cow<'static, str>>, text: String, holds: Holds) {
        self.held.push(RawAttribute { name: name.into(), text: RawText::new(text), holds });
    }

    /// Parameters in one object, under OpenTelemetry's names. `known`: those that have a name of their
    /// own, and come first.
    fn parameters(&mut self, known: &[(&'static str, AttributeValue)], value: &Value) {
        let json = match value {
            Value::Text(text) => serde_json::from_slice(text).unwrap_or(Json::Null),
            other => other.to_json(),
        };
        let Json::Object(map) = json else { return };
        let mut seen: HashSet<&str> = known.iter().map(|(name, _)| *name).collect();
        for (name, value) in map {
            let value = Value::from(value);
            match table::parameter_of(&name) {
                Some(name) => {
                    if let Some(value) = scalar(&value).filter(|_| seen.insert(name)) {
                        self.set(name, value);
                    }
                }
                // They are fields of the span, or messages.
                None if matches!(
                    name.as_str(),
                    "model" | "messages" | "input" | "prompt" | "user" | "stream"
                ) => {}
                None => self.add(format!("gen_ai.request.{name}"), &value),
            }
        }
    }
}

const MAX_NUMBERS: usize = 32;

fn scalar_but_text(value: &Value) -> Option<AttributeValue> {
    match value {
        Value::Bool(value) => Some((*value).into()),
        Value::Int(number) => Some((*number).into()),
        Value::Double(number) => Some((*number).into()),
        _ => None,
    }
}

/// A number, a flag or a short text.
pub(crate) fn scalar(value: &Value) -> Option<AttributeValue> {
    match value {
        Value::Text(text) => Some(utf8(text).into_owned().into()),
        other => scalar_but_text(other).or_else(|| Some(other.to_words().into())),
    }
}

/// The texts of one span, from one source a side.
#[derive(Default)]
struct Texts {
    contents: Contents,
    beside: Beside,
}

impl Texts {
    fn reader(&mut self, side: Side) -> Reader<'_> {
        Reader { contents: &mut self.contents, beside: &mut self.beside, side }
    }

    fn count(&self) -> usize {
        self.contents.as_slice().len()
    }

    fn gather(&mut self, fields: &Fields<'_>, numbered: &mut Tree, events: &[Event]) {
        self.tools(fields, numbered);
        if let Some(system) = fields.get(Field::SystemInstructions) {
            let text = system_text(system);
            self.contents.push(andon_model::Part::System, Some("system"), RawText::new(text));
        }
        self.side(Side::Input, fields, numbered, events);
        self.side(Side::Output, fields, numbered, events);
        self.drop_repeated_system();
        self.documents(fields, numbered);
    }

    /// The first source that has something, in the order in which `docs/receive.md` names them.
    fn side(&mut self, side: Side, fields: &Fields<'_>, numbered: &mut Tree, events: &[Event]) {
        let before = self.count();
        let (whole, plain, tool) = match side {
            Side::Input => (Field::InputMessages, Field::PlainInput, Field::ToolArguments),
            Side::Output => (Field::OutputMessages, Field::PlainOutput, Field::ToolResult),
        };
        let flattened = match side {
            Side::Input => ["gen_ai.prompt", "llm.input_messages", "llm.prompts"],
            Side::Output => ["gen_ai.completion", "llm.output_messages", "llm.choices"],
        };
        let flattened: Vec<_> = flattened.iter().filter_map(|path| numbered.take(path)).collect();
        if let Some(value) = fields.get(whole) {
            self.value(side, value);
        }
        for json in flattened {
            if self.count() == before {
                self.reader(side).messages(&json);
            }
        }
        if self.count() == before {
            events::messages(events, &mut self.reader(side));
        }
        if self.count() == before
            && let Some(embeddings) =
                numbered.take("embedding.embeddings").filter(|_| side == Side::Input)
        {
            for one in embeddings.as_array().into_iter().flatten() {
                let text = one["embedding"]["text"].as_str().unwrap_or_default();
                self.contents.push(andon_model::Part::Input, None, RawText::new(text));
            }
        }
        for field in [tool, plain] {
            if self.count() == before
                && let Some(value) = fields.get(field)
            {
                self.value(side, value);
            }
        }
    }

    fn value(&mut self, side: Side, value: &Value) {
        match value {
            Value::Text(text) => self.reader(side).text(&utf8(text)),
            other => self.reader(side).json(&other.to_json()),
        }
    }

    fn tools(&mut self, fields: &Fields<'_>, numbered: &mut Tree) {
        let whole = fields.get(Field::ToolDefinitions).map(|value| match value {
            Value::Text(text) => serde_json::from_slice(text).unwrap_or(Json::Null),
            other => other.to_json(),
        });
        let offered = whole
            .or_else(|| numbered.take("llm.tools"))
            .or_else(|| numbered.take("llm.request.functions"));
        if let Some(offered) = offered {
            self.reader(Side::Input).definitions(&offered);
        }
    }

    fn documents(&mut self, fields: &Fields<'_>, numbered: &mut Tree) {
        let whole = fields.get(Field::Documents).map(|value| match value {
            Value::Text(text) => serde_json::from_slice(text).unwrap_or(Json::Null),
            other => other.to_json(),
        });
        let found = whole
            .or_else(|| numbered.take("retrieval.documents"))
            .or_else(|| numbered.take("reranker.output_documents"));
        if let Some(found) = found {
            self.reader(Side::Output).documents(&found);
        }
        if let Some(query) = fields.text(Field::Query) {
            self.contents.push(andon_model::Part::Input, None, RawText::new(query));
        }
    }

    /// Some say the system's text by itself and once more among the messages.
    fn drop_repeated_system(&mut self) {
        let mut seen = HashSet::new();
        self.contents.retain(|content| {
            content.part != andon_model::Part::System
                || seen.insert(content.text.expose().to_owned())
        });
    }

    /// What the texts said beside themselves.
    fn note(&mut self, span: &mut Span, fields: &Fields<'_>) {
        if span.finish_reason.is_none() && fields.get(Field::FinishReason).is_none() {
            span.finish_reason = self.beside.finish_reason.take();
        }
        if self.beside.tools > 0 {
            span.attributes.set("andon.request.tools", self.beside.tools);
        }
    }
}

/// Instructions are a text, or a list of parts.
fn system_text(value: &Value) -> String {
    let json = match value {
        Value::Text(text) => match serde_json::from_slice(text) {
            Ok(json @ Json::Array(_)) => json,
            _ => return utf8(text).into_owned(),
        },
        other => other.to_json(),
    };
    let part = |part: &Json| {
        let text = part.as_str().or(part["content"].as_str()).or(part["text"].as_str());
        text.map_or_else(|| part.to_string(), str::to_owned)
    };
    match &json {
        Json::Array(parts) => parts.iter().map(part).collect::<Vec<_>>().join("\n"),
        one => part(one),
    }
}
