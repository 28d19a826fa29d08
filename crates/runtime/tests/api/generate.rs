//! Answers of the native API: shapes, numbers, streams.

use serde_json::{Value, json};

use crate::client::{get, post, send, send_with};
use crate::server;

#[test]
fn a_chat_streams_whole_objects_and_ends_with_numbers() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let body = json!({
        "model": name,
        "messages": [{ "role": "user", "content": "日本の首都はどこですか?" }],
        "options": { "num_predict": 40, "temperature": 0 },
    });
    let reply = post(address, "/api/chat", &body);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let lines = reply.lines();
    let (last, rest) = lines.split_last().unwrap();
    assert!(rest.len() > 1, "more than one piece");
    for line in rest {
        assert_eq!(line["done"], false);
        assert_eq!(line["model"], name.as_str());
        assert_eq!(line["message"]["role"], "assistant");
        assert!(line.get("andon").is_none(), "a plain client sees nothing of Andon's");
    }
    let text: String = rest.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert!(text.contains("東京"), "{text}");
    assert!(!text.contains("質問") && !text.starts_with(' '), "{text}");
    assert_eq!(last["done"], true);
    assert_eq!(last["done_reason"], "stop");
    for field in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
        assert!(last[field].as_u64().unwrap() > 0, "{field}");
    }
    let number = |field: &str| last[field].as_u64().unwrap();
    assert!(number("prompt_eval_count") > 20);
    assert_eq!(number("prompt_eval_cached_count"), 0);
    assert!(number("eval_count") > 0 && number("eval_count") <= 40);
    let parts = number("load_duration") + number("prompt_eval_duration") + number("eval_duration");
    assert!(parts <= number("total_duration"));
    assert!(last.get("andon").is_none() && last.get("context").is_none());
}

#[test]
fn generate_answers_in_one_object_and_knows_its_limits() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let body = json!({
        "model": name.to_uppercase(), "prompt": "Count: one, two, three,", "raw": true,
        "stream": false, "options": { "num_predict": 5, "temperature": 0 },
    });
    let reply = post(address, "/api/generate", &body);
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    let object = reply.json();
    assert_eq!(object["model"], name.to_uppercase(), "names come back as they were written");
    assert_eq!((&object["done"], &object["done_reason"]), (&json!(true), &json!("length")));
    assert_eq!(object["eval_count"], 5);
    assert!(object["response"].as_str().unwrap().contains("four"), "{object}");
    assert!(object.get("context").is_none(), "raw mode has no context");

    let body = json!({
        "model": name, "prompt": "Count: one, two, three,", "raw": true, "stream": false,
        "options": { "num_predict": 50, "temperature": 0, "stop": ["five"] },
    });
    let object = post(address, "/api/generate", &body).json();
    assert_eq!(object["done_reason"], "stop");
    let text = object["response"].as_str().unwrap();
    assert!(text.contains("four") && !text.contains("five"), "{text}");
}

#[test]
fn an_earlier_context_goes_on() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let body = json!({
        "model": name, "prompt": "What is the capital of France?", "stream": false,
        "options": { "num_predict": 20, "temperature": 0 },
    });
    let first = post(address, "/api/generate", &body).json();
    let context = first["context"].as_array().unwrap();
    let counted =
        first["prompt_eval_count"].as_u64().unwrap() + first["eval_count"].as_u64().unwrap();
    assert_eq!(context.len() as u64, counted);
    let mut body = body;
    body["context"] = first["context"].clone();
    let second = post(address, "/api/generate", &body).json();
    assert!(second["prompt_eval_cached_count"].as_u64().unwrap() + 2 >= context.len() as u64);
}

#[test]
fn progress_is_told_to_those_who_ask() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let body = json!({
        "model": name, "prompt": "word ".repeat(600), "raw": true,
        "options": { "num_predict": 3, "temperature": 0 },
    });
    let header = "x-andon-progress: 1\r\n";
    let reply = send_with(address, "POST", "/api/generate", header, body.to_string().as_bytes());
    let lines = reply.lines();
    let phases: Vec<&str> = lines.iter().filter_map(|l| l["andon"]["phase"].as_str()).collect();
    assert_eq!(phases.first(), Some(&"load"));
    assert!(phases.contains(&"prompt"));
    let loads: Vec<f64> =
        lines.iter().filter_map(|line| line["andon"]["progress"].as_f64()).collect();
    assert!(loads.is_sorted() && loads.last() == Some(&1.0), "{loads:?}");
    let prompt: Vec<&Value> =
        lines.iter().map(|l| &l["andon"]).filter(|a| a["phase"] == "prompt").collect();
    assert!(prompt.len() >= 4, "several pieces");
    let total = prompt[0]["total"].as_u64().unwrap();
    assert!(total > 600);
    assert_eq!(prompt[0], &json!({ "phase": "prompt", "done": 0, "total": total, "cached": 0 }));
    assert_eq!(prompt[prompt.len() - 1]["done"], total);
    let last = lines.last().unwrap();
    assert!(last["andon"]["threads"].as_u64().unwrap() >= 1);
    assert!(last["andon"]["queue_duration"].is_u64());
    let whole =
        json!({ "model": name, "prompt": "x", "stream": false, "options": { "num_predict": 1 } });
    let whole = send_with(address, "POST", "/api/generate", header, whole.to_string().as_bytes());
    assert!(whole.json()["andon"]["threads"].is_u64(), "one object tells it as well");
    let digest = &last["andon"]["digest"];
    assert!(digest.is_null() || digest.as_str().unwrap().len() == 64);
}

#[test]
fn whoever_follows_hears_of_numbered_requests_and_their_answers_stay_as_they_are() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let mut followed = send(address, "GET", "/api/andon/progress", b"");
    let chat = json!({
        "model": name, "messages": [{ "role": "user", "content": "word ".repeat(600) }],
        "options": { "num_predict": 3, "temperature": 0 }, "max_tokens": 3,
    });
    let body = chat.to_string();
    let unnumbered = send_with(address, "POST", "/api/chat", "", body.as_bytes());
    assert!(unnumbered.lines().iter().all(|line| line.get("andon").is_none()));
    for (path, number) in
        [("/api/chat", "00000000000000ab"), ("/v1/chat/completions", "ffffffffffffffff")]
    {
        // Another prompt each, or all of it is cached.
        let body = body.replacen("word", number, 1);
        let header = format!("x-andon-call: {number}\r\n");
        let answer = send_with(address, "POST", path, &header, body.as_bytes()).text();
        assert!(!answer.contains("andon"), "{answer}");
        let mut told: Vec<Value> = Vec::new();
        let is_read = |last: &Value| last["andon"]["done"] == last["andon"]["total"];
        while !told.last().is_some_and(|last| last["andon"]["phase"] == "prompt" && is_read(last)) {
            let line: Value = serde_json::from_str(&followed.chunk().unwrap()).unwrap();
            assert_eq!(line["call"], number);
            told.push(line);
        }
        assert!(told.len() >= 4, "several pieces: {told:?}");
    }
    for wrong in ["x-andon-call: ab\r\n", "x-andon-call: 00000000000000zz\r\n"] {
        let reply = send_with(address, "POST", "/api/chat", wrong, body.as_bytes());
        assert_eq!(reply.status, 200, "what is no number is passed over");
    }
}

#[test]
fn a_schema_is_kept_to() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string", "maxLength": 12 }, "n": { "type": "integer" } },
        "required": ["city", "n"], "additionalProperties": false,
    });
    let body = json!({
        "model": name, "stream": false, "format": schema,
        "messages": [{ "role": "user", "content": "Name a city and a number." }],
        "options": { "num_predict": 200, "seed": 1 },
    });
    let object = post(address, "/api/chat", &body).json();
    assert_eq!(object["done_reason"], "stop", "{object}");
    let text = object["message"]["content"].as_str().unwrap();
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(value["city"].is_string() && value["n"].is_i64(), "{value}");
    let body = json!({ "model": name, "prompt": "x", "format": { "type": "nonsense" } });
    assert_eq!(post(address, "/api/generate", &body).status, 400);
}

#[test]
fn a_seed_repeats_an_answer() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let answer = |seed: u64| {
        let body = json!({
            "model": name, "prompt": "Once upon a time", "raw": true, "stream": false,
            "options": { "num_predict": 20, "temperature": 1.5, "seed": seed },
        });
        post(address, "/api/generate", &body).json()["response"].as_str().unwrap().to_owned()
    };
    let first = answer(1);
    // Two runs: the first may read the prompt in another cut than the second.
    assert_eq!(answer(1), first);
    assert_ne!(answer(2), first);
}

#[test]
fn listings_describe_the_model_without_loading_it() {
    let Some(address) = server::start_with_model() else { return };
    let tags = get(address, "/api/tags").json();
    let model = &tags["models"][0];
    assert!(model["size"].as_u64().unwrap() > 0);
    assert_eq!(model["details"]["format"], "gguf");
    let show = post(address, "/api/show", &json!({ "model": model["name"] })).json();
    let architecture = show["model_info"]["general.architecture"].as_str().unwrap().to_owned();
    assert_eq!(model["details"]["family"], architecture.as_str());
    assert!(show["model_info"][format!("{architecture}.context_length")].is_u64());
    assert!(show["capabilities"].as_array().unwrap().contains(&json!("completion")));
    assert_eq!(get(address, "/api/ps").json(), json!({ "models": [] }), "nothing was loaded");
}

#[test]
fn embeddings_have_length_one_and_tell_texts_apart() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let input = json!(["The cat sat on the mat.", "A cat is sitting on a mat.", "税金の申告"]);
    let reply = post(address, "/api/embed", &json!({ "model": name, "input": input })).json();
    let vectors: Vec<Vec<f64>> = serde_json::from_value(reply["embeddings"].clone()).unwrap();
    let product = |a: usize, b: usize| -> f64 {
        vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum()
    };
    for index in 0..3 {
        assert!((product(index, index) - 1.0).abs() < 1e-3);
    }
    assert!(product(0, 1) > product(0, 2));
    assert!(reply["prompt_eval_count"].as_u64().unwrap() > 10);
    let empty = post(address, "/api/embed", &json!({ "model": name, "input": "" })).json();
    assert_eq!(empty["embeddings"], json!([]));
    let long = json!({
        "model": name, "input": "word ".repeat(400), "truncate": false,
        "options": { "num_ctx": 256 },
    });
    assert_eq!(post(address, "/api/embed", &long).status, 400);
    let old = post(address, "/api/embeddings", &json!({ "model": name, "prompt": "cat" })).json();
    assert_eq!(old["embedding"].as_array().unwrap().len(), vectors[0].len());
}
