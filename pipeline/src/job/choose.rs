//! The passes behind finished shards: choosing among their rows, and writing what was chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trommel_shards::marker::{Counts, Marker, Output};
use trommel_shards::reshard::{InputShard, Reshard};
use trommel_shards::source::{SourceFile, expand};
use trommel_shards::subset::Subset;

use super::error::JobError;
use super::here::{Here, Upstream};
use super::parts::Turn;
use super::passes::{GALLERY, GROUPS, Pass, RAW, REPORT, ReshardPass, SUBSET};
use crate::gallery::groups_page;
use crate::reshard::{ExtraColumns, RunError, options_of, write};
use crate::select::{Inputs, SelectError, SelectOptions, Selected, Selection, SubsetFormat, select};

impl Here<'_> {
    /// Chooses among the rows of the shards that the pass before has written.
    pub(super) async fn select(
        &mut self,
        pass: &Pass,
        selection: &Selection,
        upstream: Upstream,
        funnel: &mut crate::report::Funnel,
    ) -> Result<Upstream, JobError> {
        let text = serde_json::to_string(selection).unwrap_or_default();
        let config = self.chain(&format!("select {text}"));
        let identity = self.global_identity(&upstream, &[]).await?;
        match self.turn(&pass.name, &config, &identity).await? {
            Turn::Done => self.units.1 += 1,
            mine => {
                self.forget(&pass.name, &BTreeSet::new()).await?;
                self.choose(pass, selection, &upstream, &config, &identity).await?;
                self.units.0 += 1;
                mine.over().await;
            }
        }
        if let Some(text) = self.storage().get(REPORT).await? {
            self.selected = serde_json::from_slice::<Selected>(&text).ok();
        }
        let markers: BTreeMap<String, Marker> =
            Marker::read(self.storage(), &pass.name, "all").await?.into_iter().map(|marker| ("all".to_owned(), marker)).collect();
        self.book(funnel, &markers);
        Ok(Upstream { pass: pass.name.clone(), markers, ..upstream })
    }

    async fn choose(
        &mut self,
        pass: &Pass,
        selection: &Selection,
        upstream: &Upstream,
        config: &str,
        identity: &str,
    ) -> Result<(), JobError> {
        let storage = self.storage().clone();
        let mut tables = Vec::new();
        for marker in upstream.markers.values() {
            for (name, output) in &marker.outputs {
                let inner = name.strip_prefix(&format!("{RAW}/")).filter(|inner| !inner.contains('/') && inner.ends_with(".parquet"));
                if inner.is_some() {
                    tables.push(SourceFile { uri: storage.uri_of(name), size: output.bytes, version: output.sha256.clone() });
                }
            }
        }
        tables.sort_by(|a, b| a.uri.cmp(&b.uri));
        let inputs = match tables.is_empty() {
            true => return Err(SelectError::Empty { rows: 0, lost: Vec::new() }.into()),
            false => tokio::task::spawn_blocking(move || Inputs::open(tables)).await.map_err(|e| SelectError::file("metadata", e))??,
        };
        let excluded = format!("excluded/{}", pass.name);
        let options = SelectOptions {
            storage: storage.clone(),
            subset: SUBSET.to_owned(),
            format: SubsetFormat::Parquet,
            exclusions: Some(excluded.clone()),
            groups: Some(GROUPS.to_owned()),
            diversity: true,
            warn_factor: 2.0,
            allow_empty: false,
            // Rows without a picture have had their reason before.
            present: inputs.has("status").then(|| "status = 'success'".to_owned()),
            threads: self.options.threads,
            spill_folder: Some(self.settings.spill_folder.clone()),
            cancel: self.services.cancel.clone(),
        };
        let mut selected = match select(selection, &self.context, &inputs, &options).await {
            Err(SelectError::Interrupted) => return Err(JobError::Interrupted),
            other => other?,
        };
        // A clock has no place in an output.
        selected.seconds = 0.0;
        let mut text = serde_json::to_vec_pretty(&selected).unwrap_or_default();
        text.push(b'\n');
        storage.put(REPORT, text).await?;
        let mut outputs = BTreeMap::new();
        let mut names = vec![SUBSET.to_owned(), REPORT.to_owned()];
        storage.delete(GALLERY).await?;
        if let Some(page) = tokio::task::block_in_place(|| groups_page(&inputs, &selected))? {
            storage.put(GALLERY, page.into_bytes()).await?;
            names.push(GALLERY.to_owned());
        }
        for folder in [&excluded, GROUPS] {
            names.extend(storage.list(&format!("{folder}/")).await?.into_iter().map(|entry| entry.name));
        }
        for name in names {
            let (bytes, sha256) = (storage.size(&name).await?.unwrap_or(0), storage.sha256(&name).await?.unwrap_or_default());
            outputs.insert(name, Output { bytes, sha256 });
        }
        let lost = selected.funnel.stages.iter().filter(|stage| !stage.lost.is_empty());
        let counts = Counts {
            rows: selected.funnel.rows,
            kept: selected.funnel.kept,
            lost: lost.map(|stage| (stage.stage.clone(), stage.lost.clone())).collect(),
            deferred: 0,
        };
        self.mark(&pass.name, config, identity, outputs, counts).await
    }

    /// Writes the final shards.
    pub(super) async fn reshard(&mut self, pass: &Pass, spec: &ReshardPass, upstream: Upstream) -> Result<Upstream, JobError> {
        let storage = self.storage().clone();
        let wrong = |(key, message): (&str, String)| SelectError::Stage { stage: key.to_owned(), message };
        let mut options = options_of(&spec.settings, self.options.threads).map_err(wrong)?;
        let raw = super::finished_files(expand(&storage.uri_of(RAW)).await.map_err(SelectError::from)?);
        let subset = storage.uri_of(SUBSET);
        let opened = tokio::task::spawn_blocking(move || -> Result<_, SelectError> {
            let fail = |e: &dyn std::fmt::Display| SelectError::File { place: subset.clone(), message: e.to_string() };
            Ok((Subset::open(&subset).map_err(|e| fail(&e))?, ExtraColumns::open(&subset).map_err(|e| fail(&e))?))
        });
        let (subset, extra) = opened.await.map_err(|e| SelectError::File { place: SUBSET.to_owned(), message: e.to_string() })??;
        let identity = extra.as_ref().map_or_else(String::new, ExtraColumns::identity);
        options.extra = extra.map(|extra| Arc::new(extra) as Arc<dyn trommel_shards::reshard::Extra>);
        let plan = Reshard::plan(InputShard::among(&raw), Some(Arc::new(subset)), options).await.map_err(RunError::from)?;
        let datacomp = spec.settings.shard_compat.is_some();
        let turn = self.alone(&pass.name).await?;
        let done = match write(&plan, &identity, &storage, datacomp, self.options.threads, self.options.quiet, &self.services.cancel).await
        {
            Err(RunError::Interrupted) => return Err(JobError::Interrupted),
            other => other?,
        };
        turn.over().await;
        self.units.0 += done.written;
        self.units.1 += done.there;
        self.failed.extend(done.failed.into_iter().map(|(shard, error)| (pass.name.clone(), shard, error)));
        Ok(Upstream { pass: pass.name.clone(), ..upstream })
    }
}
