//! Bad input: each kind has its own clear error, in the shape of the API that was spoken.

use std::os::unix::fs::symlink;

use andon_runtime::Config;
use serde_json::{Value, json};

use crate::client::{get, post, send, send_with};
use crate::server;

#[test]
fn a_runtime_without_models_answers_all_the_same() {
    let address = server::start(Config::default());
    assert_eq!(get(address, "/").text(), "Ollama is running");
    assert_eq!(send(address, "HEAD", "/", b"").status, 200);
    assert_eq!(get(address, "/healthz").status, 200);
    assert_eq!(get(address, "/api/tags").json(), json!({ "models": [] }));
    assert_eq!(get(address, "/api/ps").json(), json!({ "models": [] }));
    assert_eq!(get(address, "/v1/models").json(), json!({ "object": "list", "data": [] }));
    assert!(get(address, "/api/version").json()["version"].as_str().unwrap().starts_with("0."));
}

#[test]
fn native_errors() {
    let address = server::start(Config::default());
    let cases: &[(&str, &[u8], u16, &str)] = &[
        ("/api/chat", b"", 400, "missing request body"),
        ("/api/chat", b"{\"model\": \"x\", ", 400, "line 1 column 15"),
        ("/api/chat", b"\"\xff\"", 400, "not valid UTF-8 (byte 1)"),
        ("/api/chat", b"[]", 400, "must be an object, not an array"),
        ("/api/chat", b"{\"model\": 5}", 400, "field \"model\" must be a string, not a number"),
        ("/api/chat", b"{}", 400, "model is required"),
        ("/api/chat", b"{\"model\": \"nope\"}", 404, "model 'nope' not found"),
        ("/api/generate", b"{\"model\": \"nope\"}", 404, "model 'nope' not found"),
        ("/api/generate", b"{}", 404, "model '' not found"),
        ("/api/embed", b"{\"model\": \"nope\"}", 404, "model 'nope' not found"),
        ("/api/show", b"{\"model\": \"nope\"}", 404, "model 'nope' not found"),
        ("/api/pull", b"{\"model\": \"nope\"}", 501, "not supported by the built-in runtime"),
    ];
    for (path, body, status, text) in cases {
        let reply = send(address, "POST", path, body);
        let context = format!("{path} {}", String::from_utf8_lossy(body));
        assert_eq!(reply.status, *status, "{context}");
        let error = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(text), "{context}: {error}");
    }
    let reply = send(address, "DELETE", "/api/delete", b"{\"model\": \"nope\"}");
    assert_eq!(reply.status, 501);
}

#[test]
fn other_errors_of_the_server() {
    let address = server::start(Config::default());
    let large = format!("{{\"model\": \"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(send(address, "POST", "/api/chat", large.as_bytes()).status, 413);
    let missing = get(address, "/nothing");
    assert_eq!((missing.status, missing.text().as_str()), (404, "404 page not found"));
    assert_eq!(get(address, "/api/chat").status, 405);
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(send_with(address, "GET", "/api/tags", foreign, b"").status, 403);
}

#[test]
fn openai_errors_have_openais_shape() {
    let address = server::start(Config::default());
    let reply = post(address, "/v1/chat/completions", &json!({ "model": "nope" }));
    assert_eq!(reply.status, 404);
    assert_eq!(
        reply.json(),
        json!({ "error": {
            "message": "model 'nope' not found", "type": "not_found_error",
            "param": null, "code": null
        } })
    );
    let reply = post(address, "/v1/embeddings", &json!({ "model": [] }));
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    assert_eq!(get(address, "/v1/models/nope").status, 404);
}

#[test]
fn requests_the_model_cannot_serve() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let message = json!([{ "role": "user", "content": "Hi" }]);
    let cases = [
        ("/api/chat", json!({ "messages": message, "think": true }), "does not support thinking"),
        ("/api/chat", json!({ "messages": message, "tools": [{}] }), "does not support tools"),
        (
            "/api/chat",
            json!({ "messages": [{ "role": "user", "content": "", "images": ["aGk="] }] }),
            "does not support images",
        ),
        ("/api/chat", json!({ "messages": [{ "role": "boss" }] }), "messages[0].role"),
        ("/api/chat", json!({ "messages": message, "keep_alive": "300" }), "keep_alive"),
        ("/api/chat", json!({ "messages": message, "format": "xml" }), "format"),
        (
            "/api/generate",
            json!({ "prompt": "Hi", "options": { "num_predict": "40" } }),
            "option \"num_predict\" must be of type integer",
        ),
        ("/api/generate", json!({ "prompt": "Hi", "suffix": "x" }), "does not support insert"),
        ("/api/generate", json!({ "prompt": "Hi", "raw": true, "system": "x" }), "raw mode"),
    ];
    for (path, mut body, text) in cases {
        body["model"] = name.as_str().into();
        let reply = post(address, path, &body);
        assert_eq!(reply.status, 400, "{body}");
        let error = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(text), "{body}: {error}");
    }
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_both_numbers() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let body = json!({
        "model": name, "prompt": "word ".repeat(1000), "raw": true, "options": { "num_ctx": 256 }
    });
    let reply = post(address, "/api/generate", &body);
    assert_eq!(reply.status, 400);
    let error = reply.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains(" tokens, but the context holds 256"), "{error}");
    let long: Value = json!([{ "role": "user", "content": "word ".repeat(5000) }]);
    let reply = post(address, "/v1/chat/completions", &json!({ "model": name, "messages": long }));
    assert_eq!(reply.status, 400);
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("4096"));
}

#[test]
fn broken_model_files_are_refused_by_name() {
    let Some(model) = server::model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = std::fs::read(&model).unwrap();
    std::fs::write(folder.path().join("cut.gguf"), &start[..start.len() / 2]).unwrap();
    std::fs::write(folder.path().join("text.gguf"), "not a model").unwrap();
    symlink(&model, folder.path().join("altered.gguf")).unwrap();
    let claimed = "0".repeat(64);
    std::fs::write(folder.path().join("altered.gguf.sha256"), &claimed).unwrap();
    let models = vec![folder.path().to_owned()];
    let address = server::start(Config { models, ..Config::default() });
    for (name, texts) in [
        ("cut", vec!["cut.gguf", "cut short", "bytes"]),
        ("text", vec!["text.gguf", "not a GGUF file"]),
    ] {
        let reply = post(address, "/api/generate", &json!({ "model": name, "prompt": "Hi" }));
        assert_eq!(reply.status, 500);
        let error = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    }
    // The card may know the file and call it by another name.
    let reply = post(address, "/api/generate", &json!({ "model": "altered", "prompt": "Hi" }));
    assert_eq!(reply.status, 500);
    let error = reply.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("altered.gguf") && error.contains(&claimed), "{error}");
    assert!(error.contains("SHA-256 is "), "{error}");
}
