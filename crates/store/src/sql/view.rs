//! A table as DataFusion sees it: its segments and what of it is in memory, as they were when the
//! question was planned.

use std::{any::Any, sync::Arc};

use andon_model::UnixNanos;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, Result, ScalarValue},
    datasource::{
        TableType,
        listing::PartitionedFile,
        memory::MemorySourceConfig,
        physical_plan::{
            FileGroup, FileScanConfigBuilder, ParquetSource,
            parquet::CachedParquetFileReaderFactory,
        },
        source::DataSourceExec,
    },
    execution::object_store::ObjectStoreUrl,
    logical_expr::{
        BinaryExpr, Expr, Operator, ScalarUDF, TableProviderFilterPushDown, utils::conjunction,
    },
    object_store::{ObjectMeta, path::Path as ObjectPath},
    physical_expr::{PhysicalExpr, ScalarFunctionExpr, expressions::Column},
    physical_plan::{ExecutionPlan, projection::ProjectionExec, union::UnionExec},
};

use super::{
    Look, Snapshot,
    id::{HexId, is_id, on_stored, public_schema},
};
use crate::{segment::Segment, table::Table};

/// One table.
pub(super) struct View {
    table: Table,
    stored: SchemaRef,
    public: SchemaRef,
    look: Look,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("table", &self.table).finish_non_exhaustive()
    }
}

impl View {
    pub(super) fn new(table: Table, look: Look) -> Self {
        let stored = table.schema();
        let public = public_schema(&stored);
        Self { table, stored, public, look }
    }

    fn scan_segments(
        &self,
        state: &dyn Session,
        segments: Vec<Arc<Segment>>,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let environment = state.runtime_env();
        let url = ObjectStoreUrl::local_filesystem();
        let readers = CachedParquetFileReaderFactory::new(
            environment.object_store(&url)?,
            environment.cache_manager.get_file_metadata_cache(),
        );
        let mut source = ParquetSource::new(Arc::clone(&self.stored))
            .with_parquet_file_reader_factory(Arc::new(readers))
            .with_pushdown_filters(true)
            .with_reorder_filters(true)
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true);
        let stored = filters.iter().filter_map(|filter| on_stored(filter, &self.stored));
        if let Some(predicate) = conjunction(stored) {
            let schema = DFSchema::try_from(Arc::clone(&self.stored))?;
            source = source.with_predicate(state.create_physical_expr(predicate, &schema)?);
        }
        let files = segments.into_iter().map(as_file).collect::<Result<Vec<_>>>()?;
        let partitions = state.config().target_partitions();
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(FileGroup::new(files).split_files(partitions))
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Ids as text.
    fn as_public(
        &self,
        state: &dyn Session,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = plan.schema();
        if !schema.fields().iter().any(|field| is_id(field.data_type())) {
            return Ok(plan);
        }
        let hex = Arc::new(ScalarUDF::new_from_impl(HexId::new()));
        let options = Arc::clone(state.config().options());
        let columns = schema.fields().iter().enumerate().map(|(place, field)| {
            let column = Arc::new(Column::new(field.name(), place)) as Arc<dyn PhysicalExpr>;
            let column = if is_id(field.data_type()) {
                let (hex, options) = (Arc::clone(&hex), Arc::clone(&options));
                let text = ScalarFunctionExpr::try_new(hex, vec![column], &schema, options)?;
                Arc::new(text) as Arc<dyn PhysicalExpr>
            } else {
                column
            };
            Ok((column, field.name().clone()))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
    }
}

#[async_trait]
impl TableProvider for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.public)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match on_stored(filter, &self.stored) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Snapshot { hot, segments } = (self.look)(self.table);
        let (from_ns, to_ns) = times_of(filters, self.table.time_column());
        let segments: Vec<_> = segments
            .iter()
            .filter(|segment| {
                segment.info.table == self.table && segment.info.overlaps(from_ns, to_ns)
            })
            .cloned()
            .collect();
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !segments.is_empty() {
            inputs.push(self.scan_segments(state, segments, projection, filters)?);
        }
        if !hot.is_empty() || inputs.is_empty() {
            let stored = Arc::clone(&self.stored);
            inputs.push(MemorySourceConfig::try_new_exec(&[hot], stored, projection.cloned())?);
        }
        self.as_public(state, UnionExec::try_new(inputs)?)
    }
}

/// A file that stays for as long as a plan reads it.
fn as_file(segment: Arc<Segment>) -> Result<PartitionedFile> {
    let location = ObjectPath::from_absolute_path(&segment.path)?;
    let meta = ObjectMeta {
        location,
        last_modified: Default::default(),
        size: segment.info.bytes,
        e_tag: None,
        version: None,
    };
    Ok(PartitionedFile::new_from_meta(meta).with_extension(segment as Arc<dyn Any + Send + Sync>))
}

/// The times that the filters leave, both included.
fn times_of(filters: &[Expr], time_column: &str) -> (UnixNanos, UnixNanos) {
    let (mut from_ns, mut to_ns) = (0, UnixNanos::MAX);
    for filter in filters {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { continue };
        let (value, op) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) if column.name() == time_column => {
                (value, *op)
            }
            (Expr::Literal(value, _), Expr::Column(column)) if column.name() == time_column => {
                let Some(op) = op.swap() else { continue };
                (value, op)
            }
            _ => continue,
        };
        let ScalarValue::Int64(Some(time)) = value else { continue };
        let time_ns = u64::try_from(*time).unwrap_or(0);
        match op {
            Operator::Gt | Operator::GtEq => from_ns = from_ns.max(time_ns),
            Operator::Lt | Operator::LtEq => to_ns = to_ns.min(time_ns),
            Operator::Eq => (from_ns, to_ns) = (from_ns.max(time_ns), to_ns.min(time_ns)),
            _ => {}
        }
    }
    (from_ns, to_ns)
}
