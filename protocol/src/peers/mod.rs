//! Who is known, blocked, allowed and trusted.

pub mod lists;
