//! `attributes['gen_ai.request.temperature']`, the one thing that would take all of DataFusion's
//! functions for nested values.

use datafusion::{
    common::{DFSchema, Result},
    functions::core::expr_fn::get_field,
    logical_expr::{
        GetFieldAccess,
        planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr},
    },
};

#[derive(Debug)]
pub(super) struct AttributePlanner;

impl ExprPlanner for AttributePlanner {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        Ok(match access.field_access {
            GetFieldAccess::NamedStructField { name } => {
                PlannerResult::Planned(get_field(access.expr, name))
            }
            _ => PlannerResult::Original(access),
        })
    }
}
