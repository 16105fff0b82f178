//! A disjoint set that threads share without locks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What can go wrong while groups are made.
#[derive(Debug, thiserror::Error)]
pub enum ComponentsError {
    /// More rows than the row type can number (the largest value is kept free).
    #[error("{rows} rows are more than {bits}-bit rows can number")]
    TooManyRows {
        /// Rows asked for.
        rows: usize,
        /// Bits of the row type.
        bits: u32,
    },
    /// An edge names a row that does not exist.
    #[error("an edge names row {row}, but there are {rows} rows")]
    NoSuchRow {
        /// The row.
        row: u64,
        /// Rows in the set.
        rows: usize,
    },
    /// The temporary file of edges could not be written or read.
    #[error("edges on disk: {action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

/// A row number: `u32` (4 bytes a row, up to 4.29 billion rows) or `u64`.
pub trait Row: sealed::Sealed + Copy + Ord + Send + Sync + std::fmt::Debug + 'static {
    /// The atomic cell that holds one.
    type Cell: Send + Sync;
    /// Bits of the type.
    const BITS: u32;
    /// A cell that holds `value`.
    fn cell(value: Self) -> Self::Cell;
    /// Reads a cell.
    fn load(cell: &Self::Cell) -> Self;
    /// Replaces `old` by `new`; false if the cell held something else.
    fn replace(cell: &Self::Cell, old: Self, new: Self) -> bool;
    /// As an index.
    fn index(self) -> usize;
    /// From an index that is known to fit.
    fn from_index(index: usize) -> Self;
}

macro_rules! row {
    ($row:ty, $cell:ty) => {
        impl Row for $row {
            type Cell = $cell;
            const BITS: u32 = <$row>::BITS;
            fn cell(value: Self) -> $cell {
                <$cell>::new(value)
            }
            fn load(cell: &$cell) -> Self {
                cell.load(Ordering::Relaxed)
            }
            fn replace(cell: &$cell, old: Self, new: Self) -> bool {
                cell.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            }
            fn index(self) -> usize {
                self as usize
            }
            fn from_index(index: usize) -> Self {
                index as $row
            }
        }
    };
}
row!(u32, AtomicU32);
row!(u64, AtomicU64);

/// A disjoint set over the rows `0..len`: [`union`](Self::union) and [`find`](Self::find) from any thread, in any order.
///
/// The root of a group is its smallest row. Roots are linked by compare-and-swap, larger below smaller, and paths are halved on the way up
/// (Anderson and Woll 1991, "Wait-free parallel algorithms for the union-find problem"). A parent is never larger than its child, so there are
/// no cycles whatever the threads do, and the final partition is that of the edges alone.
pub struct DisjointSet<R: Row = u32> {
    parents: Box<[R::Cell]>,
}

impl<R: Row> DisjointSet<R> {
    /// Every row alone.
    ///
    /// # Errors
    /// [`ComponentsError::TooManyRows`] where `rows` does not fit in the row type.
    pub fn new(rows: usize) -> Result<Self, ComponentsError> {
        if R::BITS < usize::BITS && rows >= (1_usize << (R::BITS % usize::BITS)) {
            return Err(ComponentsError::TooManyRows { rows, bits: R::BITS });
        }
        Ok(Self { parents: (0..rows).map(|row| R::cell(R::from_index(row))).collect() })
    }

    /// Rows in the set.
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The smallest row of the group of `row`, as far as it is joined now.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn find(&self, row: R) -> R {
        let mut row = row;
        loop {
            let parent = R::load(&self.parents[row.index()]);
            if parent == row {
                return row;
            }
            let above = R::load(&self.parents[parent.index()]);
            if above == parent {
                return parent;
            }
            // A lost race only leaves the path as long as it was.
            R::replace(&self.parents[row.index()], parent, above);
            row = above;
        }
    }

    /// Whether two rows are in one group now.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn same(&self, a: R, b: R) -> bool {
        let (mut a, mut b) = (self.find(a), self.find(b));
        loop {
            if a == b {
                return true;
            }
            // The larger of two roots is the one that another thread may just have linked; if it still is a root, they were apart.
            let larger = a.max(b);
            if R::load(&self.parents[larger.index()]) == larger {
                return false;
            }
            (a, b) = (self.find(a), self.find(b));
        }
    }

    /// Joins the groups of two rows; false if they were one already.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn union(&self, a: R, b: R) -> bool {
        let (mut a, mut b) = (a, b);
        loop {
            a = self.find(a);
            b = self.find(b);
            if a == b {
                return false;
            }
            let (smaller, larger) = if a < b { (a, b) } else { (b, a) };
            if R::replace(&self.parents[larger.index()], larger, smaller) {
                return true;
            }
        }
    }

    /// Adds what another set over the same rows has joined: sets made of shards of the edges become the set of all edges.
    ///
    /// # Panics
    /// If the other set has more rows.
    pub fn absorb(&self, other: &Self) {
        for row in 0..other.len() {
            let row = R::from_index(row);
            let root = other.find(row);
            if root != row {
                self.union(row, root);
            }
        }
    }

    /// The group of every row: its smallest member.
    pub fn labels(&self) -> Vec<R> {
        (0..self.len()).map(|row| self.find(R::from_index(row))).collect()
    }
}

impl<R: Row> std::fmt::Debug for DisjointSet<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DisjointSet").field("rows", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_smallest_row_whatever_the_order() {
        let edges = [(5_u32, 3), (9, 5), (1, 9), (7, 8)];
        for reversed in [false, true] {
            let set = DisjointSet::<u32>::new(10).unwrap();
            let mut edges = edges.to_vec();
            if reversed {
                edges.reverse();
            }
            for (a, b) in edges {
                assert!(set.union(a, b));
                assert!(!set.union(b, a));
            }
            assert_eq!(set.labels(), [0, 1, 2, 1, 4, 1, 6, 7, 7, 1]);
        }
    }

    #[test]
    fn threads_that_join_shards_of_a_chain_make_one_group() {
        let rows = 200_000_u64;
        let set = DisjointSet::<u64>::new(rows as usize).unwrap();
        std::thread::scope(|scope| {
            for shard in 0..4 {
                let set = &set;
                scope.spawn(move || {
                    let mut row = rows - 2 - shard;
                    loop {
                        set.union(row, row + 1);
                        if row < 4 {
                            break;
                        }
                        row -= 4;
                    }
                });
            }
        });
        assert!(set.labels().iter().all(|label| *label == 0));
    }

    #[test]
    fn sets_of_shards_add_up() {
        let (a, b) = (DisjointSet::<u32>::new(6).unwrap(), DisjointSet::<u32>::new(6).unwrap());
        a.union(4, 5);
        b.union(2, 4);
        b.union(0, 1);
        a.absorb(&b);
        assert_eq!(a.labels(), [0, 0, 2, 3, 2, 2]);
    }
}
