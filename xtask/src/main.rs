//! The project'\''s own chores: cargo xtask test, cargo xtask long.

fn main() {}
