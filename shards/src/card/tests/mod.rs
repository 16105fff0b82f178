//! Cards of generated facts: one of everything, one of nothing, and what would break them.

mod croissant;
mod dataset;
mod hostile;
mod made;
mod markdown;
