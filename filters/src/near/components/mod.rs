//! From pairs to groups.
//!
//! [`DisjointSet`] joins pairs in any order and from any number of threads, 4 or 8 bytes a row. [`Groups`] lists the members of every group.
//! A chain `a ~ b ~ c` makes one group although `a` and `c` may be unlike: [`stretched`] reports such groups with their ends and the bridge
//! between them, and [`split`] makes of them groups in which every member is within a distance of the group's head, or of every other.

mod edges;
mod groups;
mod set;
mod split;
mod stretch;

pub use edges::{Edge, EdgeLog, SortedEdges};
pub use groups::Groups;
pub use set::{ComponentsError, DisjointSet, Row};
pub use split::{Linkage, Split, SplitOptions, split};
pub use stretch::{Bridge, Stretch, StretchOptions, stretched, stretched_by_edges};
