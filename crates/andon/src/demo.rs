//! `andon demo`: plays a story against a running Andon, so that its pages have something to show:
//! cold start, warm call, long prompt, a queue of five, a timeout, a wrong model, an empty message.

use std::{process::ExitCode, time::Instant};

use andon_gateway::{HttpClient, http_client};
use anyhow::Context;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};

use crate::{cli::DemoArgs, language::Language};

const MAX_ANSWER: usize = 4 << 20;
/// Repeated until the prompt is long enough for reading it to be seen.
const PARAGRAPH: &str = "行灯は、木の枠に和紙を張った日本の明かりです。工場では、異常を知らせる表示灯を\
    アンドンと呼びます。ラインのどこかで問題が起きると灯りがつき、誰もがそれを見て原因を調べます。";

struct Story {
    client: HttpClient,
    address: String,
    lang: Language,
    password: Option<String>,
}

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let story = Story {
        client: http_client(),
        address: args.address,
        lang: Language::choose(args.lang.as_deref())?,
        password: std::env::var("ANDON_PASSWORD").ok().filter(|password| !password.is_empty()),
    };
    let models = story.models().await?;
    let model = models.context(
        "the runtime of this Andon has no model; see the first lines of `andon up` for what to do",
    )?;
    story.cold_and_warm(&model).await?;
    story.long_prompt().await?;
    story.queue_of_five().await?;
    story.timeout().await?;
    story.wrong_requests().await?;
    let address = &story.address;
    let done = match story.lang {
        Language::Japanese => format!("トレースを見る: http://{address}/andon/traces"),
        Language::English => format!("see the traces: http://{address}/andon/traces"),
    };
    story.say(&done);
    Ok(ExitCode::SUCCESS)
}

impl Story {
    fn say(&self, line: &str) {
        eprintln!("{line}");
    }

    async fn models(&self) -> anyhow::Result<Option<Value>> {
        let (_, list) = self
            .send(Method::GET, "/api/v1/models", Value::Null)
            .await
            .with_context(|| format!("no Andon answers at {}; start `andon up`", self.address))?;
        Ok(list["models"].get(0).cloned().map(|model| json!([list["runtime"], model])))
    }

    /// Unloads the model, so that the first call is a cold one; then asks the same again.
    async fn cold_and_warm(&self, runtime_and_model: &Value) -> anyhow::Result<()> {
        let (runtime, model) = (&runtime_and_model[0], &runtime_and_model[1]);
        if let (Some(authority), Some("builtin" | "ollama")) =
            (runtime["address"].as_str(), runtime["kind"].as_str())
        {
            let unload = json!({"model": model["name"], "keep_alive": 0});
            self.send_to(authority, Method::POST, "/api/generate", unload).await?;
        }
        let question = self.lang.pick("日本の首都はどこですか?", "What is the capital of Japan?");
        let cold = self.lang.pick("コールドスタート", "cold start");
        self.ask(cold, json!({"message": question})).await?;
        let warm = self.lang.pick("モデルは読み込み済み", "warm call");
        self.ask(warm, json!({"message": question})).await
    }

    async fn long_prompt(&self) -> anyhow::Result<()> {
        let message = format!("{}\n要約してください。", PARAGRAPH.repeat(16));
        self.ask(self.lang.pick("長いプロンプト", "long prompt"), json!({"message": message})).await
    }

    async fn queue_of_five(&self) -> anyhow::Result<()> {
        let label = self.lang.pick("5 件の順番待ち", "queue of five");
        let question = |n: u32| json!({"message": format!("{n} から 10 まで数えてください。")});
        let asks = (1..=5).map(|n| self.ask(label, question(n)));
        for asked in join_all(asks).await {
            asked?;
        }
        Ok(())
    }

    async fn timeout(&self) -> anyhow::Result<()> {
        let label = self.lang.pick("タイムアウト", "timeout");
        // A prompt that was never read before, and less time than reading it takes.
        let began = andon_model::Span::now_ns();
        let message = format!("{began}\n{}\n詳しく説明してください。", PARAGRAPH.repeat(24));
        self.ask(label, json!({"message": message, "timeout_ms": 400})).await
    }

    async fn wrong_requests(&self) -> anyhow::Result<()> {
        let label = self.lang.pick("知らないモデル", "wrong model");
        self.ask(label, json!({"message": "hello", "model": "no-such-model"})).await?;
        self.ask(self.lang.pick("空のメッセージ", "empty message"), json!({"message": ""})).await
    }

    async fn ask(&self, label: &str, body: Value) -> anyhow::Result<()> {
        let began = Instant::now();
        let (status, answer) = self.send(Method::POST, "/chat", body).await?;
        let trace = answer["trace_id"].as_str().unwrap_or("-");
        let error = answer["detail"]["error"].as_str().or_else(|| answer["error"].as_str());
        let outcome = match error {
            Some(error) => error.chars().take(60).collect::<String>(),
            None => format!("{} tokens", answer["eval_count"]),
        };
        let seconds = began.elapsed().as_secs_f64();
        self.say(&format!("{status}  {seconds:6.2} s  {label}: {outcome}  {trace}"));
        Ok(())
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> anyhow::Result<(u16, Value)> {
        self.send_to(&self.address, method, path, body).await
    }

    async fn send_to(
        &self,
        authority: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> anyhow::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{authority}{path}"))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(password) = &self.password {
            request = request.header(header::AUTHORIZATION, format!("Bearer {password}"));
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let response = self.client.request(request).await.context("cannot be reached")?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
        Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null)))
    }
}
