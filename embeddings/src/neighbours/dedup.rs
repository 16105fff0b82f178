//! Near-duplicates by vectors, as DINOv2 finds them.

use std::ops::ControlFlow;

use super::vectors::Joined;
use super::{Components, Edge, Floor, NeighbourError, NeighbourOptions, NeighbourReport, Vectors, neighbours};

/// DINOv2's self-dedup (arXiv 2304.07193, appendix A): the 64 nearest by SSCD vectors, edges above 0.6.
pub fn dinov2_self() -> NeighbourOptions {
    NeighbourOptions::new(64, Floor::Above(0.6))
}

/// DINOv2's relative dedup (arXiv 2304.07193, appendix A): the 64 nearest by SSCD vectors, edges above 0.45.
pub fn dinov2_relative() -> NeighbourOptions {
    NeighbourOptions::new(64, Floor::Above(0.45))
}

/// Groups of near-duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// The group of each row: its smallest row. A row without near-duplicates, or without a vector, is its own group.
    /// Which row of a group is kept is the caller's choice.
    pub groups: Vec<u32>,
    /// How the search went.
    pub report: NeighbourReport,
}

impl Groups {
    /// Groups of more than one row.
    pub fn shared(&self) -> usize {
        let mut shared: Vec<u32> =
            self.groups.iter().enumerate().filter(|&(row, &group)| row as u32 != group).map(|(_, &group)| group).collect();
        shared.sort_unstable();
        shared.dedup();
        shared.len()
    }

    /// Rows that go when one of each group is kept.
    pub fn surplus(&self) -> usize {
        self.groups.iter().enumerate().filter(|&(row, &group)| row as u32 != group).count()
    }
}

/// Groups rows by the connected components of their neighbours: chains join what is not similar itself.
///
/// `each` sees every edge, to store or count pairs.
///
/// # Errors
/// As [`neighbours`].
pub fn self_dedup(vectors: &Vectors<'_>, options: &NeighbourOptions, mut each: impl FnMut(Edge)) -> Result<Groups, NeighbourError> {
    let mut components = None;
    let rows = vectors.source.len();
    let report = neighbours(vectors, None, options, |edges| {
        let components = components.get_or_insert_with(|| Components::new(rows));
        for &edge in edges {
            components.join(edge.row, edge.neighbour);
            each(edge);
        }
        ControlFlow::Continue(())
    })?;
    Ok(Groups { groups: components.unwrap_or_else(|| Components::new(rows)).groups(), report })
}

/// What a relative dedup takes out.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeDedup {
    /// For each row of the pool whether its component holds a reference row.
    pub discarded: Vec<bool>,
    /// The group of each row of the pool, then of each reference row: its smallest row, counted so.
    pub groups: Vec<u32>,
    /// For each row of the pool its nearest reference row and their cosine, where it reaches the floor; a discarded row
    /// without one is joined to a reference by other rows.
    pub nearest: Vec<Option<(u32, f32)>>,
    /// How the search of pool and references among themselves went.
    pub report: NeighbourReport,
    /// How the search of the pool among the references went.
    pub reference_report: NeighbourReport,
}

/// Finds the rows of a pool whose connected component, over the pool and the references together, holds a reference row
/// (DINOv2 discards such components whole).
///
/// Edges are the neighbours of all rows among all rows, and beside them the nearest reference of every row, so that `k`
/// near-duplicates in the pool never hide a reference.
///
/// # Errors
/// As [`neighbours`]; the sizes of pool and references are summed.
pub fn relative_dedup(pool: &Vectors<'_>, references: &Vectors<'_>, options: &NeighbourOptions) -> Result<RelativeDedup, NeighbourError> {
    pool.check(references)?;
    let (count, all) = (pool.source.len(), pool.source.len() + references.source.len());
    if all >= u32::MAX as usize {
        return Err(NeighbourError::TooManyRows(all));
    }
    let both = Joined(pool.source, references.source);
    let mut components = Components::new(all);
    let report = neighbours(&Vectors::new(&both, pool.model), None, options, |edges| {
        edges.iter().for_each(|edge| components.join(edge.row, edge.neighbour));
        ControlFlow::Continue(())
    })?;
    let mut nearest = vec![None; count];
    let settings = NeighbourOptions { k: 1, ..*options };
    let reference_report = neighbours(pool, Some(references), &settings, |edges| {
        for edge in edges {
            nearest[edge.row as usize] = Some((edge.neighbour, edge.similarity));
            components.join(edge.row, count as u32 + edge.neighbour);
        }
        ControlFlow::Continue(())
    })?;
    let groups = components.groups();
    let mut held = vec![false; all];
    groups[count..].iter().for_each(|&group| held[group as usize] = true);
    let discarded = groups[..count].iter().map(|&group| held[group as usize]).collect();
    Ok(RelativeDedup { discarded, groups, nearest, report, reference_report })
}
