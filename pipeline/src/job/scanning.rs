//! Sessions, and scans of tables of the output.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col};
use datafusion::prelude::SessionContext;

use super::here::Here;
use crate::plan::{SessionSettings, session};

impl Here<'_> {
    pub(super) fn function(&self, name: &str) -> Result<Arc<datafusion::logical_expr::ScalarUDF>, DataFusionError> {
        let known = self.context.state().scalar_functions().get(name).cloned();
        known.ok_or_else(|| DataFusionError::Internal(format!("the session lacks `{name}`")))
    }

    pub(super) fn context_for(&self, partitions: usize) -> Result<SessionContext, DataFusionError> {
        session(&SessionSettings { partitions, ..self.settings.clone() }, Arc::clone(&self.services))
    }

    /// The url of a file of the output. A path is not parsed: it may hold characters that mean a pattern.
    fn url_of(&self, name: &str) -> Result<ListingTableUrl, DataFusionError> {
        let url = match self.storage().local_root() {
            Some(root) => url::Url::from_file_path(root.join(name)).ok(),
            None => url::Url::parse(&self.storage().uri_of(name)).ok(),
        };
        let url = url.ok_or_else(|| DataFusionError::Internal(format!("`{}` makes no url", self.storage().uri_of(name))))?;
        ListingTableUrl::try_new(url, None)
    }

    /// Scans tables of the job's output by name; with as many partitions as files, one file each, in this order.
    pub(super) fn scan(&self, files: &[String], schema: &SchemaRef) -> Result<LogicalPlan, DataFusionError> {
        let urls = files.iter().map(|name| self.url_of(name)).collect::<Result<Vec<_>, _>>()?;
        let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
        let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(Arc::clone(schema));
        let table = ListingTable::try_new(config)?;
        LogicalPlanBuilder::scan("rows", datafusion::datasource::provider_as_source(Arc::new(table)), None)?
            // Bare names from here on: the stages know columns, not tables.
            .project(
                schema.fields().iter().map(|field| col(datafusion::common::Column::new(Some("rows"), field.name())).alias(field.name())),
            )?
            .build()
    }
}
