//! `make bench`: Andon against baselines that are taken in the same run, on the same machine, by
//! turns. Absolute figures of a shared machine say little a day later; ratios do.
//!
//! Usage: `andon-bench --andon FILE --direct FILE --model FILE --card FILE --collect FILE --out DIR
//! [--litellm FILE] [--phoenix FILE] [--test-agent FILE]
//! [--parts overhead,start,collection,memory,capture,receive,soak,throughput] [--pairs N] [--threads N] [--calls N]`.
//! Prints a Markdown table and writes it to `DIR/table.md`, with all numbers in
//! `DIR/results.json`. Exit status 1: a part could not be measured. A missed target is a result,
//! not a failure.

mod capture;
mod collection;
mod fake;
mod http;
mod memory;
mod overhead;
mod peers;
mod process;
mod prompt;
mod receive;
mod report;
mod soak;
mod startup;
mod statistics;
mod stub;
mod throughput;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use report::Part;
use serde_json::{Map, Value, json};

const PARTS: [&str; 8] =
    ["overhead", "start", "collection", "memory", "capture", "receive", "soak", "throughput"];
const MOST_PAIRS: usize = 100;
const MOST_CALLS: usize = 1_000_000;

/// What is measured, with what, and where the results go.
pub(crate) struct Settings {
    pub(crate) andon: PathBuf,
    /// `bench_direct`, llama.cpp alone.
    pub(crate) direct: PathBuf,
    pub(crate) model: PathBuf,
    pub(crate) card: PathBuf,
    /// Looks at the machine and does nothing else.
    pub(crate) collect: PathBuf,
    /// LiteLLM's program, to be measured beside the capture.
    pub(crate) litellm: Option<PathBuf>,
    /// Phoenix's and the Datadog test agent's programs, to be measured beside the receivers.
    pub(crate) phoenix: Option<PathBuf>,
    pub(crate) test_agent: Option<PathBuf>,
    pub(crate) out: PathBuf,
    /// Data folders of the Andons that are measured; emptied at the start.
    pub(crate) work: PathBuf,
    pub(crate) parts: Vec<String>,
    pub(crate) pairs: usize,
    pub(crate) threads: u64,
    pub(crate) calls: usize,
}

impl Settings {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let mut given = Map::new();
        while let Some(flag) = arguments.next() {
            let name = flag.strip_prefix("--").with_context(|| format!("unexpected {flag}"))?;
            let known = [
                "andon",
                "direct",
                "model",
                "card",
                "collect",
                "litellm",
                "phoenix",
                "test-agent",
                "out",
                "parts",
                "pairs",
                "threads",
                "calls",
            ];
            ensure!(known.contains(&name), "unknown flag {flag}");
            let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
            given.insert(name.to_owned(), Value::String(value));
        }
        let text = |name: &str| given.get(name).and_then(Value::as_str);
        let path = |name: &str| -> Result<PathBuf> {
            Ok(text(name).with_context(|| format!("--{name} is missing"))?.into())
        };
        let number = |name: &str, default: usize, most: usize| -> Result<usize> {
            let Some(text) = text(name) else { return Ok(default) };
            match text.parse() {
                Ok(number) if (1..=most).contains(&number) => Ok(number),
                _ => bail!("--{name} takes a number from 1 to {most}, not {text}"),
            }
        };
        let parts: Vec<String> = match text("parts") {
            Some(list) => list.split(',').map(str::to_owned).collect(),
            None => PARTS.map(str::to_owned).into(),
        };
        for part in &parts {
            ensure!(PARTS.contains(&part.as_str()), "no part {part}; there are {PARTS:?}");
        }
        let out = path("out")?;
        Ok(Self {
            andon: path("andon")?,
            direct: path("direct")?,
            model: path("model")?,
            card: path("card")?,
            collect: path("collect")?,
            litellm: text("litellm").map(PathBuf::from),
            phoenix: text("phoenix").map(std::path::absolute).transpose()?,
            test_agent: text("test-agent").map(std::path::absolute).transpose()?,
            work: out.join("work"),
            out,
            parts,
            pairs: number("pairs", 6, MOST_PAIRS)?,
            threads: number("threads", cores as usize, cores as usize)? as u64,
            calls: number("calls", 5_000, MOST_CALLS)?,
        })
    }

    /// Arguments of `andon up` for the built-in runtime with the model, and more.
    pub(crate) fn builtin<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let model = self.model.to_str().unwrap_or_default();
        ["--runtime", "builtin", "--model", model].into_iter().chain(more.iter().copied()).collect()
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("andon-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let settings = Settings::from_arguments(std::env::args().skip(1))?;
    ensure!(settings.model.to_str().is_some(), "the model's path is not UTF-8");
    if settings.work.exists() {
        fs::remove_dir_all(&settings.work)?;
    }
    fs::create_dir_all(&settings.work)?;
    let load_before = load()?;
    let filled = settings.work.join("overhead");
    let mut parts = Vec::new();
    let mut complete = true;
    // In this order: the starts use the folder that the calls filled.
    for name in PARTS.into_iter().filter(|name| settings.parts.iter().any(|part| part == name)) {
        eprintln!("--- {name}");
        let started = Instant::now();
        let measured = match name {
            "overhead" => overhead::measure(&settings, &filled),
            "start" => startup::measure(&settings, &filled),
            "collection" => collection::measure(&settings),
            "capture" => capture::measure(&settings),
            "receive" => receive::measure(&settings),
            "soak" => soak::measure(&settings),
            "memory" => memory::measure(&settings),
            _ => throughput::measure(&settings),
        };
        eprintln!("    {} s", started.elapsed().as_secs());
        parts.push(measured.unwrap_or_else(|error| {
            eprintln!("    {error:#}");
            complete = false;
            Part::failed(name, &error)
        }));
    }
    write(&settings, &parts, [load_before, load()?])?;
    fs::remove_dir_all(&settings.work)?;
    Ok(complete)
}

#[expect(clippy::print_stdout, reason = "the result")]
fn write(settings: &Settings, parts: &[Part], load: [f64; 2]) -> Result<()> {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let machine = format!(
        "{}, load average {} before and {} after",
        machine()?,
        report::short(load[0]),
        report::short(load[1])
    );
    let table = format!("Machine: {machine}\n\n{}", report::table(parts));
    let parts: Map<String, Value> =
        parts.iter().map(|part| (part.name.to_owned(), part.to_json())).collect();
    let results = json!({"time_s": time, "machine": machine, "parts": parts});
    write_file(&settings.out.join("results.json"), &format!("{results:#}\n"))?;
    write_file(&settings.out.join("table.md"), &table)?;
    println!("{table}");
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Load average of the last minute: how busy others kept the machine.
fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("an empty /proc/loadavg")?.parse()?)
}

fn machine() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let name = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.and_then(|line| line.split_once(": ")).map_or("unknown CPU", |(_, name)| name);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let total = memory.split_whitespace().nth(1).context("an empty /proc/meminfo")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let gigabytes = total.parse::<f64>()? * 1024.0 / 1e9;
    Ok(format!("{cores} × {name}, {gigabytes:.0} GB, Linux {}", kernel.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(extra: &[&str]) -> Result<Settings> {
        let needed = [
            "--andon",
            "a",
            "--direct",
            "d",
            "--model",
            "m",
            "--card",
            "c",
            "--collect",
            "l",
            "--out",
            "o",
        ];
        Settings::from_arguments(needed.iter().chain(extra).map(|text| (*text).to_owned()))
    }

    #[test]
    fn arguments_are_read_and_wrong_ones_named() {
        assert_eq!(settings(&["--calls", "40"]).unwrap().calls, 40);
        for wrong in [&["--calls", "0"], &["--parts", "speed"], &["--speed", "1"]] {
            assert!(settings(wrong).is_err(), "{wrong:?}");
        }
        assert!(settings(&["--calls"]).is_err());
    }
}
