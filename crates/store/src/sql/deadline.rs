//! The end of a question that takes too long, or whose client has left.
//!
//! DataFusion gives way where tables are read. A join can turn a handful of rows into billions
//! without reading any more, and a filter can drop them all inside of it; so a look at the clock is
//! put behind each join, and into each join's own filter.

use std::{
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Schema, SchemaRef},
};
use datafusion::{
    common::{
        DataFusionError, Result, ScalarValue,
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion},
    },
    execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext},
    logical_expr::{
        ColumnarValue, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
    },
    physical_expr::{PhysicalExpr, ScalarFunctionExpr, expressions::BinaryExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
        joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, utils::JoinFilter},
    },
};
use futures_util::{Stream, StreamExt as _};

/// When a question is to end. All copies of one question are the same.
#[derive(Debug, Clone)]
pub(super) struct Deadline(Arc<Moment>);

#[derive(Debug)]
struct Moment {
    at: Instant,
    is_abandoned: AtomicBool,
}

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self(Arc::new(Moment { at, is_abandoned: AtomicBool::new(false) }))
    }

    /// Nobody waits for the answer any more.
    pub(super) fn abandon(&self) {
        self.0.is_abandoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_abandoned.load(Ordering::Relaxed) || Instant::now() >= self.0.at
    }

    fn check(&self) -> Result<()> {
        if self.is_over() { Err(DataFusionError::External(Box::new(Late))) } else { Ok(()) }
    }

    /// The plan with a look at the clock wherever rows multiply.
    pub(super) fn watch(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let node = self.watch_filter(node)?;
            if !(node.name().ends_with("JoinExec") || node.name() == "RecursiveQueryExec") {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(Arc::new(Watched { input: node, deadline: self.clone() }) as _))
        })
        .data()
    }

    fn watch_filter(&self, node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
            && let Some(filter) = join.filter()
        {
            let filter = Some(self.watched(filter)?);
            let join = NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?;
            return Ok(Arc::new(join));
        }
        if let Some(join) = node.downcast_ref::<HashJoinExec>()
            && let Some(filter) = join.filter()
        {
            let filter = Some(self.watched(filter)?);
            return Ok(Arc::new(join.builder().with_filter(filter).build()?));
        }
        Ok(node)
    }

    fn watched(&self, filter: &JoinFilter) -> Result<JoinFilter> {
        let check = ScalarUDF::new_from_impl(InTime {
            deadline: self.clone(),
            signature: Signature::nullary(Volatility::Volatile),
        });
        let options = Arc::new(ConfigOptions::default());
        let check =
            ScalarFunctionExpr::try_new(Arc::new(check), Vec::new(), &Schema::empty(), options)?;
        let expression = Arc::clone(filter.expression());
        let both = BinaryExpr::new(Arc::new(check), Operator::And, expression);
        let columns = filter.column_indices().to_vec();
        Ok(JoinFilter::new(Arc::new(both), columns, Arc::clone(filter.schema())))
    }
}

/// The error of a question that was ended.
#[derive(Debug, thiserror::Error)]
#[error("the question took too long")]
pub(super) struct Late;

/// `true`, or an error.
#[derive(Debug)]
struct InTime {
    deadline: Deadline,
    signature: Signature,
}

impl PartialEq for InTime {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.deadline.0, &other.deadline.0)
    }
}

impl Eq for InTime {}

impl Hash for InTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.deadline.0).hash(state);
    }
}

impl ScalarUDFImpl for InTime {
    fn name(&self) -> &str {
        "in_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.deadline.check()?;
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
    }
}

/// Passes on what its input gives, while there is time.
#[derive(Debug)]
struct Watched {
    input: Arc<dyn ExecutionPlan>,
    deadline: Deadline,
}

impl DisplayAs for Watched {
    fn fmt_as(
        &self,
        _kind: DisplayFormatType,
        f: &mut std::fmt::Formatter<'_>,
    ) -> std::fmt::Result {
        write!(f, "Watched")
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &str {
        "Watched"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(Self { input, deadline: self.deadline.clone() })),
            None => Ok(self),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(WatchedStream { input, deadline: self.deadline.clone() }))
    }
}

struct WatchedStream {
    input: SendableRecordBatchStream,
    deadline: Deadline,
}

impl Stream for WatchedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.deadline.check() {
            Ok(()) => self.input.poll_next_unpin(context),
            Err(late) => Poll::Ready(Some(Err(late))),
        }
    }
}

impl RecordBatchStream for WatchedStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
