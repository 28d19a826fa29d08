//! Read-only SQL over everything that is kept: `andon query`, and what the pages ask beyond the list.
//!
//! Questions run on threads of their own, at a low priority, within limits of memory, time and
//! rows: a question that wants more is ended with an error that says so. What a newcomer gets wrong:
//! dropping [`Answering`] ends the question; that is how a client that leaves costs nothing more.

mod answer;
mod attribute;
mod bounded;
mod deadline;
mod id;
mod view;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use arrow::{array::RecordBatch, error::ArrowError};
use datafusion::{
    common::DataFusionError,
    execution::{
        FunctionRegistry as _,
        context::SQLOptions,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::ScalarUDF,
    physical_plan::execute_stream,
    prelude::{SessionConfig, SessionContext},
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::JoinSet,
};

pub use answer::{Answer, Format};

use self::{
    attribute::AttributePlanner,
    bounded::Bounded,
    deadline::{Deadline, Late},
    view::View,
};
use crate::{
    Config,
    segment::{Segment, Suspicion},
    table::Table,
};

/// Bytes of a question's text.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Rows that move through a plan at a time; more take more memory.
const BATCH_ROWS: usize = 4_096;
/// Memory for what files say of their own layout.
const METADATA_BYTES: usize = 16 * 1024 * 1024;
const NICE: i32 = 10;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// A mistake in the question, in the words of its parser or planner.
    #[error("{0}")]
    Invalid(String),
    #[error("the question took longer than {limit_ms} ms; ask for a shorter time or fewer rows")]
    TooLong { limit_ms: u64 },
    #[error(
        "the question needs more than {limit_mib} MiB of memory; ask for a shorter time, or group \
         by fewer values"
    )]
    TooMuch { limit_mib: usize },
    #[error("{limit} questions are being answered already; try again in a moment")]
    Busy { limit: usize },
    #[error("the question failed: {0}")]
    Failed(String),
}

/// An answer on its way. Dropped, it is not worked on any more.
pub struct Answering {
    work: JoinSet<Result<Answer, SqlError>>,
    deadline: Deadline,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.deadline.abandon();
    }
}

impl Future for Answering {
    type Output = Result<Answer, SqlError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.poll_join_next(context).map(|ended| match ended {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => Err(SqlError::Failed(error.to_string())),
            None => Err(SqlError::Failed("it was asked for twice".to_owned())),
        })
    }
}

/// Rows of a table that count at one moment, each once.
pub(crate) struct Snapshot {
    pub(crate) hot: Vec<RecordBatch>,
    pub(crate) segments: Arc<Vec<Arc<Segment>>>,
}

/// Takes a snapshot of a table.
pub(crate) type Look = Arc<dyn Fn(Table) -> Snapshot + Send + Sync>;

/// Answers SQL. Its threads begin with the first question.
pub(crate) struct Sql {
    look: Look,
    limits: Limits,
    engine: OnceLock<Engine>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    memory_bytes: usize,
    rows: usize,
    time: Duration,
    at_once: usize,
    threads: usize,
}

impl Limits {
    fn too_long(self) -> SqlError {
        SqlError::TooLong { limit_ms: self.time.as_millis() as u64 }
    }
}

struct Engine {
    /// Ends without waiting for questions that are still being answered.
    runtime: Option<Runtime>,
    context: SessionContext,
    places: Arc<Semaphore>,
}

impl Sql {
    pub(crate) fn new(look: Look, config: &Config) -> Self {
        let limits = Limits {
            memory_bytes: config.sql_memory_bytes,
            rows: config.sql_rows,
            time: config.sql_time,
            at_once: config.sql_at_once.max(1),
            threads: config.sql_threads.max(1),
        };
        Self { look, limits, engine: OnceLock::new() }
    }

    pub(crate) fn ask(&self, text: &str) -> Result<Answering, SqlError> {
        if text.len() > MAX_TEXT_BYTES {
            let message = format!("a question has at most {MAX_TEXT_BYTES} bytes");
            return Err(SqlError::Invalid(message));
        }
        let engine = self.engine()?;
        let limit = self.limits.at_once;
        let place = Arc::clone(&engine.places).try_acquire_owned();
        let place = place.map_err(|_| SqlError::Busy { limit })?;
        let (context, limits, text) = (engine.context.clone(), self.limits, text.to_owned());
        let deadline = Deadline::new(Instant::now() + limits.time);
        let watched = deadline.clone();
        let Some(runtime) = &engine.runtime else { return Err(SqlError::Busy { limit }) };
        let look = Arc::clone(&self.look);
        let work = async move {
            let _place = place;
            let answer = answer(&context, &text, limits, &watched);
            let answer = AssertUnwindSafe(tokio::time::timeout(limits.time, answer));
            let answer = match answer.catch_unwind().await {
                Ok(answer) => answer.unwrap_or_else(|_| Err(limits.too_long())),
                Err(_) => Err(SqlError::Failed("the reader of a file broke down".to_owned())),
            };
            if matches!(answer, Err(SqlError::Failed(_))) {
                suspect_all(&look);
            }
            answer
        };
        let mut answering = Answering { work: JoinSet::new(), deadline };
        answering.work.spawn_on(work, runtime.handle());
        Ok(answering)
    }

    fn engine(&self) -> Result<&Engine, SqlError> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let started = Engine::start(&self.look, self.limits)?;
        Ok(self.engine.get_or_init(|| started))
    }
}

impl Engine {
    fn start(look: &Look, limits: Limits) -> Result<Self, SqlError> {
        let failed = |error: &dyn std::error::Error| SqlError::Failed(error.to_string());
        let runtime = Builder::new_multi_thread()
            .worker_threads(limits.threads)
            .max_blocking_threads(limits.threads)
            .thread_name("andon-query")
            .on_thread_start(give_way)
            .enable_time()
            .build()
            .map_err(|error| failed(&error))?;
        let config = SessionConfig::new()
            .with_target_partitions(limits.threads)
            .with_batch_size(BATCH_ROWS)
            .with_information_schema(true);
        // A question that does not fit is ended; it does not fill the disk instead.
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(disk)
            .with_metadata_cache_limit(METADATA_BYTES)
            .build_arc()
            .map_err(|error| failed(&error))?;
        let mut context = SessionContext::new_with_config_rt(config, environment);
        context
            .register_expr_planner(Arc::new(AttributePlanner))
            .map_err(|error| failed(&error))?;
        for name in bounded::NAMES {
            let function = context.udf(name).map_err(|error| failed(&error))?;
            context.register_udf(ScalarUDF::new_from_impl(Bounded::new(function)));
        }
        for table in Table::ALL.into_iter().filter(|table| table.is_public()) {
            context
                .register_table(table.name(), Arc::new(View::new(table, Arc::clone(look))))
                .map_err(|error| failed(&error))?;
        }
        let places = Arc::new(Semaphore::new(limits.at_once));
        Ok(Self { runtime: Some(runtime), context, places })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The model comes first.
fn give_way() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "questions run at the common priority");
    }
}

/// The engine does not say which file it could not read.
fn suspect_all(look: &Look) {
    // A snapshot of any table names the segments of all.
    let Snapshot { segments, .. } = look(Table::Evaluations);
    segments.iter().for_each(|segment| segment.suspect(Suspicion::Possible));
}

async fn answer(
    context: &SessionContext,
    text: &str,
    limits: Limits,
    deadline: &Deadline,
) -> Result<Answer, SqlError> {
    let explain = |error: DataFusionError| explain(&error, limits);
    let read_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(text, read_only).await.map_err(explain)?;
    let tasks = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await.map_err(explain)?;
    let plan = deadline.watch(plan).map_err(explain)?;
    let mut stream = execute_stream(plan, tasks).map_err(explain)?;
    let mut answer = Answer { schema: stream.schema(), batches: Vec::new(), is_partial: false };
    let (mut rows, mut bytes) = (0, 0);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(explain)?;
        let room = limits.rows - rows;
        if batch.num_rows() > room {
            answer.batches.push(batch.slice(0, room));
            answer.is_partial = true;
            break;
        }
        rows += batch.num_rows();
        bytes += batch.get_array_memory_size();
        if bytes > limits.memory_bytes {
            return Err(SqlError::TooMuch { limit_mib: limits.memory_bytes >> 20 });
        }
        answer.batches.push(batch);
    }
    Ok(answer)
}

fn explain(error: &DataFusionError, limits: Limits) -> SqlError {
    match error.find_root() {
        DataFusionError::External(error) if error.is::<Late>() => limits.too_long(),
        DataFusionError::ResourcesExhausted(_) => {
            SqlError::TooMuch { limit_mib: limits.memory_bytes >> 20 }
        }
        // A damaged file is nobody's mistake in a question.
        DataFusionError::ArrowError(error, _)
            if matches!(error.as_ref(), ArrowError::ParquetError(_)) =>
        {
            SqlError::Failed(error.to_string())
        }
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_) => SqlError::Invalid(error.strip_backtrace()),
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => {
            SqlError::Invalid(error.strip_backtrace())
        }
        _ => SqlError::Failed(error.strip_backtrace()),
    }
}
