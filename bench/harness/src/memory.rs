//! Resident memory of `andon up` itself, without the runtime's process: idle after its start, and
//! after many chats with the real model.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    Settings,
    http::{Connection, Request},
    process::{self, Andon, Resident},
    report::{Part, Row, Target, short},
};

const IDLE: Duration = Duration::from_secs(20);
const CHATS: usize = 200;
/// Short ones: what stays behind of a chat does not depend on the length of its answer.
const TOKENS: u32 = 4;

pub(crate) fn measure(settings: &Settings) -> Result<Part> {
    let data = settings.work.join("memory");
    let log = settings.out.join("memory.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &settings.builtin(&[]))?;
    andon.wait_for_answer("/readyz")?;
    thread::sleep(IDLE);
    let idle = process::resident(andon.pid())?;
    chat(&andon)?;
    // What the chats left in flight settles, as after the start.
    thread::sleep(IDLE);
    let after = process::resident(andon.pid())?;
    let children = process::children(andon.pid())?;
    ensure!(!children.is_empty(), "the built-in runtime is no child of andon up");
    let mut child = 0.0;
    for pid in children {
        child += process::resident(pid)?.total;
    }
    let status = andon.get("/api/v1/status")?;
    andon.stop()?;

    let rows = [("idle", idle), ("after 200 chats", after)].map(|(when, resident)| Row {
        name: format!("memory of andon up, {when}"),
        unit: "MB",
        baseline_name: "its runtime's process with the model",
        baseline: child,
        measured: resident.total,
        value: resident.total,
        value_unit: "MB",
        spread: (resident.total, resident.total),
        target: Some(Target::AtMost(60.0)),
    });
    let notes = vec![
        format!("idle: {}", parts(idle)),
        format!("after {CHATS} chats and {} s of rest: {}", IDLE.as_secs(), parts(after)),
        format!("spans kept by then: {}", status["spans_stored"]),
    ];
    let raw = json!({"idle": raw(idle), "after": raw(after), "runtime_mb": child});
    Ok(Part { name: "memory", rows: rows.into(), notes, raw })
}

fn chat(andon: &Andon) -> Result<()> {
    let mut connection = Connection::open(&andon.listen)?;
    for number in 0..CHATS {
        let body = json!({"message": format!("What is {number} plus one?"), "num_predict": TOKENS});
        // Both forms leave their traces.
        let accept = if number % 2 == 0 { "application/json" } else { "text/event-stream" };
        let authority = connection.authority().to_owned();
        let answer =
            connection.send(&Request::post(&authority, "/chat", accept, &body.to_string()))?;
        ensure!(answer.status == 200, "chat: status {}: {}", answer.status, answer.text());
        ensure!(!answer.text().contains("event: error"), "chat {number}: {}", answer.text());
    }
    Ok(())
}

fn parts(resident: Resident) -> String {
    format!(
        "{} MB, of these {} MB its own data and {} MB mapped files",
        short(resident.total),
        short(resident.anonymous),
        short(resident.file)
    )
}

fn raw(resident: Resident) -> serde_json::Value {
    json!({"rss_mb": resident.total, "anonymous_mb": resident.anonymous, "file_mb": resident.file})
}
