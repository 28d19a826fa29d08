//! `andon gen`: made-up telemetry in the data folder, the same for the same seed.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use andon_generate::Recipe;
use andon_model::Span;
use andon_privacy::Protector;
use andon_store::{Ack, EmbeddedStore, Record, Store, StoreError};
use anyhow::Context;

use crate::{cli::GenArgs, config::Config};

/// Spans of one append.
const BATCH_SPANS: usize = 2_000;
/// Appends that are on their way at a time.
const ON_THEIR_WAY: usize = 8;
const PROGRESS: Duration = Duration::from_secs(2);

pub(crate) fn run(args: GenArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let folder = &config.data;
    let store = EmbeddedStore::open(folder, config.store.clone())
        .with_context(|| format!("cannot open the data folder {}", folder.display()))?;
    let recipe = Recipe {
        spans: args.spans,
        days: args.days,
        seed: args.seed,
        end_ns: args.end_ns.unwrap_or_else(Span::now_ns),
        contents: args.contents.unwrap_or(args.spans / 5),
    };
    let protector = config.protector();
    let started = Instant::now();
    let (mut batch, mut acks, mut stored) = (Vec::new(), Vec::new(), 0_u64);
    let mut told = Instant::now();
    for trace in recipe.generate() {
        batch.extend(trace);
        if batch.len() < BATCH_SPANS {
            continue;
        }
        stored += batch.len() as u64;
        append(&store, &protector, std::mem::take(&mut batch), &mut acks)?;
        if told.elapsed() >= PROGRESS {
            eprintln!("{stored} of {} spans", args.spans);
            told = Instant::now();
        }
    }
    stored += batch.len() as u64;
    append(&store, &protector, batch, &mut acks)?;
    acks.into_iter().try_for_each(Ack::wait)?;
    store.seal()?;
    let seconds = started.elapsed().as_secs_f64();
    let rate = stored as f64 / seconds;
    let bytes = store.state().bytes_on_disk;
    eprintln!("{stored} spans in {seconds:.1} s ({rate:.0} a second); {bytes} bytes on disk");
    Ok(ExitCode::SUCCESS)
}

fn append(
    store: &EmbeddedStore,
    protector: &Protector,
    batch: Vec<andon_model::Observation>,
    acks: &mut Vec<Ack>,
) -> anyhow::Result<()> {
    let record = Record::Spans(protector.protect(batch));
    if acks.len() >= ON_THEIR_WAY {
        acks.remove(0).wait()?;
    }
    loop {
        match store.append(record.clone()) {
            Ok(ack) => {
                acks.push(ack);
                return Ok(());
            }
            Err(StoreError::Busy) => store.wait_while_busy(),
            Err(error) => return Err(error.into()),
        }
    }
}
