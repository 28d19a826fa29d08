//! Tokens per second through all of Andon against llama.cpp alone: same file, same text, same
//! number of threads, same count of tokens, pair by pair.
//!
//! Both rest before their turn: the runtime looks a second back to see how many cores are free,
//! and would take the other side's work for a busy machine. A pair in which it did not use the
//! number of threads that llama.cpp alone used compares nothing and is measured again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Settings,
    http::{Connection, Request},
    process::Andon,
    prompt::{QUESTION, Template, earlier_answers, earlier_messages},
    report::{Part, Row, Target, short},
    statistics::Sample,
};

const TOKENS: u32 = 128;
/// Low enough for the model to keep to the list, and not greedy, as a chat is not.
const TEMPERATURE: f64 = 0.1;
/// An answer that ends earlier says too little about speed.
const LEAST_TOKENS: u64 = 100;
/// Longer than the runtime looks back.
const REST: Duration = Duration::from_millis(1800);
const DIRECT_LIMIT: Duration = Duration::from_secs(120);
/// Fewer pairs than this are no measurement.
const LEAST_PAIRS: usize = 3;
/// Tokens that any two prompts share: the mark at the start.
const SHARED_TOKENS: u64 = 4;
const TRACE_LIMIT: Duration = Duration::from_secs(10);

/// What `bench_direct` prints.
#[derive(Debug, Clone, Deserialize)]
struct Direct {
    prompt_tokens: u64,
    prompt_tokens_per_s: f64,
    eval_tokens_per_s: f64,
}

/// One answer of Andon, by its own timings and by the clock on this side.
#[derive(Debug)]
struct Answer {
    prompt_tokens: u64,
    cached_tokens: u64,
    tokens: u64,
    prompt_per_s: f64,
    tokens_per_s: f64,
    /// From the first token's arrival to the last one's.
    tokens_per_s_by_clock: f64,
    wall_s: f64,
    threads: u64,
}

#[derive(Debug)]
struct Pair {
    direct: Direct,
    andon: Answer,
}

impl Pair {
    /// Why it says nothing, if so.
    fn flaw(&self, threads: u64) -> Option<String> {
        let Answer { tokens, cached_tokens, threads: used, .. } = self.andon;
        if used != threads {
            return Some(format!("the runtime used {used} threads, not {threads}"));
        }
        if tokens < LEAST_TOKENS {
            return Some(format!("the answer ended after {tokens} tokens"));
        }
        (cached_tokens > SHARED_TOKENS).then(|| format!("{cached_tokens} tokens were cached"))
    }

    fn direct_s(&self) -> f64 {
        let Direct { prompt_tokens, prompt_tokens_per_s, eval_tokens_per_s } = self.direct;
        let prompt = prompt_tokens as f64 / prompt_tokens_per_s;
        prompt + self.andon.tokens as f64 / eval_tokens_per_s
    }
}

pub(crate) fn measure(settings: &Settings) -> Result<Part> {
    let bench = Bench::start(settings)?;
    let (mut pairs, mut flaws) = (Vec::new(), Vec::new());
    // Flawed pairs are measured again, within reason.
    for number in 0..settings.pairs * 2 {
        if pairs.len() == settings.pairs {
            break;
        }
        let pair = bench.pair(number as u64)?;
        match pair.flaw(settings.threads) {
            None => pairs.push(pair),
            Some(flaw) => {
                eprintln!("    pair {number} does not count: {flaw}");
                flaws.push(flaw);
            }
        }
    }
    bench.andon.stop()?;
    ensure!(
        pairs.len() >= LEAST_PAIRS,
        "only {} of {} pairs count; the last flaw: {}",
        pairs.len(),
        pairs.len() + flaws.len(),
        flaws.last().map_or("none", String::as_str)
    );
    Ok(part(settings, &pairs, &flaws))
}

struct Bench<'a> {
    settings: &'a Settings,
    template: Template,
    andon: Andon,
    prompt_file: PathBuf,
}

impl<'a> Bench<'a> {
    fn start(settings: &'a Settings) -> Result<Self> {
        let data = settings.work.join("throughput");
        let log = settings.out.join("throughput.log");
        let threads = settings.threads.to_string();
        let arguments = ["--keep-alive", "-1", "--timeout", "120s", "--max-threads", &threads];
        let arguments = settings.builtin(&arguments);
        let mut andon = Andon::start(&settings.andon, &data, &log, &arguments)?;
        andon.wait_for_answer("/readyz")?;
        let template = Template::read(&settings.card)?;
        let bench =
            Self { settings, template, andon, prompt_file: settings.work.join("prompt.txt") };
        bench.forget_prefix()?;
        bench.ask(&earlier_answers(u64::MAX))?;
        Ok(bench)
    }

    /// Both sides once, the first one by turns.
    fn pair(&self, number: u64) -> Result<Pair> {
        let earlier = earlier_answers(number);
        let (direct, andon) = if number.is_multiple_of(2) {
            let direct = self.direct(&earlier)?;
            (direct, self.ask_fresh(&earlier)?)
        } else {
            let andon = self.ask_fresh(&earlier)?;
            (self.direct(&earlier)?, andon)
        };
        ensure!(
            direct.prompt_tokens == andon.prompt_tokens,
            "the two sides read different texts: {} tokens directly, {} through Andon",
            direct.prompt_tokens,
            andon.prompt_tokens
        );
        eprintln!(
            "    pair {number}: prompt {} and {} tokens/s, writing {} and {} tokens/s \
             (llama.cpp alone, Andon), {} threads",
            short(direct.prompt_tokens_per_s),
            short(andon.prompt_per_s),
            short(direct.eval_tokens_per_s),
            short(andon.tokens_per_s),
            andon.threads
        );
        Ok(Pair { direct, andon })
    }

    fn direct(&self, earlier: &[String]) -> Result<Direct> {
        fs::write(&self.prompt_file, self.template.text(earlier))?;
        thread::sleep(REST);
        let mut child = Command::new(&self.settings.direct)
            .arg(&self.settings.model)
            .arg(&self.prompt_file)
            .args([TOKENS.to_string(), self.settings.threads.to_string(), "1".to_owned()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.settings.direct.display()))?;
        wait(&mut child, &self.settings.direct)?;
        // It has ended, and its line fits a pipe.
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "llama.cpp alone: {}", output.status);
        serde_json::from_slice(&output.stdout).context("llama.cpp alone printed no JSON")
    }

    fn ask_fresh(&self, earlier: &[String]) -> Result<Answer> {
        thread::sleep(REST);
        self.forget_prefix()?;
        self.ask(earlier)
    }

    /// The other language's form shares nothing with this one, so nothing of the next prompt is in
    /// the cache.
    fn forget_prefix(&self) -> Result<()> {
        let body = json!({"message": "こんにちは", "num_predict": 1});
        self.chat(&body, "application/json").map(|_| ())
    }

    fn chat(&self, body: &Value, accept: &str) -> Result<crate::http::Answer> {
        let mut connection = Connection::open(&self.andon.listen)?;
        let request = Request::post(&self.andon.listen, "/chat", accept, &body.to_string());
        let answer = connection.send(&request)?;
        ensure!(answer.status == 200, "chat: status {}: {}", answer.status, answer.text());
        Ok(answer)
    }

    fn ask(&self, earlier: &[String]) -> Result<Answer> {
        let body = json!({"message": QUESTION, "messages": earlier_messages(earlier),
            "num_predict": TOKENS, "temperature": TEMPERATURE});
        let started = Instant::now();
        let answer = self.chat(&body, "text/event-stream")?;
        let ended = answer.arrivals.last().context("an empty stream")?.0;
        let done = last_event(&answer.text())?;
        let number = |name: &str| done[name].as_u64().with_context(|| format!("no {name}"));
        let seconds = |name: &str| {
            let ms = done["timings"][name].as_f64().with_context(|| format!("no {name}"))?;
            anyhow::Ok(ms / 1e3)
        };
        let (tokens, prompt_tokens) = (number("eval_count")?, number("prompt_eval_count")?);
        let cached_tokens = done["prompt_cached_count"].as_u64().unwrap_or(0);
        let (first, last) = token_arrivals(&answer)?;
        let trace = done["trace_id"].as_str().context("no trace_id")?;
        Ok(Answer {
            prompt_tokens,
            cached_tokens,
            tokens,
            prompt_per_s: (prompt_tokens - cached_tokens) as f64 / seconds("prompt_ms")?,
            tokens_per_s: tokens as f64 / seconds("generate_ms")?,
            tokens_per_s_by_clock: (tokens - 1) as f64 / (last - first).as_secs_f64(),
            wall_s: (ended - started).as_secs_f64(),
            threads: self.threads_of(trace)?,
        })
    }

    /// The number of threads stands on the span of the call, which is kept a moment after the
    /// answer.
    fn threads_of(&self, trace: &str) -> Result<u64> {
        let path = format!("/api/v1/traces/{trace}");
        let asked = Instant::now();
        loop {
            if let Ok(trace) = self.andon.get(&path) {
                let spans = trace["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
                let threads = |span: &Value| span["attributes"]["andon.runtime.threads"].as_u64();
                if let Some(threads) = spans.iter().find_map(threads) {
                    return Ok(threads);
                }
            }
            ensure!(asked.elapsed() < TRACE_LIMIT, "no span of {trace} tells the threads");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn wait(child: &mut Child, program: &Path) -> Result<()> {
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > DIRECT_LIMIT {
            child.kill()?;
            child.wait()?;
            bail!(
                "{} took longer than {DIRECT_LIMIT:?}; beside other work its threads wait for each \
                 other: try --threads 1",
                program.display()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn last_event(stream: &str) -> Result<Value> {
    let event = stream.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let data = event.strip_prefix("event: done\ndata: ");
    let data = data.with_context(|| format!("the stream ended with: {event}"))?;
    Ok(serde_json::from_str(data)?)
}

fn token_arrivals(answer: &crate::http::Answer) -> Result<(Instant, Instant)> {
    const MARK: &str = "event: token\n";
    let text = std::str::from_utf8(&answer.body)?;
    let first = text.find(MARK).and_then(|at| answer.arrival_of(at));
    let last = text.rfind(MARK).and_then(|at| answer.arrival_of(at));
    first.zip(last).context("no token in the stream")
}

fn part(settings: &Settings, pairs: &[Pair], flaws: &[String]) -> Part {
    let compare =
        |name: &str, unit, target, direct: &dyn Fn(&Pair) -> f64, andon: &dyn Fn(&Pair) -> f64| {
            let ratios: Sample = pairs.iter().map(|pair| andon(pair) / direct(pair)).collect();
            Row {
                name: name.to_owned(),
                unit,
                baseline_name: "llama.cpp alone",
                baseline: pairs.iter().map(direct).collect::<Sample>().median(),
                measured: pairs.iter().map(andon).collect::<Sample>().median(),
                value: ratios.median(),
                value_unit: "",
                spread: (ratios.least(), ratios.most()),
                target,
            }
        };
    let target = Some(Target::AtLeast(0.95));
    let rows = vec![
        compare(
            "reading the prompt",
            "tokens/s",
            target,
            &|p| p.direct.prompt_tokens_per_s,
            &|p| p.andon.prompt_per_s,
        ),
        compare("writing", "tokens/s", target, &|p| p.direct.eval_tokens_per_s, &|p| {
            p.andon.tokens_per_s
        }),
        compare(
            "writing, by the client's clock",
            "tokens/s",
            None,
            &|p| p.direct.eval_tokens_per_s,
            &|p| p.andon.tokens_per_s_by_clock,
        ),
        compare("whole answers", "answers/min", None, &|p| 60.0 / p.direct_s(), &|p| {
            60.0 / p.andon.wall_s
        }),
    ];
    let tokens: Sample = pairs.iter().map(|pair| pair.andon.tokens as f64).collect();
    let prompt: Sample = pairs.iter().map(|pair| pair.andon.prompt_tokens as f64).collect();
    let mut notes = vec![format!(
        "{} pairs with {} thread(s), {} prompt tokens (at most {} of them cached), {}–{} tokens written; \
         the ratio is the median of the pairs'",
        pairs.len(),
        settings.threads,
        short(prompt.median()),
        pairs.iter().map(|pair| pair.andon.cached_tokens).max().unwrap_or(0),
        tokens.least(),
        tokens.most()
    )];
    if !flaws.is_empty() {
        notes.push(format!("{} pairs did not count: {}", flaws.len(), flaws.join("; ")));
    }
    let raw = pairs.iter().map(|pair| {
        let Pair { direct, andon } = pair;
        json!({
            "prompt_tokens": direct.prompt_tokens, "cached_tokens": andon.cached_tokens,
            "tokens": andon.tokens, "threads": andon.threads,
            "direct": {"prompt_per_s": direct.prompt_tokens_per_s,
                "tokens_per_s": direct.eval_tokens_per_s, "whole_s": pair.direct_s()},
            "andon": {"prompt_per_s": andon.prompt_per_s, "tokens_per_s": andon.tokens_per_s,
                "tokens_per_s_by_clock": andon.tokens_per_s_by_clock, "whole_s": andon.wall_s},
        })
    });
    Part { name: "throughput", rows, notes, raw: raw.collect() }
}
