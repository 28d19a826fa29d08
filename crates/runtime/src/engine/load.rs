//! Loading a model so that «loaded» is true: checked, read, and warmed up by one computation.
//!
//! llama.cpp maps the file and returns before much of it was read; the rest would then hide in
//! the first prompt's time. So the file is read through first (which also gives a progress that
//! means something), and each weight is used once before the load counts as done.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::job::{Job, Progress};
use super::prefix::Prefix;
use super::{Worker, memory};
use crate::failure::Failure;
use crate::keep_alive::KeepAlive;
use crate::library::ModelEntry;
use crate::llama::{Context, ContextParams, Model};

/// Most tokens of a decode call.
pub(super) const BATCH: u32 = 512;
/// Shortest context that makes sense.
const MIN_CONTEXT: u32 = 16;
const READ_BYTES: usize = 4 * 1024 * 1024;
/// Parts of the load that reading the file and preparing the weights are shown as.
const READ_SHARE: f32 = 0.5;
const PREPARE_SHARE: f32 = 0.4;
/// Memory besides weights and cache: buffers of the computation.
const BUFFER_BYTES: u64 = 96 * 1024 * 1024;

/// A model in memory.
pub(super) struct Loaded {
    pub(super) entry: Arc<ModelEntry>,
    pub(super) model: Arc<Model>,
    pub(super) context: Context,
    pub(super) prefix: Prefix,
    /// Made when embeddings are asked for.
    pub(super) embedding_context: Option<Context>,
    pub(super) keep_alive: KeepAlive,
    pub(super) expires: Option<Instant>,
    pub(super) size: u64,
    /// The context length that was asked for; the context's own may be rounded.
    asked_context: u32,
}

impl Worker {
    /// Makes `self.current` the job's model with the context length it wants.
    pub(super) fn ensure_loaded(&mut self, job: &Job) -> Result<(), Failure> {
        let entry = &job.request.model;
        let wanted = job.request.options.num_ctx.unwrap_or(self.config.context_length);
        let is_current = self.current.as_ref().is_some_and(|now| now.entry.same_file(entry));
        if !is_current {
            self.unload("another model is asked for");
            let loaded = self.load(job, wanted)?;
            tracing::info!(model = loaded.entry.name, bytes = loaded.size, "loaded");
            self.current = Some(loaded);
            self.show();
            return Ok(());
        }
        let Some(loaded) = &mut self.current else { return Err(Failure::Stopping) };
        if loaded.asked_context == wanted {
            return Ok(());
        }
        // The old context goes first, so that there is room for the new one.
        let length = context_length(wanted, &loaded.model);
        let model = Arc::clone(&loaded.model);
        let keep_alive = loaded.keep_alive;
        self.current = None;
        let threads = self.advice.now();
        let context = new_context(&model, length, threads, entry)?;
        self.current = Some(Loaded {
            size: size_of(entry, &model, length),
            entry: Arc::clone(entry),
            model,
            context,
            prefix: Prefix::default(),
            embedding_context: None,
            keep_alive,
            expires: None,
            asked_context: wanted,
        });
        self.show();
        Ok(())
    }

    fn load(&self, job: &Job, wanted: u32) -> Result<Loaded, Failure> {
        let entry = &job.request.model;
        let failed = |reason| Failure::Load { path: entry.path.clone(), reason };
        let head = entry.head.as_ref().map_err(|reason| failed(reason.clone()))?;
        let resident_before = memory::resident_bytes();
        let needed = entry.stamp.size + memory::cache_bytes(head, wanted) + BUFFER_BYTES;
        if let Some(available) = memory::available_bytes()
            && needed > available
        {
            return Err(failed(format!(
                "model requires more system memory ({}) than is available ({})",
                gibibytes(needed),
                gibibytes(available)
            )));
        }
        let progress = LoadProgress { job };
        progress.send(0.0);
        self.read_file(entry, &progress)?;
        let mut shown = READ_SHARE;
        let model = Model::load(&entry.path, |share| {
            let now = READ_SHARE + PREPARE_SHARE * share;
            if now - shown >= 0.01 {
                shown = now;
                progress.send(now);
            }
            // A client that leaves does not stop a load: the next one needs it as well.
            true
        });
        let model = Arc::new(model.map_err(failed)?);
        let length = context_length(wanted, &model);
        let mut context = new_context(&model, length, self.advice.now(), entry)?;
        if !entry.is_embedding_only() {
            context.warm_up().map_err(|error| failed(format!("warm-up: {error}")))?;
        }
        progress.send(1.0);
        let grown = memory::resident_bytes().saturating_sub(resident_before);
        Ok(Loaded {
            size: grown.max(size_of(entry, &model, length)),
            entry: Arc::clone(entry),
            model,
            context,
            prefix: Prefix::default(),
            embedding_context: None,
            keep_alive: job.request.keep_alive.unwrap_or(self.config.keep_alive),
            expires: None,
            asked_context: wanted,
        })
    }

    /// Checks the file against its checksum where there is one; else reads it once.
    fn read_file(&self, entry: &ModelEntry, progress: &LoadProgress<'_>) -> Result<(), Failure> {
        let total = entry.stamp.size.max(1);
        let mut shown = 0.0;
        let mut step = |done: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a share for display")]
            let now = READ_SHARE * (done as f32 / total as f32).min(1.0);
            if now - shown >= 0.01 {
                shown = now;
                progress.send(now);
            }
        };
        self.library.checksums.verify(&entry.path, &mut step)?;
        read_through(&entry.path, &mut step).map_err(|error| Failure::Load {
            path: entry.path.clone(),
            reason: format!("cannot read it: {error}"),
        })
    }
}

struct LoadProgress<'a> {
    job: &'a Job,
}

impl LoadProgress<'_> {
    fn send(&self, progress: f32) {
        self.job.tell(Progress::Load { progress });
    }
}

/// Brings the file's pages into memory. From memory this is a matter of milliseconds.
fn read_through(path: &Path, step: &mut impl FnMut(u64)) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut done = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        done += count as u64;
        step(done);
    }
}

/// As asked, but no longer than the model was trained for.
fn context_length(wanted: u32, model: &Model) -> u32 {
    let most = match model.trained_context() {
        0 => wanted,
        trained => trained,
    };
    wanted.min(most).max(MIN_CONTEXT)
}

fn new_context(
    model: &Arc<Model>,
    length: u32,
    threads: u32,
    entry: &ModelEntry,
) -> Result<Context, Failure> {
    let params = ContextParams { length, batch: BATCH.min(length), threads, embeddings: None };
    Context::new(model, params).map_err(|reason| Failure::Load {
        path: entry.path.clone(),
        reason: format!("no context of {length} tokens: {reason}"),
    })
}

/// Bytes by computation, for where measuring says less (pages that were resident before).
fn size_of(entry: &ModelEntry, model: &Model, length: u32) -> u64 {
    let cache = entry.head.as_ref().map_or(0, |head| memory::cache_bytes(head, length));
    model.size_bytes().saturating_add(cache)
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}
