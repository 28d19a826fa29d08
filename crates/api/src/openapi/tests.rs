use std::{collections::BTreeSet, path::Path};

use andon_gateway::{DiscoveredModel, TimingsMs};
use andon_model::{Span, Timings, TraceId};
use andon_store::TracePage;
use serde::Serialize;
use serde_json::Value;

/// Run with this set to write the description anew.
const UPDATE: &str = "UPDATE_OPENAPI";

fn document() -> Value {
    serde_json::to_value(crate::documented().1).unwrap()
}

#[test]
fn openapi_is_what_the_pages_types_are_made_from() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/openapi.json");
    let mut now = crate::documented().1.to_pretty_json().unwrap();
    now.push('\n');
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == now,
        "web/openapi.json is not what the server says; \
         run: {UPDATE}=1 cargo test -p andon-api openapi, then: npm run api (in web/)"
    );
}

/// `value` has exactly the fields of its schema, and all of them are promised.
#[track_caller]
fn has_all_fields(document: &Value, schema: &str, value: &impl Serialize) {
    let schema = &document["components"]["schemas"][schema];
    let sent = serde_json::to_value(value).unwrap();
    let sent: BTreeSet<&str> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    let described: BTreeSet<&str> =
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let promised: BTreeSet<&str> =
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(sent, described);
    assert_eq!(sent, promised);
}

#[test]
fn answers_have_every_field_that_is_promised() {
    let document = document();
    has_all_fields(&document, "Span", &Span::new(TraceId::random(), "s", "n"));
    has_all_fields(&document, "Timings", &Timings::default());
    has_all_fields(&document, "TimingsMs", &TimingsMs::default());
    has_all_fields(&document, "TracePage", &TracePage::default());
    has_all_fields(&document, "DiscoveredModel", &DiscoveredModel::default());
}

#[test]
fn what_can_be_missing_is_not_promised() {
    let document = document();
    let required = |name: &str| {
        document["components"]["schemas"][name]["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(!required("ChatAnswer").contains(&"thinking".to_owned()));
    assert!(!required("ChatFailure").contains(&"detail".to_owned()));
    // Requests need only what cannot be done without.
    assert_eq!(required("ChatRequest"), ["message"]);
}

#[test]
fn every_reference_leads_to_a_schema_and_no_default_is_made_up() {
    let document = document();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let reference = reference.split('"').next().unwrap();
        let name = reference.strip_prefix(super::SCHEMAS).unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
    // A default of a span would be a random id and the present time.
    assert!(!document["components"]["schemas"]["Span"].to_string().contains("\"default\""));
}
