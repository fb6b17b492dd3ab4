//! Nothing but its test: see `tests/executor.rs`.
