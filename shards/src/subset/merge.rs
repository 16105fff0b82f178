//! Subsets made of subsets.

use super::file::Counted;
use super::writer::write_sorted;
use super::{Subset, SubsetError, Uid128};
use crate::storage::{Storage, Written};

/// How several subsets become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperation {
    /// What any of them has, as often as the one that has it most often.
    Union,
    /// What all of them have, as often as the one that has it least often.
    Intersection,
    /// What the first has and none of the others, as often as the first has it.
    Difference,
    /// What any of them has, as often as all of them together: the files one after the other.
    Sum,
}

/// Merges subsets into a new file. Nothing is held in memory: all files are walked in order, once to count and once to
/// write. No subset gives an empty file.
///
/// # Errors
/// When the store refuses; nothing is visible then.
pub async fn merge(operation: SetOperation, subsets: &[&Subset], storage: &Storage, name: &str) -> Result<Written, SubsetError> {
    let rows = Merged::new(operation, subsets).map(|(_, copies)| u64::from(copies)).sum();
    let mut merged = Merged::new(operation, subsets);
    let mut open: Option<(Uid128, u32)> = None;
    write_sorted(storage, name, rows, || {
        loop {
            match &mut open {
                Some((uid, left)) if *left > 0 => {
                    *left -= 1;
                    return Ok(Some(*uid));
                }
                _ => match merged.next() {
                    Some(next) => open = Some(next),
                    None => return Ok(None),
                },
            }
        }
    })
    .await
}

/// The merged uids in order.
struct Merged<'a> {
    operation: SetOperation,
    inputs: Vec<std::iter::Peekable<Counted<'a>>>,
}

impl<'a> Merged<'a> {
    fn new(operation: SetOperation, subsets: &[&'a Subset]) -> Self {
        Self { operation, inputs: subsets.iter().map(|subset| subset.counted().peekable()).collect() }
    }
}

impl Iterator for Merged<'_> {
    type Item = (Uid128, u32);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let least = self.inputs.iter_mut().filter_map(|input| input.peek().map(|(uid, _)| *uid)).min()?;
            let counts: Vec<u32> =
                self.inputs.iter_mut().map(|input| input.next_if(|(uid, _)| *uid == least).map_or(0, |(_, copies)| copies)).collect();
            let copies = match self.operation {
                SetOperation::Union => counts.iter().copied().max().unwrap_or(0),
                SetOperation::Intersection => counts.iter().copied().min().unwrap_or(0),
                SetOperation::Difference if counts[1..].iter().all(|&copies| copies == 0) => counts[0],
                SetOperation::Difference => 0,
                SetOperation::Sum => counts.iter().fold(0, |sum: u32, &copies| sum.saturating_add(copies)),
            };
            if copies > 0 {
                return Some((least, copies));
            }
        }
    }
}
