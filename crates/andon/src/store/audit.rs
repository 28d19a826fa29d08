//! `andon store audit`.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write},
    process::ExitCode,
};

use andon_api::{AuditPage, forget_subject};
use andon_state::{Entry, Outcome};
use andon_store::Forget;
use anyhow::Context;
use serde::Serialize;

use super::{
    args::{AuditArgs, ReportFormat, Whose},
    open_state,
    stats::rfc_3339,
};
use crate::{
    config::Config,
    running::{Reached, reach},
};

pub(super) async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let format = args.format.unwrap_or(match std::io::stdout().is_terminal() {
        true => ReportFormat::Table,
        false => ReportFormat::Json,
    });
    let whose = args.whose.and_then(Whose::of);
    let entries = match reach(&config).await? {
        Reached::Running(running) => {
            let path = path(whose.as_ref(), args.limit);
            let answer = running.get(&path).await?.into_answer()?;
            let page: AuditPage = serde_json::from_slice(&answer)
                .context("the running Andon is of another version")?;
            page.entries
        }
        // It holds the folder while the state is read.
        Reached::Folder(_store) => {
            let subject = whose.as_ref().map(forget_subject);
            open_state(&config.data)?.entries(subject.as_ref(), None, args.limit.into())?
        }
    };
    let text = match format {
        ReportFormat::Table => entries.iter().map(line).collect(),
        ReportFormat::Json => format!("{}\n", serde_json::to_string_pretty(&entries)?),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn path(whose: Option<&Forget>, limit: u16) -> String {
    let mut path = format!("/api/v1/audit?limit={limit}");
    let (name, value) = match whose {
        None => return path,
        Some(Forget::User(user)) => ("user", user.clone()),
        Some(Forget::Session(session)) => ("session", session.clone()),
        Some(Forget::Trace(id)) => ("trace", id.to_string()),
    };
    let _ = write!(path, "&{name}=");
    for byte in value.bytes() {
        let _ = write!(path, "%{byte:02X}");
    }
    path
}

/// When, what, to whose records, how it ended, and through which door.
fn line(entry: &Entry) -> String {
    let mut line = format!("{}  {}", rfc_3339(entry.begun_ns), name_of(&entry.action));
    if let (Some(kind), Some(subject)) = (&entry.subject_kind, &entry.subject) {
        let _ = write!(line, " {} {subject}", name_of(kind));
    }
    let outcome = match entry.outcome {
        None => "not ended".to_owned(),
        Some(outcome @ (Outcome::Done | Outcome::Failed | Outcome::Unknown)) => name_of(&outcome),
    };
    let _ = write!(line, "  {outcome}  ({})", name_of(&entry.actor));
    if let Some(details) = &entry.details {
        let _ = write!(line, "  {details}");
    }
    if entry.is_damaged {
        line.push_str("  DAMAGED: this is not what was written");
    }
    line.push('\n');
    line
}

/// The name that serde gives a variant.
fn name_of(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name.replace('_', " "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use andon_state::{Action, Actor, SubjectKind};

    use super::*;

    #[test]
    fn a_name_travels_whole_in_an_address() {
        let of = Forget::User("a&b=ü".to_owned());
        assert_eq!(path(Some(&of), 9), "/api/v1/audit?limit=9&user=%61%26%62%3D%C3%BC");
        assert_eq!(path(None, 9), "/api/v1/audit?limit=9");
    }

    #[test]
    fn an_entry_is_one_line() {
        let mut entry = Entry {
            id: 1,
            begun_ns: 0,
            actor: Actor::CommandLine,
            action: Action::Forget,
            subject_kind: Some(SubjectKind::User),
            subject: Some("00ff".to_owned()),
            ended_ns: Some(1),
            outcome: Some(Outcome::Done),
            details: Some(serde_json::json!({ "notes": 1 })),
            is_damaged: false,
        };
        let done =
            "1970-01-01T00:00:00.000Z  forget user 00ff  done  (command line)  {\"notes\":1}\n";
        assert_eq!(line(&entry), done);
        (entry.outcome, entry.details) = (None, None);
        assert!(line(&entry).contains("not ended"));
    }
}
