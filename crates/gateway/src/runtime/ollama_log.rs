//! What Ollama's own log says of prompts that are being read: since it runs llama-server inside, that
//! tells of each batch. Ollama's API is silent until the first token.
//!
//! The lines are no interface and change from version to version: what is not understood is passed
//! over, and nothing but numbers is taken.

use std::{
    collections::HashMap,
    io::SeekFrom,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader},
    process::Command,
};

use crate::live::{LiveCalls, PromptRead};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long to wait for a log that is not there, or that ended.
const AGAIN: Duration = Duration::from_secs(30);
/// What is read of a file at a time; more than Ollama writes in `LOOK`.
const MOST_AT_A_TIME: u64 = 1 << 20;
/// Prompts that are remembered: more than Ollama works on at a time.
const MOST_TASKS: usize = 64;

/// Where the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OllamaLog {
    File(PathBuf),
    /// systemd's unit `ollama`.
    Journal,
}

impl OllamaLog {
    /// Where Ollama usually writes: its own files, else the journal where there is one.
    pub fn find(home: Option<&Path>) -> Option<Self> {
        let own = home.map(|home| home.join(".ollama/logs/server.log"));
        let usual = own.into_iter().chain([PathBuf::from("/var/log/ollama.log")]);
        let file = usual.into_iter().find(|path| path.is_file()).map(Self::File);
        let has_journal = || Path::new("/run/systemd/system").exists();
        file.or_else(|| has_journal().then_some(Self::Journal))
    }

    /// Tells `live` of the prompts of `service` for as long as it is polled.
    pub async fn follow(self, service: String, live: LiveCalls) {
        let mut reader = Reader::default();
        loop {
            let ended = match &self {
                Self::File(path) => file(path, &mut reader, &service, &live).await,
                Self::Journal => journal(&mut reader, &service, &live).await,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, log = ?self, "Ollama's log cannot be read");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Follows a file from its end, also when it is begun anew.
async fn file(
    path: &Path,
    reader: &mut Reader,
    service: &str,
    live: &LiveCalls,
) -> std::io::Result<()> {
    let mut at = tokio::fs::metadata(path).await?.len();
    let mut rest = Vec::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let length = tokio::fs::metadata(path).await?.len();
        if length < at {
            (at, rest) = (0, Vec::new());
        }
        if length == at {
            continue;
        }
        let mut file = File::open(path).await?;
        // Whatever has piled up beyond that is of the past.
        at = at.max(length.saturating_sub(MOST_AT_A_TIME));
        file.seek(SeekFrom::Start(at)).await?;
        let read = file.take(MOST_AT_A_TIME).read_to_end(&mut rest).await?;
        at += read as u64;
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in String::from_utf8_lossy(&rest[..whole]).lines() {
            reader.tell(line, service, live);
        }
        rest.drain(..whole);
        if rest.len() as u64 >= MOST_AT_A_TIME {
            rest.clear();
        }
    }
}

async fn journal(reader: &mut Reader, service: &str, live: &LiveCalls) -> std::io::Result<()> {
    let mut child = Command::new("journalctl")
        .args(["--follow", "--unit", "ollama", "--lines", "0", "--output", "cat", "--quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let Some(output) = child.stdout.take() else { return Ok(()) };
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        reader.tell(&line, service, live);
    }
    Ok(())
}

/// The prompts that are being read, by slot and task.
#[derive(Default)]
struct Reader {
    tasks: HashMap<(u64, u64), PromptRead>,
}

impl Reader {
    fn tell(&mut self, line: &str, service: &str, live: &LiveCalls) {
        if let Some(read) = self.read(line) {
            live.prompt_read(service, read);
        }
    }

    /// How far a prompt is read after this line, if it is about one.
    fn read(&mut self, line: &str) -> Option<PromptRead> {
        let (_, told) = line.split_once("id ")?;
        let mut parts = told.splitn(3, '|');
        let slot = parts.next()?.trim().parse().ok()?;
        let task = parts.next()?.trim().strip_prefix("task")?.trim().parse().ok()?;
        let told = parts.next()?;
        if told.contains("total time") || told.contains("prompt eval time") {
            self.tasks.remove(&(slot, task));
            return None;
        }
        if told.contains("new prompt") {
            if self.tasks.len() >= MOST_TASKS {
                self.tasks.clear();
            }
            let total = number(told, "task.n_tokens = ")?.round() as u64;
            self.tasks.insert((slot, task), PromptRead { done: 0, total, cached: 0 });
        }
        let known = self.tasks.get_mut(&(slot, task))?;
        // Several such lines may come; the first one is about the start of the prompt.
        if let Some(cached) = number(told, "cached n_tokens = ").filter(|_| known.cached == 0) {
            known.cached = (cached as u64).min(known.total);
            known.done = known.done.max(known.cached);
        }
        if told.contains("prompt processing") {
            let share = number(told, "progress = ")?.clamp(0.0, 1.0);
            known.done = ((share * known.total as f64) as u64).max(known.cached);
        }
        Some(*known)
    }
}

/// The number that stands after `name`.
fn number(text: &str, name: &str) -> Option<f64> {
    let (_, after) = text.split_once(name)?;
    let after = after.trim_start();
    let end = after.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(after.len());
    after[..end].trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_followed_through_the_log() {
        let mut reader = Reader::default();
        let mut read = |line: &str| reader.read(line).map(|it| (it.done, it.total, it.cached));
        assert_eq!(read("time=2026 level=INFO msg=\"something else\""), None);
        let begins = "slot   operator(): id  0 | task 49 | new prompt, n_ctx_slot = 131072, \
                      n_keep = 4, task.n_tokens = 14518";
        assert_eq!(read(begins), Some((0, 14_518, 0)));
        let cached = "slot   operator(): id  0 | task 49 | cached n_tokens = 1000, memory_seq_rm";
        assert_eq!(read(cached), Some((1_000, 14_518, 1_000)));
        let tick = "slot print_timing: id  0 | task 49 | prompt processing, n_tokens =   1536, \
                    progress = 0.25, t =  13.38 s / 114.81 tokens per second";
        assert_eq!(read(tick), Some((3_629, 14_518, 1_000)));
        // Of another task nothing is known, and this one is over.
        assert_eq!(read(&tick.replace("task 49", "task 50")), None);
        assert_eq!(read("slot print_timing: id  0 | task 49 | prompt eval time = 1 ms"), None);
        assert_eq!(read(tick), None);
        for garbage in ["id ", "id 0 |", "id x | task y |", "slot id 0 | task 1 | new prompt"] {
            assert_eq!(read(garbage), None);
        }
    }
}
