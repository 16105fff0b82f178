//! Chains: a row that is alike two others joins them although they are not alike. They are reported, and cut when that is asked for.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};
use trommel_filters::near::best::{Candidate, Order};
use trommel_filters::near::components::{DisjointSet, Groups, SplitOptions, StretchOptions, split, stretched};

use crate::select::error::{Result, SelectError};
use crate::select::steps::gathered::Gathered;

/// Groups of up to so many members have all pairs compared for the report.
const ALL_PAIRS: usize = 16;
/// Stretched groups of up to so many members have their bridge named.
const BRIDGE_MEMBERS: usize = 256;
/// Stretched groups that the report names.
const NAMED: usize = 24;

/// A row in the order of preference.
struct Rank<'a> {
    order: &'a Order,
    row: u32,
    keys: Vec<f64>,
    uid: u128,
}

impl Rank<'_> {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { row: u64::from(self.row), keys: &self.keys, uid: self.uid }
    }
}

impl Ord for Rank<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.compare(&self.candidate(), &other.candidate())
    }
}

impl PartialOrd for Rank<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Rank<'_> {}

/// Cuts groups in which rows are less than `to_best` alike to the best, and names groups whose ends are less than `alike`.
pub(super) fn judge(
    stage: &str,
    groups: DisjointSet<u32>,
    rows: &Gathered,
    order: &Order,
    to_best: Option<f32>,
    alike: f32,
    apart: impl Fn(u32, u32) -> f32,
) -> Result<(DisjointSet<u32>, Map<String, Value>)> {
    let mut said = Map::new();
    let entries = rows.rows.entries();
    let groups = match to_best {
        None => groups,
        Some(least) => {
            let rank = |row: u32| Rank { order, row, keys: rows.keys(row as usize), uid: entries[row as usize].uid };
            let made = split(&Groups::of(&groups), &SplitOptions::new(1.0 - least), rank, &apart);
            let parts = DisjointSet::<u32>::new(rows.len()).map_err(|e| SelectError::stage(stage, e))?;
            for (row, &label) in made.labels.iter().enumerate() {
                parts.union(row as u32, label);
            }
            said.insert("to_best".into(), json!({ "at_least": least, "groups_cut": made.split, "rows_left_alone": made.alone }));
            parts
        }
    };
    let options = StretchOptions { all_pairs: ALL_PAIRS, bridge_members: BRIDGE_MEMBERS, ..StretchOptions::new(1.0 - alike) };
    let mut found = stretched(&Groups::of(&groups), &options, &apart);
    let count = found.len();
    found.sort_by(|a, b| b.members.cmp(&a.members).then(a.group.cmp(&b.group)));
    let uid = |row: u32| format!("{:032x}", entries[row as usize].uid);
    let bridges: Vec<Value> = found
        .iter()
        .take(NAMED)
        .map(|group| {
            json!({
                "dup_group": uid(group.group),
                "members": group.members,
                "ends": [uid(group.ends.0), uid(group.ends.1)],
                "ends_similarity": 1.0 - group.distance,
                "bridge": group.bridge.map(|bridge| [uid(bridge.a), uid(bridge.b)]),
            })
        })
        .collect();
    said.insert("stretched_groups".into(), count.into());
    said.insert("bridges".into(), bridges.into());
    Ok((groups, said))
}
