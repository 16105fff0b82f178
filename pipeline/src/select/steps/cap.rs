//! `cap`: at most so many rows of a group, and `keep top` inside groups.

use std::sync::Arc;

use arrow::array::Array;
use trommel_filters::balance::Draw;
use xxhash_rust::xxh3::xxh3_128;

use super::top::Share;
use crate::select::error::Result;
use crate::select::expression::Expression;
use crate::select::grouped::{Buckets, Drops, Gather, Member};
use crate::select::order::key_of;
use crate::select::scan::{Fit, Judging, Step};

/// What groups are made of, and who comes first in one.
pub(in crate::select) struct Grouping {
    pub(in crate::select) by: Vec<Expression>,
    /// The highest value first; without it, the smallest draw.
    pub(in crate::select) order: Option<(Expression, bool)>,
    pub(in crate::select) draw: Draw,
}

impl Grouping {
    pub(in crate::select) fn columns(&self) -> Vec<String> {
        self.by.iter().chain(self.order.iter().map(|(order, _)| order)).flat_map(|expression| expression.columns().to_vec()).collect()
    }
}

/// Spills the rows that are in by their group.
pub(in crate::select) struct GroupFit<'a> {
    grouping: &'a Grouping,
    gather: Gather<'a>,
}

impl<'a> GroupFit<'a> {
    pub(in crate::select) fn new(grouping: &'a Grouping, buckets: &'a Buckets) -> Self {
        Self { grouping, gather: buckets.gather() }
    }

    pub(in crate::select) fn finish(self) -> Result<()> {
        self.gather.finish()
    }
}

/// The order of rows without a value: behind all others.
const LAST: u64 = u64::MAX;

impl Fit for GroupFit<'_> {
    fn see(&mut self, rows: &Judging<'_>) -> Result<()> {
        let keys = self.grouping.by.iter().map(|by| by.texts(rows.batch)).collect::<Result<Vec<_>>>()?;
        let order = self
            .grouping
            .order
            .as_ref()
            .map(|(by, lowest)| Ok::<_, crate::select::SelectError>((by.numbers(rows.batch)?, *lowest)))
            .transpose()?;
        let mut buffer = Vec::with_capacity(256);
        for row in rows.living() {
            buffer.clear();
            for key in &keys {
                // Null is a group of its own, and no text can pass for it.
                match key.is_valid(row) {
                    true => {
                        buffer.extend((key.value(row).len() as u64).to_le_bytes());
                        buffer.extend(key.value(row).as_bytes());
                    }
                    false => buffer.extend(u64::MAX.to_le_bytes()),
                }
            }
            let draw = self.grouping.draw.row(rows.uid(row)?).bits(0);
            let order = match &order {
                None => draw,
                Some((values, lowest)) => match values.is_valid(row).then(|| key_of(values.value(row))).flatten() {
                    Some(key) => if *lowest { key } else { !key }.min(LAST - 1),
                    None => LAST,
                },
            };
            let (piece, row) = (rows.piece as u32, (rows.first + row) as u32);
            self.gather.push(&Member { group: xxh3_128(&buffer), order, tie: draw, piece, row, extra: 0 })?;
        }
        Ok(())
    }
}

/// At most `count` rows of each group. The value of a row that is out is its place in the group, from 1.
pub(in crate::select) fn cap(buckets: Buckets, threads: usize, count: u64) -> Result<Drops> {
    buckets.choose(threads, |group, out| {
        let over = group.iter().enumerate().skip(usize::try_from(count).unwrap_or(usize::MAX));
        out.extend(over.map(|(place, member)| Member { extra: place as u64 + 1, ..*member }));
    })
}

/// The best of each group: rows below the value that the share names inside the group, and those without a value unless
/// they are asked for.
pub(in crate::select) fn top_in_groups(buckets: Buckets, threads: usize, share: Share, keep_nulls: bool) -> Result<Drops> {
    buckets.choose(threads, |group, out| {
        let with = group.iter().take_while(|member| member.order != LAST).count();
        let last = match share {
            Share::Fraction(0.0) | Share::Count(0) => None,
            _ => match share.rank(group.len() as u64) {
                Some(rank) => Some(group.get(rank as usize).map_or(LAST, |member| member.order)),
                None => Some(LAST),
            },
        };
        for (place, member) in group.iter().enumerate() {
            let kept = if place >= with { keep_nulls } else { last.is_some_and(|last| member.order <= last) };
            if !kept {
                out.push(Member { extra: place as u64 + 1, ..*member });
            }
        }
    })
}

/// Rows of a piece that are out, each with its place in its group.
type DropList = Arc<Vec<(u32, u64)>>;

/// Takes listed rows out.
pub(in crate::select) struct DropsStep {
    pub(in crate::select) drops: Drops,
    pub(in crate::select) reason: Arc<str>,
    pub(in crate::select) loaded: parking_lot::Mutex<Vec<(usize, DropList)>>,
}

impl DropsStep {
    pub(in crate::select) fn new(drops: Drops, reason: &str) -> Self {
        Self { drops, reason: reason.into(), loaded: parking_lot::Mutex::default() }
    }

    /// The list of a piece, read once: as many lists are held as there are threads.
    fn list(&self, piece: usize) -> Result<DropList> {
        let mut loaded = self.loaded.lock();
        if let Some((_, list)) = loaded.iter().find(|(of, _)| *of == piece) {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(self.drops.of(piece)?);
        // Pieces are taken in order: the oldest is done with.
        if loaded.len() >= 64 {
            loaded.remove(0);
        }
        loaded.push((piece, Arc::clone(&list)));
        Ok(list)
    }
}

impl Step for DropsStep {
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }

    fn judge(&self, rows: &mut Judging<'_>) -> Result<()> {
        let list = self.list(rows.piece)?;
        let (from, to) = (rows.first as u32, (rows.first + rows.batch.num_rows()) as u32);
        let start = list.partition_point(|(row, _)| *row < from);
        for &(row, place) in list[start..].iter().take_while(|(row, _)| *row < to) {
            rows.exclude((row - from) as usize, &self.reason, Some(place.to_string()));
        }
        Ok(())
    }
}
