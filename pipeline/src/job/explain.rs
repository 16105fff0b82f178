//! What a job would do, as text.

use super::driver::Job;
use super::passes::PassKind;
use crate::op::Op;
use crate::op::write::ShardSpec;

impl Job {
    /// The plans of all passes as text, without running any. Columns that only the run can know are those of the recipe.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for pass in &self.passes {
            text.push_str(&format!("pass {}\n", pass.name));
            let line = match &pass.kind {
                PassKind::Source { files, source, shards } => {
                    format!("  read {} files ({}); {}", files.len(), source.op().describe(), end(shards.as_ref()))
                }
                PassKind::Dedupe { by, order, against, .. } => {
                    let order: Vec<String> = order.iter().map(|(sql, desc)| format!("{sql}{}", if *desc { " desc" } else { "" })).collect();
                    let keep =
                        if order.is_empty() { "the first in input order".to_owned() } else { format!("the first by {}", order.join(", ")) };
                    format!(
                        "  shuffle 128-bit keys of [{}], keep {keep}{}",
                        by.join(", "),
                        if against.is_empty() { String::new() } else { format!(", against {}", against.join(", ")) }
                    )
                }
                PassKind::Table { shards } => format!("  take duplicates out; {}", end(shards.as_ref())),
                PassKind::Select(selection) => {
                    let stages: Vec<&str> = selection.stages.iter().map(|stage| stage.name.as_str()).collect();
                    format!("  choose by {}; write a subset", stages.join(", "))
                }
                PassKind::Reshard(reshard) => {
                    format!("  write the subset as shards of {} samples, {} order", reshard.settings.shard_size, reshard.settings.order)
                }
                PassKind::Fetch(fetch, spec) => format!(
                    "  pack units of {} rows{}; {}; {}",
                    fetch.unit_rows,
                    fetch.host_rows.map_or(String::new(), |rows| format!(" with up to {rows} of a host together")),
                    Op::Fetch(Box::new(fetch.fetch.clone())).describe(),
                    end(Some(spec))
                ),
            };
            text.push_str(&line);
            text.push('\n');
            for stage in &pass.before {
                text.push_str(&format!("    {}\n", stage.text()));
            }
        }
        text
    }
}

fn end(shards: Option<&ShardSpec>) -> String {
    shards.map_or("write tables".to_owned(), |spec| format!("write shards as {:?}", spec.format).to_lowercase())
}
