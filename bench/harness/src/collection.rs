//! What looking at the machine costs, with some hundred processes to look at: the sampler alone, and
//! all of an `andon up` that nobody asks anything, beside `top` at the same beat.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Settings,
    process::Andon,
    report::{Part, Row, Target},
    statistics::Sample,
};

/// Processes beside those that the machine has.
const PROCESSES: usize = 300;
const SECONDS: u64 = 20;
const ROUNDS: usize = 3;
const SETTLE: Duration = Duration::from_secs(5);
/// The thread of `andon up` that takes the samples.
const THREAD: &str = "andon-host";

pub(crate) fn measure(settings: &Settings) -> Result<Part> {
    let _crowd = Crowd::gather()?;
    let (mut alone, mut memory, mut top) = (Vec::new(), Vec::new(), Vec::new());
    let (mut thread_ns, mut all_ns) = (Vec::new(), Vec::new());
    let log = settings.out.join("collection.log");
    let data = settings.work.join("collection");
    let mut andon = Andon::start(&settings.andon, &data, &log, &settings.builtin(&[]))?;
    andon.wait_for_answer("/readyz")?;
    thread::sleep(SETTLE);
    for _ in 0..ROUNDS {
        let (cpu, bytes) = collect(&settings.collect)?;
        alone.push(cpu);
        memory.push(bytes);
        top.push(run_top()?);
        let (of_thread, of_all) = cpu_of(andon.pid())?;
        thread::sleep(Duration::from_secs(SECONDS));
        let (thread_after, all_after) = cpu_of(andon.pid())?;
        thread_ns.push(share(thread_after - of_thread));
        all_ns.push(share(all_after - of_all));
    }
    andon.stop()?;
    let top = Sample::new(top);
    let cpu = |name: &str, values: Vec<f64>, target: Option<f64>| {
        let values = Sample::new(values);
        Row {
            name: format!("{name}, {PROCESSES} processes more, once a second"),
            unit: "% of a core",
            baseline_name: "`top -b -d 1`",
            baseline: top.median(),
            measured: values.median(),
            value: values.median(),
            value_unit: "%",
            spread: (values.least(), values.most()),
            target: target.map(Target::AtMost),
        }
    };
    let memory = Sample::new(memory);
    let rows = vec![
        cpu("looking at the machine, alone", alone, Some(0.5)),
        cpu("the same in andon up, its thread", thread_ns, Some(0.5)),
        cpu("all of andon up, asked nothing", all_ns, None),
        Row {
            name: "memory of looking at the machine".to_owned(),
            unit: "MB",
            baseline_name: "the target",
            baseline: 10.0,
            measured: memory.median(),
            value: memory.median(),
            value_unit: "MB",
            spread: (memory.least(), memory.most()),
            target: Some(Target::AtMost(10.0)),
        },
    ];
    let notes = vec![format!(
        "{ROUNDS} rounds of {SECONDS} s by turns; CPU time by the kernel's scheduler statistics"
    )];
    Ok(Part { name: "collection", rows, notes, raw: json!({"top": top.to_json()}) })
}

/// Processes that do nothing.
struct Crowd(Vec<Child>);

impl Crowd {
    fn gather() -> Result<Self> {
        let mut crowd = Self(Vec::new());
        for _ in 0..PROCESSES {
            let child = Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn();
            crowd.0.push(child.context("cannot start sleep")?);
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Per cent of a core, and MB that it took.
fn collect(program: &Path) -> Result<(f64, f64)> {
    let output = Command::new(program)
        .arg(SECONDS.to_string())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "{}: {}", program.display(), output.status);
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| said[name].as_f64().with_context(|| format!("no {name}"));
    ensure!(number("processes")? > 0.0, "no process was seen");
    Ok((share(number("cpu_ns")? as u64), (number("rss_after")? - number("rss_before")?) / 1e6))
}

fn share(cpu_ns: u64) -> f64 {
    cpu_ns as f64 / (SECONDS * 1_000_000_000) as f64 * 100.0
}

/// `top` writes its figures as often.
fn run_top() -> Result<f64> {
    let mut child = Command::new("top")
        .args(["-b", "-d", "1", "-n", &(SECONDS + 2).to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start top")?;
    thread::sleep(Duration::from_secs(1));
    let before = cpu_of(child.id())?.1;
    thread::sleep(Duration::from_secs(SECONDS));
    let after = cpu_of(child.id())?.1;
    let _ = child.kill();
    child.wait()?;
    Ok(share(after - before))
}

/// CPU nanoseconds of the sampler's thread, and of all threads.
fn cpu_of(pid: u32) -> Result<(u64, u64)> {
    let (mut of_thread, mut all) = (0, 0);
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path();
        let text = fs::read_to_string(path.join("schedstat"))?;
        let ns: u64 = text.split(' ').next().context("an empty schedstat")?.parse()?;
        all += ns;
        if fs::read_to_string(path.join("comm"))?.trim() == THREAD {
            of_thread += ns;
        }
    }
    Ok((of_thread, all))
}
