//! Images and sounds. Langfuse's SDKs upload them and put references in their place; here nothing is
//! uploaded, and the reference says what Andon keeps of them: type, size and hash.
//!
//! Source: Langfuse's public API (`POST /api/public/media`), and the references that its SDKs write,
//! `@@@langfuseMedia:type=image/png|id=…|source=…@@@`.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// What a client says of what it would upload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Announced {
    content_length: u64,
    /// In base64.
    sha256_hash: String,
}

/// The answer: an id that is the hash and the size, and no address to upload to, as where it is there
/// already.
pub(super) fn answer(announced: &Announced) -> Result<Json, &'static str> {
    let hash = BASE64_STANDARD.decode(&announced.sha256_hash);
    let hash = hash.ok().filter(|hash| hash.len() == 32);
    let hash = hash.ok_or("its sha256Hash is no SHA-256 in base64")?;
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({"mediaId": format!("{hash}-{}", announced.content_length), "uploadUrl": null}))
}

const BEFORE: &str = "@@@langfuseMedia:";
const AFTER: &str = "@@@";

/// A text with what references are of in their place.
pub(super) fn named(text: &str) -> Cow<'_, str> {
    let Some((mut before, mut rest)) = text.split_once(BEFORE) else { return Cow::Borrowed(text) };
    let mut whole = String::with_capacity(text.len());
    loop {
        whole.push_str(before);
        let of = rest.split_once(AFTER).and_then(|(of, after)| Some((describe(of)?, after)));
        match of {
            Some((of, after)) => {
                whole.push_str(&of);
                rest = after;
            }
            None => whole.push_str(BEFORE),
        }
        match rest.split_once(BEFORE) {
            Some(parts) => (before, rest) = parts,
            None => break,
        }
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

/// In the words of `andon_model::media`, where the id is one of [`answer`]'s.
fn describe(reference: &str) -> Option<String> {
    let field = |name: &str| {
        reference.split('|').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    let (hash, bytes) = field("id")?.split_once('-')?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bytes: u64 = bytes.parse().ok().filter(|_| is_hash)?;
    Some(format!("[{}, {bytes} bytes, sha256 {hash}]", field("type")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_says_what_it_is_of() {
        let announced = json!({"contentType": "image/png", "contentLength": 12, "traceId": "t",
            "sha256Hash": "8CqDDPA6HPdWwEYUgdtoK8klSlo5n4R0lNM4UMP/cVY=", "field": "input"});
        let answer = answer(&serde_json::from_value(announced).unwrap()).unwrap();
        assert_eq!(answer["uploadUrl"], Json::Null);
        let id = answer["mediaId"].as_str().unwrap();
        let reference = format!("@@@langfuseMedia:type=image/png|id={id}|source=base64@@@");
        let expected = "[image/png, 12 bytes, sha256 \
            f02a830cf03a1cf756c0461481db682bc9254a5a399f847494d33850c3ff7156]";
        assert_eq!(
            named(&format!("a {reference}{reference} b")),
            format!("a {expected}{expected} b")
        );
    }

    #[test]
    fn what_is_no_reference_stays() {
        for text in ["", "@@@", "a @@@langfuseMedia:", "@@@langfuseMedia:type=x|id=other@@@ b"] {
            assert_eq!(named(text), text);
        }
        let wrong = json!({"contentLength": 1, "sha256Hash": "AAAA"});
        assert!(answer(&serde_json::from_value(wrong).unwrap()).is_err());
    }
}
