//! What is sent, in no format yet: the spans of a web application, and calls to a model.

use super::template::Numbers;

/// Spans of one request, as exporters batch them.
pub(crate) const BATCH: usize = 512;
/// Characters' bytes in the messages of a call to a model.
const MESSAGE_BYTES: usize = 2_048;
const SPANS_A_TRACE: usize = 8;

const SERVICES: [&str; 4] = ["shop-web", "shop-api", "billing", "search"];
const ROUTES: [&str; 6] =
    ["/", "/items/{id}", "/cart", "/checkout", "/search", "/users/{id}/orders"];
const MODELS: [&str; 4] = ["gemma3:270m", "llama3.2:3b", "qwen3:8b", "mistral:7b"];
const WORDS: [&str; 40] = [
    "the",
    "answer",
    "model",
    "server",
    "memory",
    "please",
    "explain",
    "why",
    "slow",
    "first",
    "request",
    "token",
    "cache",
    "order",
    "customer",
    "invoice",
    "delivery",
    "Tuesday",
    "system",
    "error",
    "回答",
    "遅い",
    "理由",
    "モデル",
    "読み込み",
    "質問",
    "お客様",
    "注文",
    "配送",
    "請求書",
    "サーバー",
    "メモリ",
    "確認",
    "してください",
    "について",
    "です。",
    "ありがとう",
    "火曜日",
    "会議",
    "資料",
];

/// One span, as both formats say it.
pub(crate) struct Span {
    pub(crate) trace: u64,
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) start_ns: u64,
    pub(crate) duration_ns: u64,
    pub(crate) service: &'static str,
    pub(crate) name: String,
    pub(crate) route: &'static str,
    pub(crate) path: String,
    pub(crate) method: &'static str,
    pub(crate) status: u64,
    pub(crate) call: Option<Call>,
}

/// A call to a model.
pub(crate) struct Call {
    pub(crate) model: &'static str,
    pub(crate) question: String,
    pub(crate) answer: String,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

/// The spans of one request, of one service.
pub(crate) fn batch(seed: u64, now_ns: u64, calls: bool) -> Vec<Span> {
    let mut numbers = Numbers(seed);
    let service = numbers.one_of(&SERVICES);
    let (mut trace, mut parent) = (0, 0);
    let span = |at: usize| {
        let id = numbers.next() | 1;
        if at.is_multiple_of(SPANS_A_TRACE) {
            (trace, parent) = (numbers.next() | 1, 0);
        }
        let route = numbers.one_of(&ROUTES);
        let method = numbers.one_of(&["GET", "GET", "GET", "POST"]);
        let call = calls.then(|| call(&mut numbers));
        let name = match &call {
            Some(call) => format!("chat {}", call.model),
            None => format!("{method} {route}"),
        };
        let span = Span {
            trace,
            id,
            parent,
            start_ns: now_ns - 2_000_000_000 + numbers.below(1_000_000_000),
            duration_ns: 200_000 + numbers.below(900_000_000),
            service,
            name,
            route,
            path: route.replace("{id}", &numbers.below(100_000).to_string()),
            method,
            status: if numbers.below(50) == 0 { 500 } else { 200 },
            call,
        };
        parent = id;
        span
    };
    (0..BATCH).map(span).collect()
}

fn call(numbers: &mut Numbers) -> Call {
    Call {
        model: numbers.one_of(&MODELS),
        question: text(numbers, MESSAGE_BYTES * 2 / 3),
        answer: text(numbers, MESSAGE_BYTES / 3),
        input_tokens: 100 + numbers.below(400),
        output_tokens: 50 + numbers.below(150),
    }
}

fn text(numbers: &mut Numbers, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 32);
    while text.len() < bytes {
        text.push_str(numbers.one_of(&WORDS));
        text.push(' ');
    }
    text
}
