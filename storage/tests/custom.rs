//! The example of a custom manager stays small.

#[test]
fn the_custom_manager_is_a_small_example() {
    let source = include_str!("../examples/custom.rs");
    assert!(source.lines().count() <= 60);
    assert!(source.contains("impl FileManager for"));
}
