//! Nothing but its test: see `tests/executor.rs`.

/// The page's code is a test here, since nothing else depends on async-std.
#[doc = include_str!("../../../docs/guide/async-std.md")]
pub mod coming_from_async_std {}
