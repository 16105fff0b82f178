//! Balanced sampling over a hierarchy of clusters (arXiv 2405.15613): the target is shared out from the top down, evenly at every level.

use std::collections::BinaryHeap;

use super::alloc::{Pick, Take, water_fill};
use super::draw::Draw;

/// What can be wrong with a hierarchy or its rows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HierarchyError {
    /// A cluster names a parent that is not there.
    #[error("level {level}: cluster {cluster} has the parent {parent}, but level {} has {parents} clusters", level + 1)]
    Parent {
        /// The cluster's level, 1 at the bottom.
        level: usize,
        /// The cluster.
        cluster: usize,
        /// Its parent.
        parent: u32,
        /// Clusters of the level above.
        parents: usize,
    },
    /// A row names a cluster that is not there.
    #[error("row {row} is in cluster {cluster}, but level 1 has {clusters} clusters")]
    Cluster {
        /// Index in the slice that was given.
        row: usize,
        /// The cluster that it names.
        cluster: u32,
        /// Clusters of level 1.
        clusters: usize,
    },
    /// Slices that describe the same things differ in length.
    #[error("{given} {what}, but {wanted} are wanted")]
    Lengths {
        /// What is counted.
        what: &'static str,
        /// How many are there.
        given: usize,
        /// How many should be.
        wanted: usize,
    },
    /// The rows that were offered are not those that were counted.
    #[error("cluster {cluster}: {counted} rows were counted, and {offered} offered")]
    Recount {
        /// The cluster of level 1.
        cluster: usize,
        /// Rows counted in the first pass.
        counted: u64,
        /// Rows offered in the second.
        offered: u64,
    },
}

/// A tree of clusters: rows are in clusters of level 1, these in clusters of level 2, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    clusters: usize,
    /// `parents[l][j]` is the cluster of level l + 2 that holds cluster j of level l + 1.
    parents: Vec<Vec<u32>>,
    /// Clusters of the top level.
    top: usize,
}

impl Hierarchy {
    /// A tree with `clusters` clusters at level 1 and, for each further level, the parents of the clusters below: `parents[0][j]`
    /// is the cluster of level 2 of cluster j of level 1. `top` is the number of clusters of the top level. No parents: one level.
    pub fn new(clusters: usize, parents: Vec<Vec<u32>>, top: usize) -> Result<Self, HierarchyError> {
        let mut below = clusters;
        for (i, level) in parents.iter().enumerate() {
            if level.len() != below {
                return Err(HierarchyError::Lengths { what: "parents of a level's clusters", given: level.len(), wanted: below });
            }
            below = parents.get(i + 1).map_or(top, Vec::len);
            if let Some((cluster, parent)) = level.iter().enumerate().find(|(_, parent)| **parent as usize >= below) {
                return Err(HierarchyError::Parent { level: i + 1, cluster, parent: *parent, parents: below });
            }
        }
        if parents.is_empty() && top != clusters {
            return Err(HierarchyError::Lengths { what: "clusters at the top of one level", given: top, wanted: clusters });
        }
        Ok(Self { clusters, parents, top })
    }

    /// Clusters of level 1.
    pub fn clusters(&self) -> usize {
        self.clusters
    }

    /// Adds rows to the sizes of their clusters of level 1: the first pass. Sizes of shards add up.
    pub fn count(&self, rows: &[u32], sizes: &mut Vec<u64>) -> Result<(), HierarchyError> {
        sizes.resize(self.clusters, 0);
        for (row, cluster) in rows.iter().enumerate() {
            match sizes.get_mut(*cluster as usize) {
                Some(size) => *size += 1,
                None => return Err(HierarchyError::Cluster { row, cluster: *cluster, clusters: self.clusters }),
            }
        }
        Ok(())
    }

    /// How many rows each cluster of level 1 gives, so that `target` rows are taken in all, or every row `mult` times if those are fewer.
    ///
    /// Each level shares its part out by [`water_fill`] over the rows below each child; the odd rows go to the children with the smallest
    /// draw of (level, cluster).
    pub fn allocate(&self, sizes: &[u64], target: u64, mult: u32, draw: &Draw) -> Result<Vec<u64>, HierarchyError> {
        if sizes.len() != self.clusters {
            return Err(HierarchyError::Lengths { what: "cluster sizes", given: sizes.len(), wanted: self.clusters });
        }
        // Rows below each cluster, level by level.
        let mut rows_below = vec![sizes.to_vec()];
        for (i, level) in self.parents.iter().enumerate() {
            let clusters = self.parents.get(i + 1).map_or(self.top, Vec::len);
            let mut sums = vec![0; clusters];
            level.iter().zip(&rows_below[i]).for_each(|(parent, rows)| sums[*parent as usize] += rows);
            rows_below.push(sums);
        }
        let tie = |level: usize, cluster: usize| draw.row(cluster as u128).bits(level as u64);
        let top = self.parents.len();
        let mut targets = water_fill(&rows_below[top], target, mult, |i| tie(top, i));
        for level in (0..top).rev() {
            let parents = &self.parents[level];
            // Children grouped by their parent, by counting.
            let mut ends = vec![0usize; rows_below[level + 1].len() + 1];
            parents.iter().for_each(|parent| ends[*parent as usize + 1] += 1);
            for i in 1..ends.len() {
                ends[i] += ends[i - 1];
            }
            let mut children = vec![0usize; parents.len()];
            let mut next = ends.clone();
            for (child, parent) in parents.iter().enumerate() {
                children[next[*parent as usize]] = child;
                next[*parent as usize] += 1;
            }
            let mut below = vec![0; parents.len()];
            for (parent, target) in targets.iter().enumerate() {
                let children = &children[ends[parent]..ends[parent + 1]];
                let sizes: Vec<u64> = children.iter().map(|child| rows_below[level][*child]).collect();
                let shares = water_fill(&sizes, *target, mult, |i| tie(level, children[i]));
                children.iter().zip(shares).for_each(|(child, share)| below[*child] = share);
            }
            targets = below;
        }
        Ok(targets)
    }
}

/// The second pass: sees every row once and remembers, per cluster, the rows that get one copy more.
///
/// Memory: 32 bytes for each such row, fewer than the target; nothing for the others. Parts that saw different rows merge.
#[derive(Clone, Debug)]
pub struct ClusterSampler {
    takes: Vec<Take>,
    sizes: Vec<u64>,
    seen: Vec<u64>,
    /// The smallest keys so far, the largest of them on top.
    first: Vec<BinaryHeap<(u64, u128)>>,
}

impl ClusterSampler {
    /// `sizes` and `targets` per cluster of level 1, as [`Hierarchy::count`] and [`Hierarchy::allocate`] give them.
    pub fn new(sizes: &[u64], targets: &[u64], mult: u32) -> Result<Self, HierarchyError> {
        if sizes.len() != targets.len() {
            return Err(HierarchyError::Lengths { what: "targets", given: targets.len(), wanted: sizes.len() });
        }
        Ok(Self {
            takes: sizes.iter().zip(targets).map(|(size, target)| Take::of(*size, *target, mult)).collect(),
            sizes: sizes.to_vec(),
            seen: vec![0; sizes.len()],
            first: vec![BinaryHeap::new(); sizes.len()],
        })
    }

    /// Shows rows: their clusters, the keys that [`Pick::key`] gives, and their uids, which must be distinct.
    pub fn offer(&mut self, clusters: &[u32], keys: &[u64], uids: &[u128]) -> Result<(), HierarchyError> {
        lined_up(clusters, keys, uids)?;
        for (row, cluster) in clusters.iter().enumerate() {
            let at = *cluster as usize;
            let Some(take) = self.takes.get(at) else {
                return Err(HierarchyError::Cluster { row, cluster: *cluster, clusters: self.takes.len() });
            };
            self.seen[at] += 1;
            push(&mut self.first[at], take.more, (keys[row], uids[row]));
        }
        Ok(())
    }

    /// Adds what another part saw.
    pub fn merge(&mut self, other: Self) -> Result<(), HierarchyError> {
        if self.takes != other.takes {
            return Err(HierarchyError::Lengths { what: "clusters of the other part", given: other.takes.len(), wanted: self.takes.len() });
        }
        for (at, heap) in other.first.into_iter().enumerate() {
            self.seen[at] += other.seen[at];
            heap.into_iter().for_each(|row| push(&mut self.first[at], self.takes[at].more, row));
        }
        Ok(())
    }

    /// What every row's copies are read from. Fails if the rows offered are not as many as were counted.
    pub fn finish(self) -> Result<ClusterCuts, HierarchyError> {
        let wrong = (0..self.sizes.len()).find(|i| self.takes[*i].more > 0 && self.seen[*i] != self.sizes[*i]);
        if let Some(cluster) = wrong {
            return Err(HierarchyError::Recount { cluster, counted: self.sizes[cluster], offered: self.seen[cluster] });
        }
        let cuts = self.takes.into_iter().zip(&self.first).map(|(take, heap)| (take.each, heap.peek().copied())).collect();
        Ok(ClusterCuts { cuts })
    }
}

fn push(heap: &mut BinaryHeap<(u64, u128)>, most: u64, row: (u64, u128)) {
    if (heap.len() as u64) < most {
        heap.push(row);
    } else if let Some(mut last) = heap.peek_mut()
        && row < *last
    {
        *last = row;
    }
}

/// The copies of any row, after both passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterCuts {
    /// Copies of each row, and the last (key, uid) that gets one more.
    cuts: Vec<(u64, Option<(u64, u128)>)>,
}

impl ClusterCuts {
    /// Copies of a row; 0 for a cluster that is not there.
    pub fn copies(&self, cluster: u32, key: u64, uid: u128) -> u64 {
        let Some((each, last)) = self.cuts.get(cluster as usize) else { return 0 };
        each + u64::from(last.is_some_and(|last| (key, uid) <= last))
    }
}

fn lined_up(clusters: &[u32], keys: &[u64], uids: &[u128]) -> Result<(), HierarchyError> {
    for (what, given) in [("keys", keys.len()), ("uids", uids.len())] {
        if given != clusters.len() {
            return Err(HierarchyError::Lengths { what, given, wanted: clusters.len() });
        }
    }
    Ok(())
}

/// Copies of each row so that `target` are taken in all: both passes over slices.
///
/// `clusters` is each row's cluster of level 1, `distances` the distance to its centroid (for [`Pick::Closest`]; taken as equal where missing).
/// The draws are those of `draw`, which should be of a stage of its own. Uids must be distinct.
///
/// ```
/// use trommel_filters::balance::{Draw, alloc::Pick, hierarchy::{Hierarchy, Rows, sample}};
///
/// // Three clusters; the first two are one cluster of level 2.
/// let tree = Hierarchy::new(3, vec![vec![0, 0, 1]], 2)?;
/// let clusters: Vec<u32> = [0; 90].into_iter().chain([1; 5]).chain([2; 30]).collect();
/// let uids: Vec<u128> = (0..125).collect();
/// let rows = Rows { clusters: &clusters, uids: &uids, distances: None };
/// let copies = sample(&tree, rows, 40, 1, Pick::Random, &Draw::new(0, "hierarchy"))?;
/// let of = |cluster| copies.iter().zip(&clusters).filter(|(_, c)| **c == cluster).map(|(n, _)| n).sum::<u64>();
/// assert_eq!([of(0), of(1), of(2)], [15, 5, 20]);
/// # Ok::<(), trommel_filters::balance::hierarchy::HierarchyError>(())
/// ```
pub fn sample(tree: &Hierarchy, rows: Rows<'_>, target: u64, mult: u32, pick: Pick, draw: &Draw) -> Result<Vec<u64>, HierarchyError> {
    let Rows { clusters, uids, distances } = rows;
    if let Some(distances) = distances.filter(|d| d.len() != uids.len()) {
        return Err(HierarchyError::Lengths { what: "distances", given: distances.len(), wanted: uids.len() });
    }
    let mut sizes = Vec::new();
    tree.count(clusters, &mut sizes)?;
    let targets = tree.allocate(&sizes, target, mult, draw)?;
    let mut sampler = ClusterSampler::new(&sizes, &targets, mult)?;
    let keys: Vec<u64> = uids.iter().enumerate().map(|(i, uid)| pick.key(draw.row(*uid), distances.map_or(0.0, |d| d[i]))).collect();
    sampler.offer(clusters, &keys, uids)?;
    let cuts = sampler.finish()?;
    Ok(clusters.iter().zip(keys).zip(uids).map(|((cluster, key), uid)| cuts.copies(*cluster, key, *uid)).collect())
}

/// The columns that [`sample`] reads, one entry per row each.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Cluster of level 1.
    pub clusters: &'a [u32],
    /// Identity; distinct.
    pub uids: &'a [u128],
    /// Distance to the cluster's centroid.
    pub distances: Option<&'a [f32]>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::balance::alloc::sample_cluster;

    #[test]
    fn trees_and_rows_that_do_not_fit_are_errors() {
        let error = |clusters, parents, top| Hierarchy::new(clusters, parents, top).unwrap_err().to_string();
        assert_eq!(error(2, vec![vec![0, 5]], 2), "level 1: cluster 1 has the parent 5, but level 2 has 2 clusters");
        assert_eq!(error(3, vec![vec![0, 1]], 2), "2 parents of a level's clusters, but 3 are wanted");
        assert_eq!(error(3, vec![], 2), "2 clusters at the top of one level, but 3 are wanted");
        let tree = Hierarchy::new(2, vec![], 2).unwrap();
        let error = tree.count(&[0, 2], &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "row 1 is in cluster 2, but level 1 has 2 clusters");
        let mut sampler = ClusterSampler::new(&[3, 1], &[2, 1], 1).unwrap();
        sampler.offer(&[0, 0], &[1, 2], &[1, 2]).unwrap();
        assert_eq!(sampler.finish().unwrap_err(), HierarchyError::Recount { cluster: 0, counted: 3, offered: 2 });
    }

    /// A tree of three levels with rows in its clusters.
    fn any_case() -> impl Strategy<Value = (Hierarchy, Vec<u32>)> {
        (1usize..8, 1usize..5, 1usize..4).prop_flat_map(|(one, two, three)| {
            let parents = (prop::collection::vec(0..two as u32, one), prop::collection::vec(0..three as u32, two));
            (parents, prop::collection::vec(0..one as u32, 0..80))
                .prop_map(move |((a, b), rows)| (Hierarchy::new(one, vec![a, b], three).unwrap(), rows))
        })
    }

    proptest! {
        #[test]
        fn the_target_is_met_and_order_and_parts_change_nothing((tree, clusters) in any_case(), target in 0u64..120, mult in 1u32..3) {
            let draw = Draw::new(2, "hierarchy");
            let uids: Vec<u128> = (0..clusters.len() as u128).map(|i| i * 77).collect();
            let distances: Vec<f32> = uids.iter().map(|uid| draw.uniform(*uid, 9) as f32).collect();
            for pick in [Pick::Random, Pick::Closest] {
                let rows = Rows { clusters: &clusters, uids: &uids, distances: Some(&distances) };
                let copies = sample(&tree, rows, target, mult, pick, &draw).unwrap();
                let all = clusters.len() as u64 * u64::from(mult);
                prop_assert_eq!(copies.iter().sum::<u64>(), target.min(all));

                // Cluster by cluster, the plain way.
                let mut sizes = Vec::new();
                tree.count(&clusters, &mut sizes).unwrap();
                let targets = tree.allocate(&sizes, target, mult, &draw).unwrap();
                for (cluster, target) in targets.iter().enumerate() {
                    let members: Vec<usize> = (0..clusters.len()).filter(|i| clusters[*i] as usize == cluster).collect();
                    let uids: Vec<u128> = members.iter().map(|i| uids[*i]).collect();
                    let distances: Vec<f32> = members.iter().map(|i| distances[*i]).collect();
                    let plain = sample_cluster(&draw, &uids, Some(&distances), *target, mult, pick);
                    prop_assert_eq!(plain, members.iter().map(|i| copies[*i]).collect::<Vec<_>>());
                }

                // Two parts, the second first.
                let keys: Vec<u64> = uids.iter().zip(&distances).map(|(uid, d)| pick.key(draw.row(*uid), *d)).collect();
                let half = clusters.len() / 2;
                let mut parts = [half..clusters.len(), 0..half].map(|range| {
                    let mut part = ClusterSampler::new(&sizes, &targets, mult).unwrap();
                    part.offer(&clusters[range.clone()], &keys[range.clone()], &uids[range]).unwrap();
                    part
                }).into_iter();
                let mut sampler = parts.next().unwrap();
                sampler.merge(parts.next().unwrap()).unwrap();
                let cuts = sampler.finish().unwrap();
                for i in 0..clusters.len() {
                    prop_assert_eq!(cuts.copies(clusters[i], keys[i], uids[i]), copies[i]);
                }
            }
        }
    }
}
