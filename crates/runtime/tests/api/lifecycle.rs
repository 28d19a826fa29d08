//! Loading, staying loaded, unloading, starting and ending.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{io::BufRead, io::BufReader, thread};

use andon_runtime::{Config, KeepAlive};
use serde_json::{Value, json};

use crate::client::{get, post};
use crate::server;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn loaded(address: std::net::SocketAddr) -> Vec<Value> {
    get(address, "/api/ps").json()["models"].as_array().unwrap().clone()
}

#[test]
fn a_model_is_loaded_on_demand_and_its_memory_comes_back() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let before = resident_bytes();
    let load = post(address, "/api/generate", &json!({ "model": name }));
    assert_eq!(load.header("content-type"), "application/json; charset=utf-8");
    let load = load.json();
    assert_eq!((&load["done"], &load["done_reason"]), (&json!(true), &json!("load")));
    assert_eq!(load["response"], "");
    assert!(load.get("total_duration").is_none(), "no numbers in a load's answer");
    let model = &loaded(address)[0];
    assert_eq!(model["name"], name.as_str());
    assert!(model["size"].as_u64().unwrap() > 100_000_000);
    assert_eq!(model["size_vram"], 0);
    assert!(model["expires_at"].as_str().unwrap().ends_with('Z'));
    let grown = resident_bytes() - before;
    assert!(grown > 100_000_000, "the weights are really in memory: {grown}");

    let unload = post(address, "/api/generate", &json!({ "model": name, "keep_alive": 0 })).json();
    assert_eq!(unload["done_reason"], "unload");
    assert!(loaded(address).is_empty());
    let kept = resident_bytes().saturating_sub(before);
    assert!(kept < grown / 5, "{kept} of {grown} bytes were kept");

    let chat = post(address, "/api/chat", &json!({ "model": name, "messages": [] })).json();
    assert_eq!(chat["done_reason"], "load");
    assert_eq!(chat["message"], json!({ "role": "assistant", "content": "" }));
}

#[test]
fn a_cold_start_shows_in_the_load_time_and_only_there() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let body = json!({
        "model": name, "prompt": "Hello", "raw": true, "stream": false,
        "options": { "num_predict": 2 },
    });
    let cold = post(address, "/api/generate", &body).json();
    let warm = post(address, "/api/generate", &body).json();
    let load = |reply: &Value| reply["load_duration"].as_u64().unwrap();
    assert!(load(&cold) > 50_000_000, "{cold}");
    assert!(load(&warm) > 0 && load(&warm) < load(&cold) / 10, "{warm}");
}

#[test]
fn an_idle_model_is_unloaded_in_time() {
    let Some(model) = server::model() else { return };
    let keep_alive = KeepAlive::For(Duration::from_millis(300));
    let address = server::start(Config { models: vec![model], keep_alive, ..Config::default() });
    let name = server::name(address);
    let body = |keep_alive: Value| json!({ "model": name, "keep_alive": keep_alive });
    post(address, "/api/generate", &body(json!("1h"))).json();
    thread::sleep(Duration::from_millis(600));
    assert_eq!(loaded(address).len(), 1, "the request's own time counts");
    post(address, "/api/generate", &body(json!(-1))).json();
    let expires = loaded(address)[0]["expires_at"].as_str().unwrap().to_owned();
    assert!(*expires > *"2100", "{expires}");
    let answer = json!({
        "model": name, "prompt": "Hi", "stream": false, "keep_alive": 0,
        "options": { "num_predict": 1 },
    });
    assert_eq!(post(address, "/api/generate", &answer).json()["done"], true);
    wait_until("unloaded", || loaded(address).is_empty());
    post(address, "/api/generate", &json!({ "model": name })).json();
    assert_eq!(loaded(address).len(), 1);
    wait_until("unloaded after the default time", || loaded(address).is_empty());
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "not {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn models_in_ollamas_store_are_used_where_they_lie() {
    let Some(model) = server::model() else { return };
    let store = tempfile::tempdir().unwrap();
    let sum = "ab".repeat(32);
    std::fs::create_dir_all(store.path().join("blobs")).unwrap();
    std::os::unix::fs::symlink(model, store.path().join(format!("blobs/sha256-{sum}"))).unwrap();
    let place = store.path().join("manifests/registry.example/library/tiny");
    std::fs::create_dir_all(&place).unwrap();
    let layer = json!({
        "mediaType": "application/vnd.ollama.image.model", "digest": format!("sha256:{sum}")
    });
    let manifest = json!({ "schemaVersion": 2, "layers": [layer] }).to_string();
    std::fs::write(place.join("latest"), manifest).unwrap();
    let ollama_models = Some(store.path().to_owned());
    let address = server::start(Config { ollama_models, ..Config::default() });
    let tags = get(address, "/api/tags").json();
    assert_eq!(tags["models"][0]["name"], "tiny:latest");
    assert_eq!(tags["models"][0]["digest"].as_str().unwrap().len(), 64);
    // Without a card of its own and without a template it answers in the plain form.
    let body = json!({
        "model": "Tiny", "stream": false, "options": { "num_predict": 12, "temperature": 0 },
        "messages": [{ "role": "user", "content": "What is the capital of Japan?" }],
    });
    let reply = post(address, "/api/chat", &body).json();
    assert_eq!(reply["model"], "Tiny");
    assert!(reply["message"]["content"].as_str().unwrap().contains("Tokyo"), "{reply}");
}

#[test]
fn a_taken_port_is_named_or_another_one_is_taken() {
    let taken = server::start(Config::default());
    let config = Config { listen: taken, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(andon_runtime::serve(config.clone(), |_| ())).unwrap_err();
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    let config = Config { fallback_any_port: true, ..config };
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        runtime.block_on(andon_runtime::serve(config, move |address| sender.send(address).unwrap()))
    });
    let other = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_ne!(other, taken);
    assert_eq!(get(other, "/healthz").status, 200);
}

/// Not a test of its own: what the next one starts as a child.
#[test]
fn child_that_ends_with_its_parent() {
    if std::env::var_os("ANDON_TEST_CHILD").is_none() {
        return;
    }
    let models = server::model().into_iter().collect();
    let config = Config { models, exit_on_stdin_eof: true, ..Config::default() };
    println!("\naddress={}", server::start(config));
    thread::sleep(Duration::from_secs(60));
    panic!("outlived its parent");
}

#[test]
fn the_process_ends_when_its_parent_lets_go_even_while_it_computes() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::child_that_ends_with_its_parent", "--nocapture"])
        .env("ANDON_TEST_CHILD", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let address = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("address=").map(str::to_owned))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(get(address, "/healthz").status, 200);
    if server::model().is_some() {
        let name = server::name(address);
        let body = json!({ "model": name, "prompt": "Once", "raw": true });
        let mut stream = crate::client::send_only(address, "/api/generate", &body);
        std::io::Read::read_exact(&mut stream, &mut [0; 200]).unwrap();
    }
    drop(child.stdin.take());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "still running");
        thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
}
