//! Markers of a pass: which stand, and what goes with those that do not.

use std::collections::{BTreeMap, BTreeSet};

use trommel_shards::marker::{self, Counts, Marker};

use super::error::JobError;
use super::here::Here;

impl Here<'_> {
    /// Removes markers and outputs of all units but these; the marker goes first, so that a crash leaves no marker
    /// without its outputs.
    pub(super) async fn forget(&self, pass: &str, keep: &BTreeSet<String>) -> Result<(), JobError> {
        let mut markers = Marker::read_all(self.storage(), pass).await?;
        markers.retain(|unit, _| !keep.contains(unit));
        self.remove(pass, markers).await
    }

    /// Removes these markers and their outputs, and none that another part has written since they were read.
    pub(super) async fn remove(&self, pass: &str, markers: BTreeMap<String, Marker>) -> Result<(), JobError> {
        for (unit, marker) in markers {
            self.storage().delete(&marker::name(pass, &unit)).await?;
            for output in marker.outputs.keys() {
                self.storage().delete(output).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn valid(&self, pass: &str, units: impl Iterator<Item = &String>) -> Result<BTreeMap<String, Marker>, JobError> {
        let wanted: BTreeSet<&String> = units.collect();
        let mut markers = Marker::read_all(self.storage(), pass).await?;
        markers.retain(|unit, _| wanted.contains(unit));
        Ok(markers)
    }

    pub(super) async fn mark(
        &self,
        pass: &str,
        config: &str,
        input: &str,
        outputs: BTreeMap<String, marker::Output>,
        counts: Counts,
    ) -> Result<(), JobError> {
        let marker = Marker {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: config.to_owned(),
            input: input.to_owned(),
            outputs,
            counts,
            stats: serde_json::Value::Null,
            elapsed_ms: 0,
        };
        Ok(marker.write(self.storage(), pass, "all").await?)
    }
}
