//! What the run says of itself: the progress line, the funnel, the report.

mod funnel;
mod progress;

pub use funnel::{Funnel, Stage};
pub use progress::{Progress, ProgressLine};
