//! What may be in an attribute that has no field of its own: nobody's words, a text that may quote the
//! call's, or somebody's words under a name that no convention knows.

use std::borrow::Cow;

use andon_model::Holds;

/// Names of conventions, whose values are ids, names and numbers.
const KNOWN: &[&str] = &[
    "_dd.",
    "aws.",
    "az.",
    "azure.",
    "browser.",
    "cicd.",
    "client.",
    "cloud.",
    "code.",
    "component",
    "container.",
    "db.",
    "deployment.",
    "device.",
    "dns.",
    "dotnet.",
    "enduser.",
    "error.",
    "exception.",
    "faas.",
    "feature_flag.",
    "flask.",
    "gcp.",
    "graphql.",
    "heroku.",
    "host.",
    "http.",
    "jvm.",
    "k8s.",
    "language",
    "messaging.",
    "net.",
    "network.",
    "nodejs.",
    "openai.",
    "openinference.",
    "os.",
    "otel.",
    "out.",
    "peer.",
    "process.",
    "rpc.",
    "runtime",
    "server.",
    "service.",
    "session.",
    "source.",
    "span.",
    "telemetry.",
    "thread.",
    "tls.",
    "traceloop.entity.name",
    "traceloop.workflow.name",
    "url.",
    "user.",
    "user_agent.",
    "v8js.",
    "vcs.",
    "webengine.",
];

/// Those of them that may quote what was asked or answered.
const QUOTING: &[&str] = &[
    "code.stacktrace",
    "db.query.text",
    "db.statement",
    "error.message",
    "error.msg",
    "error.stack",
    "exception.message",
    "exception.stacktrace",
    "graphql.document",
    "http.target",
    "http.url",
    "url.full",
    "url.query",
];

/// Those whose values are what somebody sent.
const BODIES: &[&str] = &[
    "db.query.parameter.",
    "http.request.body",
    "http.request.header.",
    "http.response.body",
    "http.response.header.",
    "messaging.message.body",
    "process.command_args",
    "process.command_line",
];

const ADDRESSES: &[&str] = &["http.target", "http.url", "url.full", "url.query"];
const STATEMENTS: &[&str] = &["db.query.text", "db.statement"];

/// Longer values of unknown names are words, whatever they look like.
const MAX_WORD_BYTES: usize = 96;

/// How an attribute is to be protected; `None`: it is kept as it is.
pub(crate) fn holds(name: &str, text: &str) -> Option<Holds> {
    if QUOTING.contains(&name) || name.ends_with(".stacktrace") {
        return Some(Holds::Quotes);
    }
    if !is_words(text) {
        return None;
    }
    if BODIES.iter().any(|body| name.starts_with(body)) {
        return Some(Holds::Words);
    }
    // Under a known name there may be a prompt all the same, and this convention is about prompts.
    let is_known = KNOWN.iter().any(|known| name.starts_with(known));
    Some(if is_known { Holds::Quotes } else { Holds::Words })
}

/// A text without what its convention says is not to be sent: words in an address's query, and literals of
/// a database's statement (OpenTelemetry's conventions for URLs and for databases).
pub(crate) fn tidy(name: &str, text: String) -> String {
    if ADDRESSES.contains(&name) {
        let start = if name == "url.query" { Some(0) } else { text.find('?').map(|at| at + 1) };
        return match start {
            Some(at) if is_words(&text[at..]) => format!("{}[…]", &text[..at]),
            _ => text,
        };
    }
    if STATEMENTS.contains(&name) { without_literals(&text).into_owned() } else { text }
}

/// What stands between apostrophes, doubled ones within it included, becomes `?`.
fn without_literals(statement: &str) -> Cow<'_, str> {
    if !statement.contains('\'') {
        return Cow::Borrowed(statement);
    }
    let mut kept = String::with_capacity(statement.len());
    let mut parts = statement.split('\'');
    kept.push_str(parts.next().unwrap_or_default());
    while let (Some(_literal), outside) = (parts.next(), parts.next()) {
        kept.push('?');
        kept.push_str(outside.unwrap_or_default());
    }
    // `''` within a literal looked like the end of one and the beginning of the next.
    Cow::Owned(kept.replace("??", "?"))
}

/// Whether a text looks like what people write, and not like a name, an id or a number.
fn is_words(text: &str) -> bool {
    text.len() > MAX_WORD_BYTES
        || !text.is_ascii()
        || text.contains(|c: char| c.is_whitespace())
        // Escaped, by JSON or in an address.
        || text.contains("\\u")
        || text.contains('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_words_are_not() {
        assert_eq!(holds("plan", "free"), None);
        assert_eq!(holds("http.user_agent", "curl/8"), None);
        assert_eq!(holds("http.user_agent", "curl/8 and more"), Some(Holds::Quotes));
        assert_eq!(holds("gen_ai.content.reasoning", "they want it"), Some(Holds::Words));
        assert_eq!(holds("note", "\\u7d4c"), Some(Holds::Words));
        assert_eq!(holds("note", "my name is Ann"), Some(Holds::Words));
        assert_eq!(holds("note", "アン"), Some(Holds::Words));
        assert_eq!(holds("blob", &"x".repeat(200)), Some(Holds::Words));
        assert_eq!(holds("exception.message", "x"), Some(Holds::Quotes));
        assert_eq!(holds("http.request.header.x", "a b"), Some(Holds::Words));
        assert_eq!(holds("gen_ai.unheard_of", &"x ".repeat(100)), Some(Holds::Words));
    }

    #[test]
    fn words_go_from_addresses_and_literals_from_statements() {
        let of = |name, text: &str| tidy(name, text.to_owned());
        assert_eq!(of("url.full", "http://h/p?id=7&b=c"), "http://h/p?id=7&b=c");
        assert_eq!(of("url.full", "http://h/p?q=空は"), "http://h/p?[…]");
        assert_eq!(of("http.target", "/p?q=%E7%A9%BA"), "/p?[…]");
        assert_eq!(of("url.query", "q=why is"), "[…]");
        assert_eq!(
            of("db.statement", "select * from t where a = 'it''s' and b = 1"),
            "select * from t where a = ? and b = 1"
        );
        assert_eq!(of("db.query.text", "select 'open"), "select ?");
        assert_eq!(of("note", "it's"), "it's");
    }
}
