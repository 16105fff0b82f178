//! Pages of pictures, for people: what a search found, what is a near-duplicate of what.

mod groups;
mod page;
mod pictures;

pub use groups::groups_page;
pub use page::{Shown, page};
pub use pictures::Pictures;
