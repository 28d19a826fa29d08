//! Images, sounds and files in a call: kept as what they are, never their bytes.

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

/// An image, a sound or a file in base64: type, size in bytes, hash. Never the bytes.
pub fn describe(base64: &str, named: Option<&str>) -> String {
    if is_named_in(base64) {
        return base64.to_owned();
    }
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

/// Whether a text is, or holds, what [`describe`] makes.
pub fn is_named_in(text: &str) -> bool {
    text.contains(" bytes, sha256 ")
}

/// A link is kept as it is, bytes as what they are.
pub fn describe_url(url: &str) -> String {
    if url.starts_with("data:") || is_named_in(url) {
        describe(url, None)
    } else {
        format!("[image at {url}]")
    }
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
        let kept = describe(&png, None);
        assert!(kept.starts_with("[image/png, 12 bytes, sha256 "), "{kept}");
        assert_eq!(describe(&format!("data:image/png;base64,{png}"), None), kept);
        assert_eq!(describe("%", Some("audio/wav")), "[audio/wav, not base64, 1 characters]");
    }
}
