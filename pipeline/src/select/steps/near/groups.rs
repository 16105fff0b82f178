//! From groups of near-duplicates to fates of rows: who stays, who goes for whom, and the table that says so.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde_json::{Value, json};
use trommel_filters::near::best::{Candidate, Order};
use trommel_filters::near::components::{DisjointSet, Groups};
use trommel_shards::storage::Storage;
use trommel_shards::table::{ROW_GROUP_ROWS, TableWriter};

use crate::select::error::{Result, SelectError};
use crate::select::ordered::Ordered;
use crate::select::scan::{Judging, Label, Step};

/// Groups that the report names, the largest first.
const NAMED: usize = 24;
/// Members of a group that the report names.
const MEMBERS_NAMED: usize = 12;

/// What became of a row of a group.
#[derive(Debug, Clone, Copy)]
struct Fate {
    row: u32,
    /// The smallest uid of the group.
    group: u128,
    /// The uid of the row that stays.
    kept: u128,
    stays: bool,
}

/// Keeps the best row of each group.
pub(in crate::select) struct NearStep {
    /// By piece; rows in order. Rows that are alone are not there.
    fates: HashMap<u32, Vec<Fate>>,
    reason: Arc<str>,
    /// Only name the groups.
    keeps_all: bool,
}

/// The columns of the table of groups.
///
/// | column | meaning |
/// |---|---|
/// | dup_group | the smallest uid of the group |
/// | uid | a row of it |
/// | kept | whether it stays |
/// | members | rows of the group |
/// | similarity | to the row that stays, 0 to 1; null where it was not compared |
fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("dup_group", DataType::Utf8, false),
        Field::new("uid", DataType::Utf8, false),
        Field::new("kept", DataType::Boolean, false),
        Field::new("members", DataType::UInt32, false),
        Field::new("similarity", DataType::Float32, true),
    ]))
}

/// Writes a table of groups, batch by batch.
struct Table {
    writer: TableWriter,
    schema: SchemaRef,
    groups: Vec<String>,
    uids: Vec<String>,
    kept: Vec<bool>,
    members: Vec<u32>,
    similarity: Vec<Option<f32>>,
}

impl Table {
    fn create(storage: &Storage, name: &str) -> Result<Self> {
        let schema = schema();
        let writer = tokio::runtime::Handle::current().block_on(TableWriter::create(storage, name, Arc::clone(&schema), ROW_GROUP_ROWS))?;
        let (groups, uids, kept, members, similarity) = Default::default();
        Ok(Self { writer, schema, groups, uids, kept, members, similarity })
    }

    fn flush(&mut self) -> Result<()> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(std::mem::take(&mut self.groups))),
            Arc::new(StringArray::from(std::mem::take(&mut self.uids))),
            Arc::new(BooleanArray::from(std::mem::take(&mut self.kept))),
            Arc::new(UInt32Array::from(std::mem::take(&mut self.members))),
            Arc::new(Float32Array::from(std::mem::take(&mut self.similarity))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| SelectError::file("groups", e))?;
        Ok(tokio::runtime::Handle::current().block_on(self.writer.write(&batch))?)
    }

    fn finish(mut self) -> Result<()> {
        self.flush()?;
        tokio::runtime::Handle::current().block_on(self.writer.finish())?;
        Ok(())
    }
}

/// What decides over groups: the rows, the numbers that say which is best, and how alike two of them are.
pub(super) struct Deciding<'a> {
    pub(super) rows: &'a Ordered,
    pub(super) order: Order,
    /// The numbers of a row by which it is compared.
    pub(super) keys: &'a dyn Fn(usize) -> Vec<f64>,
    /// How alike two rows are, 0 to 1, where that can be said.
    pub(super) similarity: &'a dyn Fn(usize, usize) -> Option<f32>,
    /// Where the table goes.
    pub(super) table: Option<(&'a Storage, String)>,
    pub(super) keeps_all: bool,
    pub(super) reason: String,
}

impl NearStep {
    /// From the groups of all rows. Also the report's part.
    pub(super) fn of_groups(stage: &str, groups: &DisjointSet<u32>, deciding: Deciding<'_>) -> Result<(Self, Value)> {
        let fail = |e: &dyn std::fmt::Display| SelectError::stage(stage, e);
        let groups = Groups::of(groups);
        let entries = deciding.rows.entries();
        let mut table = deciding.table.as_ref().map(|(storage, name)| Table::create(storage, name)).transpose()?;
        let mut fates: HashMap<u32, Vec<Fate>> = HashMap::new();
        let mut named: Vec<(usize, Value)> = Vec::new();
        let (mut count, mut surplus) = (0_u64, 0_u64);
        let uid_text = |row: usize| format!("{:032x}", entries[row].uid);
        for members in groups.iter() {
            let keys: Vec<Vec<f64>> = members.iter().map(|&row| (deciding.keys)(row as usize)).collect();
            let candidate = |at: usize| Candidate { row: u64::from(members[at]), keys: &keys[at], uid: entries[members[at] as usize].uid };
            let best = (1..members.len())
                .fold(0, |best, at| if deciding.order.compare(&candidate(at), &candidate(best)).is_lt() { at } else { best });
            let kept = members[best] as usize;
            let (group, kept_uid) = (entries[members[0] as usize].uid, entries[kept].uid);
            count += 1;
            surplus += members.len() as u64 - 1;
            let likeness = |row: u32| if row as usize == kept { Some(1.0) } else { (deciding.similarity)(row as usize, kept) };
            for &row in members {
                let entry = &entries[row as usize];
                fates.entry(entry.piece).or_default().push(Fate { row: entry.row, group, kept: kept_uid, stays: row as usize == kept });
                if let Some(table) = &mut table {
                    table.groups.push(format!("{group:032x}"));
                    table.uids.push(uid_text(row as usize));
                    table.kept.push(row as usize == kept);
                    table.members.push(members.len() as u32);
                    table.similarity.push(likeness(row));
                    if table.uids.len() >= ROW_GROUP_ROWS {
                        table.flush()?;
                    }
                }
            }
            // The largest groups are shown; of equal ones the first.
            if named.len() < NAMED || named.last().is_some_and(|(size, _)| *size < members.len()) {
                let others = members.iter().filter(|&&row| row as usize != kept).take(MEMBERS_NAMED);
                let others: Vec<Value> = others.map(|&row| json!({ "uid": uid_text(row as usize), "similarity": likeness(row) })).collect();
                let at = named.partition_point(|(size, _)| *size >= members.len());
                named.insert(at, (members.len(), json!({ "kept": uid_text(kept), "members": members.len(), "others": others })));
                named.truncate(NAMED);
            }
        }
        if let Some(table) = table {
            table.finish().map_err(|e| fail(&e))?;
        }
        fates.values_mut().for_each(|rows| rows.sort_unstable_by_key(|fate| fate.row));
        let sizes: Vec<Value> = groups.sizes().into_iter().map(|(size, groups)| json!({ "members": size, "groups": groups })).collect();
        let report = json!({
            "rows": entries.len(),
            "groups": count,
            "duplicates": surplus,
            "sizes": sizes,
            "largest": named.into_iter().map(|(_, group)| group).collect::<Vec<_>>(),
        });
        Ok((Self { fates, reason: deciding.reason.into(), keeps_all: deciding.keeps_all }, report))
    }

    fn fates(&self, piece: usize) -> &[Fate] {
        self.fates.get(&(piece as u32)).map_or(&[], Vec::as_slice)
    }
}

impl Step for NearStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        if self.keeps_all {
            return Ok(());
        }
        let fates = self.fates(rows.piece);
        let (from, to) = (rows.first as u32, (rows.first + rows.batch.num_rows()) as u32);
        let start = fates.partition_point(|fate| fate.row < from);
        for fate in fates[start..].iter().take_while(|fate| fate.row < to).filter(|fate| !fate.stays) {
            rows.exclude((fate.row - from) as usize, &self.reason, Some(format!("{:032x}", fate.kept)));
        }
        Ok(())
    }
}

impl Label for NearStep {
    fn of(&self, piece: usize, row: usize) -> Option<u128> {
        let fates = self.fates(piece);
        let at = fates.binary_search_by_key(&(row as u32), |fate| fate.row).ok()?;
        Some(fates[at].group)
    }
}
