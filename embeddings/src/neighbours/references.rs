//! The nearest reference of every row: decontamination, and subsets by queries.

use std::ops::ControlFlow;

use super::{Floor, NeighbourError, NeighbourOptions, NeighbourReport, Vectors, neighbours};

/// DataComp's floor for leaked evaluation pictures: the largest product of ISC descriptors (`isc_ft_v107`, 256 components)
/// of this or more (arXiv 2304.14108; the value from issue 70 of its repository).
pub const DATACOMP_FLOOR: f32 = 0.604_169;

/// DataComp's decontamination: the nearest reference, if its similarity is [`DATACOMP_FLOOR`] or more.
pub fn datacomp() -> NeighbourOptions {
    NeighbourOptions::new(1, Floor::AtLeast(DATACOMP_FLOOR))
}

/// A reference row and its similarity to the row that it is nearest to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reference {
    /// The reference row, or the query's number.
    pub row: u32,
    /// The cosine of both.
    pub similarity: f32,
}

/// The nearest reference of each row; `None` for a row without a vector, and where the floor of the options is not
/// reached. With [`Floor::None`] this is the column that DataComp calls `dedup-isc-ft-v107-score`.
///
/// Of the options `k` does not count.
///
/// # Errors
/// As [`neighbours`].
pub fn nearest_reference(
    vectors: &Vectors<'_>,
    references: &Vectors<'_>,
    options: &NeighbourOptions,
) -> Result<(Vec<Option<Reference>>, NeighbourReport), NeighbourError> {
    let mut nearest = vec![None; vectors.source.len()];
    let settings = NeighbourOptions { k: 1, ..*options };
    let report = neighbours(vectors, Some(references), &settings, |edges| {
        for edge in edges {
            nearest[edge.row as usize] = Some(Reference { row: edge.neighbour, similarity: edge.similarity });
        }
        ControlFlow::Continue(())
    })?;
    Ok((nearest, report))
}

/// A row that a query drew in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// The row.
    pub row: u32,
    /// The query that is most similar to it.
    pub query: u32,
    /// Their cosine.
    pub similarity: f32,
}

/// The rows whose best similarity to any query reaches a floor, with that query: subsets of a domain as RS5M made them
/// (arXiv 2306.11300), whose queries are texts and pictures. Text queries against picture vectors need a much lower floor
/// than picture queries, so ask with each kind on its own.
///
/// # Errors
/// As [`neighbours`]; a floor is needed.
pub fn query_subset(
    pool: &Vectors<'_>,
    queries: &Vectors<'_>,
    options: &NeighbourOptions,
) -> Result<(Vec<Drawn>, NeighbourReport), NeighbourError> {
    if options.floor == Floor::None {
        return Err(super::error::setting("similarity", "none", "a least similarity is needed"));
    }
    let mut drawn = Vec::new();
    let settings = NeighbourOptions { k: 1, ..*options };
    let report = neighbours(pool, Some(queries), &settings, |edges| {
        drawn.extend(edges.iter().map(|edge| Drawn { row: edge.row, query: edge.neighbour, similarity: edge.similarity }));
        ControlFlow::Continue(())
    })?;
    Ok((drawn, report))
}
