//! Splitting groups until their members are alike.

use super::groups::Groups;
use super::set::Row;

/// To whom a member must be alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linkage {
    /// To the head of its group: two members are at most twice the limit apart.
    #[default]
    Head,
    /// To every other member: the diameter of a group is at most the limit.
    Every,
}

/// How groups are split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitOptions {
    /// The largest distance allowed.
    pub limit: f32,
    /// Between whom.
    pub linkage: Linkage,
    /// At most so many groups are made of one; what is then left stands alone. It bounds the work on a group of n to n times this.
    pub max_parts: usize,
}

impl SplitOptions {
    /// Members within `limit` of their head, up to 4 096 parts of a group.
    pub fn new(limit: f32) -> Self {
        Self { limit, linkage: Linkage::Head, max_parts: 4096 }
    }
}

/// Groups after splitting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<R: Row = u32> {
    /// The group of every row: its smallest member.
    pub labels: Vec<R>,
    /// Groups of at least two rows with their heads, by group.
    pub heads: Vec<(R, R)>,
    /// Groups that were split.
    pub split: u64,
    /// Rows that were left alone by splitting.
    pub alone: u64,
    /// Rows among them that [`SplitOptions::max_parts`] left alone.
    pub over: u64,
}

/// Splits groups whose members are not alike enough: the best row that has no group yet becomes a head and takes every row within the limit.
///
/// `rank` orders rows, the best first (the smallest value); equal ranks go by row. Rows are taken in that order, so the result depends on the
/// groups, ranks and distances alone. Groups within the limit stay as they are.
pub fn split<R: Row, K: Ord>(
    groups: &Groups<R>,
    options: &SplitOptions,
    rank: impl Fn(R) -> K,
    distance: impl Fn(R, R) -> f32,
) -> Split<R> {
    let mut labels: Vec<R> = (0..groups.rows()).map(R::from_index).collect();
    let mut result = Split { labels: Vec::new(), heads: Vec::new(), split: 0, alone: 0, over: 0 };
    for members in groups.iter() {
        let mut left = members.to_vec();
        left.sort_by_cached_key(|row| (rank(*row), *row));
        let mut parts = 0;
        while !left.is_empty() && parts < options.max_parts {
            parts += 1;
            let mut part: Vec<R> = vec![left[0]];
            let mut rest = Vec::new();
            for row in left.drain(..).skip(1) {
                let fits = match options.linkage {
                    Linkage::Head => distance(part[0], row) <= options.limit,
                    Linkage::Every => part.iter().all(|member| distance(*member, row) <= options.limit),
                };
                if fits { part.push(row) } else { rest.push(row) }
            }
            left = rest;
            let head = part[0];
            let Some(label) = part.iter().min().copied() else { continue };
            part.iter().for_each(|row| labels[row.index()] = label);
            if part.len() > 1 {
                result.heads.push((label, head));
            } else {
                result.alone += 1;
            }
        }
        result.split += u64::from(parts > 1 || !left.is_empty());
        result.over += left.len() as u64;
        result.alone += left.len() as u64;
    }
    result.heads.sort_unstable();
    Split { labels, ..result }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near::components::DisjointSet;

    const AT: [f32; 6] = [0.0, 1.0, 2.0, 3.0, 50.0, 51.0];

    fn groups() -> Groups<u32> {
        let set = DisjointSet::new(6).unwrap();
        for (a, b) in [(0, 1), (1, 2), (2, 3), (4, 5)] {
            set.union(a, b);
        }
        Groups::of(&set)
    }

    fn apart(a: u32, b: u32) -> f32 {
        (AT[a as usize] - AT[b as usize]).abs()
    }

    #[test]
    fn members_stay_with_the_best_head_within_the_limit() {
        // The head is row 2, which has 1, 2 and 3; row 0 is left alone.
        let got = split(&groups(), &SplitOptions::new(1.0), |row| (row != 2) as u8, apart);
        assert_eq!(got, Split { labels: vec![0, 1, 1, 1, 4, 4], heads: vec![(1, 2), (4, 4)], split: 1, alone: 1, over: 0 });
        // By row, 0 takes 1 and 2 takes 3.
        let got = split(&groups(), &SplitOptions::new(1.0), |_| 0, apart);
        assert_eq!(got.labels, [0, 0, 2, 2, 4, 4]);
    }

    #[test]
    fn with_every_linkage_no_two_members_are_further_apart_than_the_limit() {
        let every = SplitOptions { linkage: Linkage::Every, ..SplitOptions::new(1.5) };
        assert_eq!(split(&groups(), &every, |row| (row != 2) as u8, apart).labels, [0, 1, 1, 3, 4, 4]);
    }

    #[test]
    fn groups_within_the_limit_stay_and_the_number_of_parts_is_bounded() {
        assert_eq!(split(&groups(), &SplitOptions::new(9.0), |_| 0, apart).labels, [0, 0, 0, 0, 4, 4]);
        let one = SplitOptions { max_parts: 1, ..SplitOptions::new(1.0) };
        let got = split(&groups(), &one, |_| 0, apart);
        assert_eq!((got.labels, got.split, got.alone, got.over), (vec![0, 0, 2, 3, 4, 4], 1, 2, 2));
    }
}
