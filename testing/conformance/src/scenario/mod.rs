//! The scenarios, by theme. Each takes what its nodes run on, and the name of the test that runs it.

pub mod application;
pub mod bounds;
pub mod contract;
pub mod crowd;
pub mod dials;
pub mod ends;
pub mod files;
pub mod flow;
pub mod interfaces;
pub mod lan;
pub mod strangers;
pub mod suspend;
pub mod talk;

#[cfg(test)]
mod tests {
    /// The names of the scenarios in a file.
    fn told(source: &str) -> Vec<&str> {
        source.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next()).collect()
    }

    #[test]
    fn every_scenario_is_on_the_list() {
        let list = include_str!("../suite.rs");
        let mut count = 0;
        for source in [
            include_str!("application.rs"),
            include_str!("bounds.rs"),
            include_str!("contract.rs"),
            include_str!("crowd.rs"),
            include_str!("dials.rs"),
            include_str!("ends.rs"),
            include_str!("files.rs"),
            include_str!("flow.rs"),
            include_str!("interfaces.rs"),
            include_str!("lan.rs"),
            include_str!("strangers.rs"),
            include_str!("suspend.rs"),
            include_str!("talk.rs"),
        ] {
            for name in told(source) {
                assert!(list.lines().any(|line| line.trim() == name), "{name} is never run");
                count += 1;
            }
        }
        assert!(count >= 60, "{count} scenarios");
    }
}
