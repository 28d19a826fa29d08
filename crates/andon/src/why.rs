//! `andon why TRACE`: asks the Andon that holds the data folder, or opens the folder itself when none
//! does.

use std::{
    fmt::Write as _,
    io::{self, ErrorKind, Write as _},
    process::ExitCode,
};

use andon_diagnose::{Explanation, explain};
use andon_model::TraceId;
use andon_store::{EmbeddedStore, Store, TraceQuery};
use anyhow::{Context, bail};

use crate::{
    cli::{WhyArgs, WhyFormat},
    config::Config,
    language::Language,
    running::{Reached, Running, WRONG_USAGE, reach},
};

/// The word for the newest trace.
const LAST: &str = "last";
/// Characters of the whole time's bar.
const BAR: u64 = 30;

pub(crate) async fn run(args: WhyArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let language = config.language;
    if args.trace != LAST && args.trace.parse::<TraceId>().is_err() {
        eprintln!("andon: {:?} is neither a trace's id, 32 hex digits, nor `{LAST}`", args.trace);
        return Ok(ExitCode::from(WRONG_USAGE));
    }
    let explanation = match reach(&config).await? {
        Reached::Running(running) => ask(&running, &args.trace, language).await?,
        Reached::Folder(store) => answer(&store, &args.trace, language)?,
    };
    let answer = match args.format {
        WhyFormat::Json => serde_json::to_string(&explanation)? + "\n",
        WhyFormat::Text => text(&explanation, language),
    };
    match io::stdout().lock().write_all(answer.as_bytes()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(running: &Running, trace: &str, language: Language) -> anyhow::Result<Explanation> {
    let trace = match trace {
        LAST => {
            let page = running.get("/api/v1/traces?limit=1").await?.into_answer()?;
            let page: serde_json::Value = serde_json::from_slice(&page)?;
            page["traces"][0]["trace_id"].as_str().context("there is no trace yet")?.to_owned()
        }
        id => id.to_owned(),
    };
    let lang = language.pick("ja", "en");
    let reply = running.get(&format!("/api/v1/traces/{trace}/why?lang={lang}")).await?;
    Ok(serde_json::from_slice(&reply.into_answer()?)?)
}

fn answer(store: &EmbeddedStore, trace: &str, language: Language) -> anyhow::Result<Explanation> {
    let id = match trace {
        LAST => {
            let page = store.traces(&TraceQuery { limit: 1, ..TraceQuery::default() })?;
            page.traces.first().context("there is no trace yet")?.trace_id
        }
        id => id.parse()?,
    };
    let Some(trace) = store.trace(id)? else { bail!("there is no trace {id}") };
    Ok(explain(&trace.spans, language.into()))
}

/// For a terminal: the sentence, the shares as bars, what was measured, what to do.
fn text(explanation: &Explanation, language: Language) -> String {
    let mut text = format!("{}\n", explanation.sentence);
    let total = explanation.total_ns.max(1);
    if !explanation.shares.is_empty() {
        text.push('\n');
    }
    for share in &explanation.shares {
        let bar = "█".repeat(usize::try_from(share.ns * BAR / total).unwrap_or(0));
        let (seconds, percent) = (share.ns as f64 / 1e9, share.ns * 100 / total);
        // Writing to a string cannot fail.
        let line = format!("  {:<9}{seconds:>9.2} s {percent:>3} %  {bar}", share.phase);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let mut list = |title: &str, lines: &mut dyn Iterator<Item = &String>| {
        let mut lines = lines.peekable();
        if lines.peek().is_some() {
            let _ = writeln!(text, "\n{title}");
        }
        for line in lines {
            let _ = writeln!(text, "  - {line}");
        }
    };
    if explanation.causes.len() > 1 {
        let causes = &mut explanation.causes.iter().map(|cause| &cause.text);
        list(language.pick("要因", "What took the time"), causes);
    }
    let evidence = &mut explanation.evidence.iter().map(|evidence| &evidence.text);
    list(language.pick("根拠", "Measured"), evidence);
    list(language.pick("対処", "What to do"), &mut explanation.advice.iter());
    text
}
