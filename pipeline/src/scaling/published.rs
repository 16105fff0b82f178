//! What others have published of the same work, beside a plan.
//!
//! Compared are figures that do not depend on the size: a plan of any size says how it would fare against them.

use serde::Serialize;

use super::machines::Role;
use super::plan::Plan;

/// A published figure and the plan's own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What is compared.
    pub what: &'static str,
    /// The unit of both.
    pub unit: &'static str,
    /// Who published it, and where.
    pub source: &'static str,
    /// The published figure.
    pub published: f64,
    /// The plan's figure.
    pub planned: f64,
}

/// Sets a plan beside what was published, as far as it has the stages.
pub fn beside(plan: &Plan) -> Vec<Comparison> {
    let mut rows = Vec::new();
    let mut add = |what, unit, source, published, planned: f64| {
        if planned.is_finite() {
            rows.push(Comparison { what, unit, source, published, planned });
        }
    };
    let stage = |role: Role| plan.stages.iter().find(|stage| stage.role == role);
    if let Some(extract) = stage(Role::Extract).filter(|extract| extract.cpu_hours > 0.0) {
        let seconds = extract.cpu_hours * 3600.0 / extract.units;
        add("extraction of a file", "core s", "cc2dataset README: one WAT file in about 50 s", 50.0, seconds);
        add("the same with its shuffle", "core s", "cc2dataset PR #42: 100 WAT files on 16 cores in 494 s", 79.0, seconds);
    }
    if let Some(dedupe) = stage(Role::Dedupe) {
        let bytes = dedupe.shuffle_bytes / dedupe.rows_in;
        add("shuffle of a row", "B", "cc2dataset issue #14: 2 TB of disk for 100,000 WAT files", 2e12 / (1e5 * 405_232.0), bytes);
        add(
            "rows kept by dedupe",
            "%",
            "cc2dataset issue #5: 40 billion before, 8 billion after",
            20.0,
            100.0 * dedupe.rows_out / dedupe.rows_in,
        );
        let table = plan.rates.rate(super::rates::Item::TableRowBytes).map_or(f64::NAN, |rate| rate.value);
        add("a candidate in a table", "B", "cc2dataset issue #5: 20 billion rows in 3.2 TB", 160.0, table);
    }
    if let Some(fetch) = stage(Role::Fetch) {
        let cpu = fetch.rows_out / (fetch.cpu_hours * 3600.0);
        let wall = fetch.rows_out / (fetch.wall_hours * 3600.0);
        let group = plan.machines.index_of(Role::Fetch).map(|index| &plan.machines.groups()[index]);
        let machines = group.map_or(f64::NAN, |group| f64::from(group.count));
        add("pictures of a core", "1/core s", "img2dataset README: 1,350/s on 16 cores, 256 px", 1350.0 / 16.0, cpu);
        add("pictures of a machine", "1/s", "LAION-5B with img2dataset: 9,500/s on 10 machines of 16 vCPU, 384 px", 950.0, wall / machines);
        add(
            "urls that give a picture",
            "%",
            "DataComp: 16.8 of 40 billion (from memory of the paper)",
            42.0,
            100.0 * fetch.rows_out / fetch.rows_in,
        );
        add(
            "urls that give a picture",
            "%",
            "img2dataset issue #277: 8,542 of 10,000 of LAION-400M",
            85.42,
            100.0 * fetch.rows_out / fetch.rows_in,
        );
        let stored = (fetch.bytes_written - fetch.metadata.total()) / fetch.rows_out;
        add("a stored sample", "kB", "LAION-5B at 384 px: 220 to 240 TB of 5.85 billion", 39.3, stored / 1e3);
        add("a stored sample", "kB", "DataComp at 512 px: 450 GB of 12.8 million", 35.2, stored / 1e3);
        let row = plan.rates.rate(super::rates::Item::ShardRowBytes).map_or(f64::NAN, |rate| rate.value);
        add("metadata of a sample", "B", "DataComp: 121 MB for 492,000 rows", 121e6 / 492e3, row);
    }
    if let Some(score) = stage(Role::Score).filter(|score| score.gpu_hours > 0.0) {
        let rate = score.rows_in / (score.gpu_hours * 3600.0);
        add("pictures of a card", "1/s", "clip-retrieval: ViT-L/14 on an A100, 312/s", 312.0, rate);
        add(
            "pictures of a card",
            "1/s",
            "LAION-5B: 5.85 billion through ViT-L/14 in a week on 32 A100",
            5.85e9 / (32.0 * 7.0 * 86_400.0),
            rate,
        );
    }
    rows
}
