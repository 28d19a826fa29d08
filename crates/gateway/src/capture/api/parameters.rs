//! Parameters of a request under OpenTelemetry's names (GenAI semantic conventions), and media that
//! is kept as what it is and not as its bytes.

use andon_model::AttributeValue;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Asked;

/// A field of a request, and the attribute it becomes.
pub(super) type Field = (&'static str, &'static str);

/// What most APIs call alike.
pub(super) const SAMPLING: [Field; 6] = [
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("top_k", "gen_ai.request.top_k"),
    ("seed", "gen_ai.request.seed"),
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
];

/// Takes numbers, booleans and short words; whatever else a field holds is left where it is.
pub(super) fn take(from: &Value, fields: &[Field], asked: &mut Asked) {
    for (field, attribute) in fields {
        if let Some(value) = from.get(field).and_then(plain) {
            asked.attributes.set(*attribute, value);
        }
    }
}

pub(super) fn plain(value: &Value) -> Option<AttributeValue> {
    const MOST: usize = 64;
    match value {
        Value::Bool(value) => Some((*value).into()),
        Value::Number(number) => {
            number.as_i64().map(AttributeValue::Int).or(number.as_f64().map(AttributeValue::Float))
        }
        Value::String(text) if text.len() <= MOST => Some(text.as_str().into()),
        _ => None,
    }
}

/// An image, a sound or a file in base64: type, size in bytes, hash. Never the bytes.
pub(super) fn media(base64: &str, named: Option<&str>) -> String {
    let (named, base64) = match base64.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((kind, data)) => (kind.split(';').next().or(named), data),
        None => (named, base64),
    };
    match BASE64_STANDARD.decode(base64) {
        Ok(bytes) => {
            let digest = Sha256::digest(&bytes);
            let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let kind = named.or_else(|| kind_of(&bytes)).unwrap_or("unknown type");
            format!("[{kind}, {} bytes, sha256 {hash}]", bytes.len())
        }
        Err(_) => {
            format!("[{}, not base64, {} characters]", named.unwrap_or("media"), base64.len())
        }
    }
}

/// Whether a text is, or holds, what [`media`] makes.
pub(super) fn names_media(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b" bytes, sha256 ").is_some()
}

/// A link is kept as it is, bytes as what they are.
pub(super) fn media_url(url: &str) -> String {
    if url.starts_with("data:") { media(url, None) } else { format!("[image at {url}]") }
}

/// By the first bytes.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let starts: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"RIFF", "image/webp"),
    ];
    starts.into_iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_kept_as_hash_type_and_size() {
        let png = BASE64_STANDARD.encode(b"\x89PNG\r\n\x1a\nrest");
        let kept = media(&png, None);
        assert!(kept.starts_with("[image/png, 12 bytes, sha256 "), "{kept}");
        assert_eq!(media(&format!("data:image/png;base64,{png}"), None), kept);
        assert_eq!(media("%", Some("audio/wav")), "[audio/wav, not base64, 1 characters]");
    }
}
