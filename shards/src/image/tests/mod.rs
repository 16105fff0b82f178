//! The whole way of a picture, on generated pictures and on shared fixtures.

mod fixtures;
mod generated;
mod hostile;
mod make;
mod planes;
