//! Tests of the fetcher, on generated data and loopback servers.

mod guard;
mod hostile;
mod robots;
mod server;
mod shared;
