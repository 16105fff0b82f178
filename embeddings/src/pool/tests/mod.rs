//! The pool with faults injected. No test looks at the clock: rows go because a batch is full, a flush, or the end.

mod batches;
mod fake;
mod faults;
mod flow;
mod resume;
