//! Connected components of edges.

/// Joins rows by edges, in any order, without holding the edges: four bytes per row.
#[derive(Debug, Clone)]
pub struct Components {
    parents: Vec<u32>,
}

impl Components {
    /// `rows` rows, each alone.
    ///
    /// # Panics
    /// When there are 2^32 rows or more.
    pub fn new(rows: usize) -> Self {
        assert!(rows < u32::MAX as usize, "rows are numbered by 32 bits");
        Self { parents: (0..rows as u32).collect() }
    }

    /// Joins the components of two rows. Both are below the number of rows.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller row is the root, so that a component's name depends on its rows alone.
        let (root, child) = (a.min(b), a.max(b));
        self.parents[child as usize] = root;
    }

    fn root(&mut self, mut row: u32) -> u32 {
        while self.parents[row as usize] != row {
            let above = self.parents[self.parents[row as usize] as usize];
            self.parents[row as usize] = above;
            row = above;
        }
        row
    }

    /// The group of every row: the smallest row of its component, a row without edges its own.
    pub fn groups(mut self) -> Vec<u32> {
        // A parent is smaller than its child, so it is settled before it is asked.
        for row in 0..self.parents.len() {
            self.parents[row] = self.parents[self.parents[row] as usize];
        }
        self.parents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_smallest_row_whatever_the_order_of_edges() {
        let edges = [(9, 4), (4, 7), (2, 3), (7, 1), (5, 5)];
        let of = |edges: &mut dyn Iterator<Item = &(u32, u32)>| {
            let mut components = Components::new(10);
            edges.for_each(|&(a, b)| components.join(a, b));
            components.groups()
        };
        let groups = of(&mut edges.iter());
        assert_eq!(groups, [0, 1, 2, 2, 1, 5, 6, 1, 8, 1]);
        assert_eq!(groups, of(&mut edges.iter().rev()));
    }
}
