//! End-to-end tests over the `trommel` binary. The tests themselves are in `tests/tests`.
