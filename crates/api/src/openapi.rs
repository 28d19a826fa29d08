//! The description of the API. The pages' types are generated from it, so it has to say what is
//! really sent.
//!
//! What a newcomer gets wrong: an answer holds all of its fields, null where unknown, but the
//! derived schemas call a field that may be null (or has a default when it is read back) optional.
//! [`complete`] mends that for whatever is only ever sent. A field that can be missing from an
//! answer is marked `nullable = false`, and stays optional.

use std::collections::BTreeSet;

use andon_gateway::{ChatAnswer, ChatEvents, ChatFailure, ChatRequest};
use serde_json::Value;
use utoipa::openapi::{
    OpenApi, RefOr,
    schema::{Object, Schema, SchemaType, Type},
};

const SCHEMAS: &str = "#/components/schemas/";

/// The chat routes, which the gateway serves by itself and the config names.
#[derive(utoipa::OpenApi)]
#[openapi(paths(chat))]
pub(crate) struct Chat;

/// Asks a model. The other routes of the config (`/granite`) work the same way.
///
/// With `Accept: text/event-stream` the answer comes in events; each holds the property of
/// `ChatEvents` that has its name.
#[utoipa::path(post, path = "/chat", tag = "chat", request_body = ChatRequest, responses(
    (status = 200, content((ChatAnswer = "application/json"), (ChatEvents = "text/event-stream"))),
    (status = 400, body = ChatFailure, description = "the question cannot be read, or is too long"),
    (status = 408, body = ChatFailure, description = "the question did not arrive in time"),
    (status = 413, body = ChatFailure),
    (status = 500, body = ChatFailure, description = "runtime, model or proxy failed"),
    (status = 503, body = ChatFailure, description = "the queue is full; see `Retry-After`"),
    (status = 504, body = ChatFailure, description = "the time limit was reached")))]
#[expect(dead_code, reason = "carries the description; the gateway answers")]
fn chat() {}

/// Names the product, and makes the schemas of answers say what is always there.
pub(crate) fn complete(openapi: &mut OpenApi) {
    openapi.info.title = "Andon".to_owned();
    openapi.info.description = Some("Observability for local LLMs.".to_owned());
    openapi.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let received = received(openapi);
    let Some(components) = &mut openapi.components else { return };
    for (name, schema) in &mut components.schemas {
        if let RefOr::T(Schema::Object(object)) = schema
            && !received.contains(name)
        {
            require(object);
        }
    }
}

/// Whatever is sent is there, unless it is marked as never null. A default only says what is taken
/// where an old record lacks the field.
fn require(object: &mut Object) {
    for (name, property) in &mut object.properties {
        let has_default = forget_default(property);
        let is_listed = object.required.contains(name);
        if !is_listed && (has_default || may_be_null(property)) {
            object.required.push(name.clone());
        }
    }
}

/// Removes the default; whether there was one.
fn forget_default(property: &mut RefOr<Schema>) -> bool {
    match property {
        RefOr::T(Schema::Object(object)) => object.default.take().is_some(),
        RefOr::T(Schema::Array(array)) => array.default.take().is_some(),
        RefOr::T(Schema::OneOf(one_of)) => one_of.default.take().is_some(),
        RefOr::T(_) => false,
        RefOr::Ref(reference) => reference.default.take().is_some(),
    }
}

fn may_be_null(property: &RefOr<Schema>) -> bool {
    match property {
        RefOr::T(Schema::Object(object)) => has_null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => has_null(&array.schema_type),
        RefOr::T(Schema::OneOf(one_of)) => one_of.items.iter().any(may_be_null),
        RefOr::T(_) | RefOr::Ref(_) => false,
    }
}

fn has_null(schema_type: &SchemaType) -> bool {
    match schema_type {
        SchemaType::Type(single) => *single == Type::Null,
        SchemaType::Array(several) => several.contains(&Type::Null),
        SchemaType::AnyValue => false,
    }
}

/// Names of the schemas that request bodies consist of.
fn received(openapi: &OpenApi) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Ok(document) = serde_json::to_value(openapi) else { return names };
    let mut waiting: Vec<&Value> = Vec::new();
    for operations in document["paths"].as_object().into_iter().flatten() {
        waiting
            .extend(operations.1.as_object().into_iter().flatten().map(|(_, o)| &o["requestBody"]));
    }
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(fields) => {
                let name = fields.get("$ref").and_then(Value::as_str);
                if let Some(name) = name.and_then(|path| path.strip_prefix(SCHEMAS))
                    && names.insert(name.to_owned())
                {
                    waiting.push(&document["components"]["schemas"][name]);
                }
                waiting.extend(fields.values());
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests;
