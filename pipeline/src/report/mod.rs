//! What the run says of itself: the progress line, the funnel, the report.

mod card;
mod funnel;
mod metrics;
mod progress;

pub use card::{CardFactsError, facts_of};
pub use funnel::{Funnel, Stage};
pub use metrics::{Metrics, Role};
pub(crate) use progress::human;
pub use progress::{Progress, ProgressLine, Seen};
