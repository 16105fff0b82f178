//! Tests of the fetcher, on generated data and loopback servers.

mod dns;
mod guard;
mod hostile;
mod mixture;
mod optout;
mod polite;
mod retry;
mod robots;
mod server;
mod shared;
