//! Ollama's `/api/generate` and `/api/chat`, streamed as NDJSON. Andon's own runtime adds lines
//! `{"andon":{"phase":…}}` when it is asked to (`x-andon-progress`).

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{FinalStats, Generation, RuntimeEvent};

pub(super) fn request(generation: &Generation<'_>) -> (&'static str, Bytes) {
    let mut options = json!({"num_predict": generation.num_predict});
    if let Some(temperature) = generation.temperature {
        options["temperature"] = json!(temperature);
    }
    let mut body = json!({"model": generation.model, "stream": true, "options": options});
    if let Some(think) = generation.think {
        body["think"] = json!(think);
    }
    let path = if generation.history.is_empty() {
        body["prompt"] = json!(generation.message.expose());
        if let Some(system) = generation.system {
            body["system"] = json!(system.expose());
        }
        "/api/generate"
    } else {
        body["messages"] = messages(generation);
        "/api/chat"
    };
    (path, Bytes::from(body.to_string()))
}

/// System, history and the new message as `messages`; the form that `/v1` uses too.
pub(super) fn messages(generation: &Generation<'_>) -> Value {
    let system = generation.system.map(|text| json!({"role": "system", "content": text.expose()}));
    let history = generation
        .history
        .iter()
        .map(|turn| json!({"role": turn.role, "content": turn.content.expose()}));
    let message = json!({"role": "user", "content": generation.message.expose()});
    system.into_iter().chain(history).chain([message]).collect()
}

/// One line of a stream, or a whole answer: the fields are the same.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Line {
    model: Option<String>,
    pub(crate) response: String,
    pub(crate) thinking: Option<String>,
    pub(crate) message: Option<Message>,
    pub(crate) done: bool,
    done_reason: Option<String>,
    pub(crate) error: Option<String>,
    total_duration: Option<u64>,
    load_duration: Option<u64>,
    prompt_eval_count: Option<u64>,
    prompt_eval_cached_count: Option<u64>,
    prompt_eval_duration: Option<u64>,
    eval_count: Option<u64>,
    eval_duration: Option<u64>,
    andon: Option<Progress>,
    embeddings: Option<IgnoredAny>,
    embedding: Option<IgnoredAny>,
}

impl Line {
    /// The answer of `/api/embed` or `/api/embeddings`.
    pub(crate) fn is_embedding(&self) -> bool {
        self.embeddings.is_some() || self.embedding.is_some()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Message {
    pub(crate) content: String,
    pub(crate) thinking: Option<String>,
    pub(crate) tool_calls: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Progress {
    phase: Option<String>,
    position: u32,
    progress: f64,
    done: u64,
    total: u64,
    cached: u64,
    threads: Option<u64>,
    queue_duration: Option<u64>,
    digest: Option<String>,
}

pub(super) fn line(line: &[u8]) -> Vec<RuntimeEvent> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Vec::new();
    }
    let Ok(line) = serde_json::from_slice::<Line>(line) else {
        return vec![RuntimeEvent::Error("the runtime sent a line that is not JSON".to_owned())];
    };
    if let Some(error) = line.error {
        return vec![RuntimeEvent::Error(error)];
    }
    let progress = line.andon.as_ref().and_then(progress_event);
    if let (Some(event), false) = (progress, line.done) {
        return vec![event];
    }
    texts(&line)
        .into_iter()
        .chain(line.done.then(|| RuntimeEvent::Final(Box::new(stats(line)))))
        .collect()
}

pub(super) fn progress_event(progress: &Progress) -> Option<RuntimeEvent> {
    match progress.phase.as_deref()? {
        "queue" => Some(RuntimeEvent::Queue { position: progress.position }),
        "load" => Some(RuntimeEvent::Load { progress: progress.progress }),
        "prompt" => Some(RuntimeEvent::Prompt {
            done: progress.done,
            total: progress.total,
            cached: progress.cached,
        }),
        _ => None,
    }
}

fn texts(line: &Line) -> Vec<RuntimeEvent> {
    let (content, thinking) = match &line.message {
        Some(message) => (&message.content, &message.thinking),
        None => (&line.response, &line.thinking),
    };
    let mut events = Vec::new();
    if let Some(thinking) = thinking.as_ref().filter(|text| !text.is_empty()) {
        events.push(RuntimeEvent::Thinking(thinking.clone()));
    }
    if !content.is_empty() {
        events.push(RuntimeEvent::Token(content.clone()));
    }
    events
}

pub(crate) fn stats(line: Line) -> FinalStats {
    let own = line.andon.unwrap_or_default();
    let parts = [line.load_duration, line.prompt_eval_duration, line.eval_duration];
    // Ollama has no queue field: what no part explains is waiting for a slot (ollama-api, 3.2).
    let residual = line
        .total_duration
        .map(|total| total.saturating_sub(parts.into_iter().flatten().sum()))
        .filter(|_| line.eval_duration.is_some());
    FinalStats {
        model: line.model,
        prompt_tokens: line.prompt_eval_count,
        cached_tokens: line.prompt_eval_cached_count,
        output_tokens: line.eval_count,
        reasoning_tokens: None,
        finish_reason: line.done_reason,
        total_ns: line.total_duration,
        queue_ns: own.queue_duration.or(residual),
        load_ns: line.load_duration,
        prompt_eval_ns: line.prompt_eval_duration,
        eval_ns: line.eval_duration,
        threads: own.threads,
        digest: own.digest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_stream_is_read() {
        assert_eq!(
            line(br#"{"model":"m","response":"hi","done":false}"#),
            [RuntimeEvent::Token("hi".to_owned())]
        );
        let events = line(
            br#"{"model":"m","response":"","done":true,"done_reason":"stop","total_duration":100,
            "load_duration":10,"prompt_eval_duration":20,"eval_duration":30,"eval_count":2}"#,
        );
        let [RuntimeEvent::Final(stats)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((stats.queue_ns, stats.cached_tokens), (Some(40), None));
    }

    #[test]
    fn chat_lines_and_thinking_are_read() {
        assert_eq!(
            line(br#"{"message":{"role":"assistant","content":"a","thinking":"b"},"done":false}"#),
            [RuntimeEvent::Thinking("b".to_owned()), RuntimeEvent::Token("a".to_owned())]
        );
    }

    #[test]
    fn progress_errors_and_garbage_are_told_apart() {
        assert_eq!(
            line(br#"{"andon":{"phase":"prompt","done":5,"total":9,"cached":1}}"#),
            [RuntimeEvent::Prompt { done: 5, total: 9, cached: 1 }]
        );
        assert_eq!(line(br#"{"error":"boom"}"#), [RuntimeEvent::Error("boom".to_owned())]);
        assert!(matches!(line(b"{\"respon")[..], [RuntimeEvent::Error(_)]));
        assert!(line(b" ").is_empty());
    }
}
