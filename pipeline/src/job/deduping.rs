//! The pass that finds duplicates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast, col, ident, lit};
use trommel_shards::columns::{CONTROL_ROW, ROW, UID, UNIT};
use trommel_shards::marker::Counts;

use super::error::JobError;
use super::here::{Here, Upstream};
use super::passes::Pass;
use crate::engine::{Outcome, Spread};
use crate::op::write::{InputIdentity, Target};
use crate::op::{Dedupe, KEY, ORDER, Op, Write};
use crate::plan::{StageNode, functions};
use crate::report::ProgressLine;

impl Here<'_> {
    #[allow(clippy::too_many_arguments, reason = "one call site, all of one pass")]
    pub(super) async fn dedupe(
        &mut self,
        pass: &Pass,
        upstream: &Upstream,
        by: &[String],
        order: &[(String, bool)],
        against: &[String],
        folder: &str,
        config: &str,
        identity: &str,
    ) -> Result<(), JobError> {
        // Lists of an earlier state must not be taken for this one's: the marker goes first.
        self.forget(&pass.name, &BTreeSet::new()).await?;
        for entry in self.storage().list(folder).await? {
            self.storage().delete(&entry.name).await?;
        }
        let fail = |source| self.error(&pass.name, source);
        let schema = upstream.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()));
        let files: Vec<String> = upstream.markers.keys().map(|unit| format!("_trommel/tables/{}/{unit}.parquet", upstream.pass)).collect();
        let mut outcome = Outcome::default();
        let line = ProgressLine::start(&self.services.progress, &pass.name, 1, self.options.quiet);
        if !files.is_empty() {
            let plan = self.dedupe_plan(&files, &schema, by, order, against).await.map_err(fail)?;
            let write = Write {
                pass: pass.name.clone(),
                config: config.to_owned(),
                input: InputIdentity::Fixed(identity.to_owned()),
                target: Target::Lists { folder: folder.to_owned() },
            };
            let plan = StageNode::plan(plan, Op::Write(Box::new(write))).map_err(fail)?;
            let context = self.context_for(self.settings.partitions).map_err(fail)?;
            outcome = self.engine.run(&context, plan, Spread::Shuffle).await.map_err(fail)?;
        }
        self.services.progress.unit_done();
        line.finish();
        let mut outputs = BTreeMap::new();
        let mut counts = Counts::default();
        for (_, marker) in &outcome.done {
            outputs.extend(marker.outputs.clone());
            counts.add(&marker.counts);
        }
        self.units.0 += 1;
        self.mark(&pass.name, config, identity, outputs, counts).await
    }

    async fn dedupe_plan(
        &self,
        files: &[String],
        schema: &SchemaRef,
        by: &[String],
        order: &[(String, bool)],
        against: &[String],
    ) -> Result<LogicalPlan, DataFusionError> {
        let key = self.function("row_key")?.call(by.iter().map(|name| ident(name.as_str())).collect()).alias(KEY);
        let uid = if schema.field_with_name(UID).is_ok() { ident(UID) } else { ident("_uid") };
        let mut columns = vec![ident(UNIT), ident(ROW), uid.alias(UID), key.clone()];
        let directions: String = order.iter().map(|(_, descending)| if *descending { 'd' } else { 'a' }).collect();
        let rows = self.scan(files, schema)?;
        if !order.is_empty() {
            let exprs = order.iter().map(|(sql, _)| self.context.parse_sql_expr(sql, rows.schema())).collect::<Result<Vec<_>, _>>()?;
            columns.push(functions::order_key(&directions).call(exprs).alias(ORDER));
        }
        let mut plan = LogicalPlanBuilder::from(rows).filter(ident(ROW).not_eq(lit(CONTROL_ROW)))?.project(columns)?;
        if !against.is_empty() {
            let earlier = self
                .context
                .read_parquet(against.to_vec(), datafusion::prelude::ParquetReadOptions::default())
                .await?
                .into_unoptimized_plan();
            // The empty unit stands for rows of earlier outputs: they win, and are never listed.
            let mut columns =
                vec![lit("").alias(UNIT), lit(0_i64).alias(ROW), cast(col(UID), arrow::datatypes::DataType::Utf8).alias(UID), key];
            if !order.is_empty() {
                columns.push(lit(Vec::<u8>::new()).alias(ORDER));
            }
            let earlier = LogicalPlanBuilder::from(earlier).project(columns)?.build()?;
            plan = plan.union(earlier)?;
        }
        StageNode::plan(plan.build()?, Op::Dedupe(Dedupe { by: by.to_vec(), ordered: !order.is_empty() }))
    }
}
