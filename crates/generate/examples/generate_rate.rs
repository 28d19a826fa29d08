//! How fast spans are made, with and without texts.
//!
//! `cargo run --release -p andon-generate --example generate_rate [SPANS] [TEXTS] [DAYS]`
//!
//! Each line names its unit. The allocator is the one of the binary.

use std::{
    env,
    io::{self, Write},
    time::Instant,
};

use andon_generate::Recipe;

#[global_allocator]
static ALLOCATOR: andon_memory::Allocator = andon_memory::Allocator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument =
        |place, otherwise: u64| env::args().nth(place).map_or(Ok(otherwise), |text| text.parse());
    let (spans, texts) = (argument(1, 2_000_000)?, argument(2, 200_000)?);
    let days = u32::try_from(argument(3, 7)?)?;
    let mut out = io::stdout().lock();
    for contents in [0, texts] {
        let recipe = Recipe { spans, days, seed: 1, end_ns: 1_790_000_000_000_000_000, contents };
        let started = Instant::now();
        let (mut made, mut traces, mut told, mut bytes) = (0, 0, 0, 0);
        for trace in recipe.generate() {
            traces += 1;
            made += trace.len();
            for content in trace.iter().flat_map(|observation| &observation.contents) {
                told += 1;
                bytes += content.text.len();
            }
        }
        let rate = made as f64 / started.elapsed().as_secs_f64();
        writeln!(
            out,
            "{rate:.0} spans/s: {made} spans in {traces} traces, {told} texts of {bytes} bytes"
        )?;
    }
    writeln!(out, "{} KiB of memory at most", peak_kib()?)?;
    Ok(())
}

fn peak_kib() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
