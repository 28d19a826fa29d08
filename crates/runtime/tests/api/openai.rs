//! OpenAI's dialect.

use serde_json::{Value, json};

use crate::client::{Reply, get, post};
use crate::server;

fn events(reply: Reply) -> Vec<String> {
    let text = reply.text();
    let events: Vec<&str> = text.split_terminator("\n\n").collect();
    events.iter().map(|e| e.strip_prefix("data: ").expect("an event").to_owned()).collect()
}

fn body(name: &str) -> Value {
    json!({
        "model": name, "max_tokens": 12, "temperature": 0,
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "What is the capital of Japan?" }] },
        ],
    })
}

#[test]
fn chat_completions() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let object = post(address, "/v1/chat/completions", &body(&name)).json();
    assert_eq!(object["object"], "chat.completion");
    assert!(object["choices"][0]["message"]["content"].as_str().unwrap().contains("Tokyo"));
    let usage = &object["usage"];
    let sum =
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);

    let mut streamed = body(&name);
    streamed["stream"] = true.into();
    let reply = post(address, "/v1/chat/completions", &streamed);
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let plain = events(reply);
    assert_eq!(plain.last().unwrap(), "[DONE]");
    assert!(!plain.iter().any(|event| event.contains("\"usage\"")), "nobody asked for usage");
    let chunks: Vec<Value> =
        plain[..plain.len() - 1].iter().map(|e| serde_json::from_str(e).unwrap()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks[1]["choices"][0]["delta"].get("role").is_none());
    let last = &chunks[chunks.len() - 1]["choices"][0];
    assert_eq!(last["delta"], json!({}));
    assert!(["stop", "length"].contains(&last["finish_reason"].as_str().unwrap()));
    let text: String =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, object["choices"][0]["message"]["content"].as_str().unwrap());

    streamed["stream_options"] = json!({ "include_usage": true });
    let with_usage = events(post(address, "/v1/chat/completions", &streamed));
    let usage: Value = serde_json::from_str(&with_usage[with_usage.len() - 2]).unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["completion_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn other_endpoints() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let request = json!({ "model": name, "prompt": "What is 1+1?", "max_tokens": 5 });
    let object = post(address, "/v1/completions", &request).json();
    assert_eq!(object["object"], "text_completion");
    assert!(object["choices"][0]["text"].is_string());
    let model = get(address, &format!("/v1/models/{name}")).json();
    assert_eq!(model["id"], name.as_str());
    assert_eq!(get(address, "/v1/models").json()["data"][0], model);

    let floats = json!({ "model": name, "input": "cat", "encoding_format": "float" });
    let floats = post(address, "/v1/embeddings", &floats).json();
    let length = floats["data"][0]["embedding"].as_array().unwrap().len();
    let coded = json!({ "model": name, "input": "cat", "encoding_format": "base64" });
    let coded = post(address, "/v1/embeddings", &coded).json();
    let text = coded["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), (length * 4).div_ceil(3) * 4);
    let none = post(address, "/v1/chat/completions", &json!({ "model": name, "messages": [] }));
    assert_eq!(none.status, 400);
}
