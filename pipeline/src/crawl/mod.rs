//! From the web: archives read, candidates extracted, pictures fetched.

pub mod archive;
pub mod extract;
pub mod fetch;
