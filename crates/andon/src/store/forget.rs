//! `andon store forget`.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use andon_api::{ForgetAnswer, forget_on_record, preview_forget};
use andon_state::Actor;
use andon_store::{Forget, Forgotten};
use anyhow::Context;
use serde_json::json;

use super::{
    args::{ForgetArgs, Whose},
    open_state,
};
use crate::{
    config::Config,
    running::{Reached, WRONG_USAGE, reach},
};

pub(super) async fn run(args: ForgetArgs) -> anyhow::Result<ExitCode> {
    if !args.yes && !io::stdin().is_terminal() {
        eprintln!("andon: nobody can be asked here whether to remove it; say --yes");
        return Ok(ExitCode::from(WRONG_USAGE));
    }
    let config = Config::load(*args.settings)?;
    let Some(of) = args.whose.of() else { return Ok(ExitCode::from(WRONG_USAGE)) };
    let reached = reach(&config).await?;
    if !args.yes {
        let preview = ask(&config, &reached, &of, true).await?;
        let io = &mut io::stderr().lock();
        report("would be removed", &preview, io)?;
        if preview.removed.segments > 0 && !is_wanted(io, &mut io::stdin().lock())? {
            writeln!(io, "nothing was removed")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let done = ask(&config, &reached, &of, false).await?;
    let mut to = io::stdout().lock();
    report("removed", &done, &mut to)?;
    writeln!(to, "{}", done.note)?;
    Ok(ExitCode::SUCCESS)
}

impl Whose {
    pub(super) fn of(self) -> Option<Forget> {
        let named = self.user.map(Forget::User).or(self.session.map(Forget::Session));
        named.or(self.trace.map(Forget::Trace))
    }
}

async fn ask(
    config: &Config,
    reached: &Reached,
    of: &Forget,
    is_preview: bool,
) -> anyhow::Result<ForgetAnswer> {
    let store = match reached {
        Reached::Running(running) => {
            let (key, value) = match of {
                Forget::User(user) => ("user", user.clone()),
                Forget::Session(session) => ("session", session.clone()),
                Forget::Trace(id) => ("trace", id.to_string()),
            };
            let body = json!({ key: value, "preview": is_preview });
            let answer = running.post("/api/v1/store/forget", Some(&body)).await?.into_answer()?;
            return serde_json::from_slice(&answer)
                .context("the running Andon is of another version");
        }
        Reached::Folder(store) => store,
    };
    if is_preview {
        return Ok(preview_forget(store.as_ref(), of)?);
    }
    let state = open_state(&config.data)?;
    Ok(forget_on_record(store.as_ref(), &state, Actor::CommandLine, of)?)
}

fn is_wanted(to: &mut dyn Write, from: &mut dyn io::BufRead) -> io::Result<bool> {
    write!(to, "Remove it for good? [y/N] ")?;
    to.flush()?;
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn report(what: &str, answer: &ForgetAnswer, to: &mut dyn Write) -> io::Result<()> {
    let removed = &answer.removed;
    let Forgotten { traces, spans, texts, evaluations, segments, bytes_rewritten, .. } = removed;
    writeln!(
        to,
        "{what}: {traces} traces ({spans} spans, {texts} texts, {evaluations} evaluations) \
         in {segments} files"
    )?;
    if answer.notes > 0 {
        writeln!(to, "notes: {}", answer.notes)?;
    }
    if *bytes_rewritten > 0 {
        writeln!(to, "written anew without them: {bytes_rewritten} bytes")?;
    }
    for file in &removed.not_searched {
        writeln!(to, "not searched: {file}")?;
    }
    for file in &removed.still_open {
        writeln!(to, "still read by something, and gone when it ends: {file}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        let asked = |answer: &str| is_wanted(&mut Vec::new(), &mut answer.as_bytes()).unwrap();
        assert!(asked("y\n") && asked(" yes \n") && asked("Y"));
        assert!(!asked("") && !asked("\n") && !asked("no\n") && !asked("yesterday\n"));
    }

    #[test]
    fn what_may_still_be_there_is_named() {
        let removed = Forgotten {
            traces: 1,
            spans: 2,
            texts: 3,
            evaluations: 4,
            segments: 5,
            bytes_rewritten: 6,
            not_searched: vec!["a".to_owned()],
            still_open: vec!["b".to_owned()],
            trace_ids: Vec::new(),
        };
        let note = String::new();
        let answer = ForgetAnswer { is_preview: false, removed, notes: 7, note };
        let mut text = Vec::new();
        report("removed", &answer, &mut text).unwrap();
        let expected = "\
removed: 1 traces (2 spans, 3 texts, 4 evaluations) in 5 files
notes: 7
written anew without them: 6 bytes
not searched: a
still read by something, and gone when it ends: b
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
