//! Who is known, blocked, allowed and trusted.

pub(crate) mod book;
pub mod lists;
pub(crate) mod targets;
