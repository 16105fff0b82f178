//! Passes as DataFusion plans: one logical node and one physical node carry every operation of ours.
//!
//! An operation ([`Op`](crate::op::Op)) is plain data that can be written as JSON; the nodes hold it, check columns when
//! the plan is made, and run it partition by partition. They are unary and keep partition *p* at *p*, which is what a
//! distributed engine needs to slice a plan by its file scans.

#[cfg(all(test, feature = "cluster"))]
pub(crate) mod counted;
mod exec;
pub mod functions;
mod node;
mod options;
mod planner;
mod predicate;
mod session;

pub use exec::StageExec;
pub use node::StageNode;
pub use options::JobOptions;
pub use planner::{StagePlanner, TrommelQueryPlanner};
pub(crate) use predicate::subject;
pub use predicate::{Keep, KeepError};
#[cfg(feature = "cluster")]
pub(crate) use session::state;
pub use session::{SessionSettings, all_functions, session};
