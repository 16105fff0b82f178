//! Stored vectors, written and read back, and attacked.

mod hostile;
mod layouts;
mod make;
mod round_trips;
