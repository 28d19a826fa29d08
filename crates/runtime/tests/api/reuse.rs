//! Prefix reuse: it must save work and change nothing else.

use serde_json::{Value, json};

use crate::client::post;
use crate::server;

#[test]
fn a_reused_prefix_gives_the_same_answer_as_a_fresh_one() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let ask = |prompt: &str, context: u32| -> Value {
        // Endings that leave no doubt: reading in other pieces rounds otherwise, and a near tie
        // would fall the other way. How close the numbers are is tested beside the context.
        let options = json!({
            "num_predict": 8, "temperature": 0, "repeat_penalty": 1, "num_ctx": context
        });
        let body = json!({
            "model": name, "prompt": prompt, "raw": true, "stream": false, "options": options,
        });
        post(address, "/api/generate", &body).json()
    };
    // Longer than Gemma's sliding window of 512, so that a cache of the window only would show.
    let story = "The old lighthouse keeper wrote down the weather of each day. ".repeat(54);
    let endings = ["The old", "The old lighthouse keeper wrote"];
    for ending in endings {
        let prompt = format!("{story}{ending}");
        // Another context length makes a new context, with nothing to reuse.
        let fresh = ask(&prompt, 2048);
        assert_eq!(fresh["prompt_eval_cached_count"], 0);
        ask(&format!("{story}Something else entirely"), 2050);
        let reused = ask(&prompt, 2050);
        let cached = reused["prompt_eval_cached_count"].as_u64().unwrap();
        let total = reused["prompt_eval_count"].as_u64().unwrap();
        assert!(cached > 600 && cached < total, "{cached} of {total}");
        assert_eq!(reused["response"], fresh["response"], "{ending}");
        // The same once more: all but the last token.
        let again = ask(&prompt, 2050);
        assert_eq!(again["prompt_eval_cached_count"].as_u64().unwrap(), total - 1);
        assert_eq!(again["response"], fresh["response"], "{ending}");
    }
}

#[test]
fn a_follow_up_question_reads_only_what_is_new() {
    let Some(address) = server::start_with_model() else { return };
    let name = server::name(address);
    let ask = |messages: &Value| -> Value {
        let body = json!({
            "model": name, "messages": messages, "stream": false,
            "options": { "num_predict": 40, "temperature": 0 },
        });
        post(address, "/api/chat", &body).json()
    };
    let mut messages = json!([{ "role": "user", "content": "富士山はどこにありますか?" }]);
    let first = ask(&messages);
    let list = messages.as_array_mut().unwrap();
    list.push(first["message"].clone());
    list.push(json!({ "role": "user", "content": "その高さは?" }));
    let second = ask(&messages);
    let read = |reply: &Value, field: &str| reply[field].as_u64().unwrap();
    assert!(
        read(&second, "prompt_eval_cached_count") >= read(&first, "prompt_eval_count") - 2,
        "{first} {second}"
    );
    // Even a new conversation finds the worked examples in memory.
    let third = ask(&json!([{ "role": "user", "content": "空は何色ですか?" }]));
    assert!(read(&third, "prompt_eval_cached_count") > 20, "{third}");
}
