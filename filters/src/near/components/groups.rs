//! The members of every group.

use super::set::{DisjointSet, Row};

/// The groups of at least two rows: members in ascending order, groups in the order of their first.
///
/// Holds one row number for each member, and while it is made 4 to 12 bytes (8 to 24 for `u64`) for each row of the set.
#[derive(Debug, Clone)]
pub struct Groups<R: Row = u32> {
    rows: usize,
    members: Vec<R>,
    starts: Vec<usize>,
}

impl<R: Row> Groups<R> {
    /// The groups of a set as it is now.
    pub fn of(set: &DisjointSet<R>) -> Self {
        let mut members: Vec<(R, R)> = Vec::new();
        for row in 0..set.len() {
            let row = R::from_index(row);
            let root = set.find(row);
            if root != row {
                members.push((root, row));
            }
        }
        // A root is smaller than all its members, so it sorts to the front of its group.
        let mut roots: Vec<(R, R)> = members.iter().map(|(root, _)| (*root, *root)).collect();
        roots.sort_unstable();
        roots.dedup();
        members.extend(roots);
        members.sort_unstable();
        let mut starts = Vec::new();
        for (at, (root, row)) in members.iter().enumerate() {
            if root == row {
                starts.push(at);
            }
        }
        starts.push(members.len());
        Self { rows: set.len(), members: members.into_iter().map(|(_, row)| row).collect(), starts }
    }

    /// How many groups of at least two rows.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether every row is alone.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of the set, alone or not.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The members of each group; the first is the group's id.
    pub fn iter(&self) -> impl Iterator<Item = &[R]> {
        self.starts.windows(2).map(|two| &self.members[two[0]..two[1]])
    }

    /// How many groups there are of each size, ascending.
    pub fn sizes(&self) -> Vec<(usize, u64)> {
        let mut sizes = std::collections::BTreeMap::new();
        for group in self.iter() {
            *sizes.entry(group.len()).or_insert(0) += 1;
        }
        sizes.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_list_their_members_in_order() {
        let set = DisjointSet::<u32>::new(9).unwrap();
        for (a, b) in [(7, 3), (8, 1), (5, 7)] {
            set.union(a, b);
        }
        let groups = Groups::of(&set);
        assert_eq!(groups.iter().collect::<Vec<_>>(), [&[1, 8][..], &[3, 5, 7]]);
        assert_eq!(groups.sizes(), [(2, 1), (3, 1)]);
        assert!(Groups::of(&DisjointSet::<u64>::new(3).unwrap()).is_empty());
    }
}
