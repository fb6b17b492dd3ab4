//! An adapter is thin, and stays so.

#[test]
fn the_adapter_is_at_most_300_lines() {
    let lines = include_str!("../src/lib.rs").lines().count();
    assert!(lines <= 300, "{lines} lines: what is not tokio's belongs into the driver");
}
