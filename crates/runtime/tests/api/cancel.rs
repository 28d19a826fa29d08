//! Clients that leave, and clients that wait.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use andon_runtime::Config;
use serde_json::{Value, json};

use crate::client::{post, send_only, send_with};
use crate::server;

/// So long that nothing but a break ends it within a test.
fn endless(name: &str) -> Value {
    json!({
        "model": name, "prompt": "Once upon a time", "raw": true,
        "options": { "num_predict": -1, "temperature": 1, "num_ctx": 32768, "repeat_penalty": 1.3 },
    })
}

fn short(name: &str) -> Value {
    json!({
        "model": name, "prompt": "Hello", "raw": true, "stream": false,
        "options": { "num_predict": 2, "num_ctx": 32768 },
    })
}

#[test]
fn the_next_request_runs_at_once_when_a_client_hangs_up() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    post(address, "/api/generate", &short(&name)).json();
    for streamed in [true, false] {
        let mut request = endless(&name);
        request["stream"] = streamed.into();
        let mut connection = send_only(address, "/api/generate", &request);
        if streamed {
            connection.read_exact(&mut [0; 200]).unwrap();
        } else {
            thread::sleep(Duration::from_millis(300));
        }
        drop(connection);
        let started = Instant::now();
        let reply = post(address, "/api/generate", &short(&name));
        assert_eq!(reply.status, 200);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[test]
fn reading_a_prompt_is_broken_off_too() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    post(address, "/api/generate", &short(&name)).json();
    let mut request = endless(&name);
    request["prompt"] = "many different words of all kinds ".repeat(3000).into();
    let connection = send_only(address, "/api/generate", &request);
    thread::sleep(Duration::from_millis(300));
    drop(connection);
    let started = Instant::now();
    let reply = post(address, "/api/generate", &short(&name)).json();
    assert_eq!(reply["done"], true);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn too_many_waiting_requests_are_refused_and_places_are_told() {
    let Some(model) = server::model() else { return };
    let config = Config { models: vec![model], max_queue: 2, ..Config::default() };
    let address = server::start(config);
    let name = server::name(address);
    let mut running = send_only(address, "/api/generate", &endless(&name));
    running.read_exact(&mut [0; 200]).unwrap();
    let first = send_only(address, "/api/generate", &short(&name));
    let progress = "x-andon-progress: 1\r\n";
    let mut second_request = short(&name);
    second_request["stream"] = true.into();
    thread::sleep(Duration::from_millis(100));
    let mut second = send_with(
        address,
        "POST",
        "/api/generate",
        progress,
        second_request.to_string().as_bytes(),
    );
    let line: Value = serde_json::from_str(&second.chunk().unwrap()).unwrap();
    assert_eq!(line, json!({ "andon": { "phase": "queue", "position": 2 } }));
    let third = post(address, "/api/generate", &short(&name));
    assert_eq!(third.status, 503);
    assert_eq!(
        third.json()["error"],
        "server busy, please try again.  maximum pending requests exceeded"
    );
    let openai = json!({ "model": name, "messages": [{ "role": "user", "content": "Hi" }] });
    let fourth = post(address, "/v1/chat/completions", &openai);
    assert_eq!(fourth.status, 503);
    assert_eq!(fourth.json()["error"]["type"], "api_error");
    // One that leaves the line makes place, and those behind move up.
    drop(first);
    thread::sleep(Duration::from_millis(200));
    drop(running);
    let lines = second.lines();
    let last = lines.last().unwrap();
    assert_eq!(last["done"], true);
    assert!(last["andon"]["queue_duration"].as_u64().unwrap() > 100_000_000);
}
