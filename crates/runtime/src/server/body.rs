//! Reads a request's body: bounded in size and time, UTF-8, JSON whatever the content type says.

use axum::body::Body;
use futures_util::StreamExt;
use serde_json::Value;

use super::BODY_TIME;
use crate::failure::Failure;

/// The body as JSON.
pub(super) async fn read_json(body: Body, limit: usize) -> Result<Value, Failure> {
    let bytes = tokio::time::timeout(BODY_TIME, read_bytes(body, limit)).await;
    let bytes = bytes.map_err(|_| Failure::BodyTooSlow { seconds: BODY_TIME.as_secs() })??;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::BodyMissing);
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Failure::BodyNotUtf8 { position: error.valid_up_to() })?;
    serde_json::from_str(text).map_err(|error| Failure::BodyNotJson { reason: error.to_string() })
}

async fn read_bytes(body: Body, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Failure::BodyBroken)?;
        if bytes.len() + chunk.len() > limit {
            return Err(Failure::BodyTooLarge { limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: impl Into<Body>) -> Result<Value, Failure> {
        read_json(body.into(), 32).await
    }

    #[tokio::test]
    async fn each_kind_of_bad_body_has_its_own_error() {
        assert_eq!(read("").await, Err(Failure::BodyMissing));
        assert_eq!(read(" \n").await, Err(Failure::BodyMissing));
        assert_eq!(read(vec![b'"', 0xff]).await, Err(Failure::BodyNotUtf8 { position: 1 }));
        assert_eq!(read("x".repeat(33)).await, Err(Failure::BodyTooLarge { limit: 32 }));
        let error = read("{\"a\": ").await.unwrap_err().to_string();
        assert!(error.contains("line 1 column 6"), "{error}");
        assert!(matches!(read("[".repeat(32)).await, Err(Failure::BodyNotJson { .. })));
        assert_eq!(read("{}").await, Ok(serde_json::json!({})));
    }
}
