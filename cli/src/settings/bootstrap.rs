//! The flags about bootstrap servers, as they were set. Whether they contradict each other is known once every layer has
//! been read, so they are kept apart until then.

use p2pnet_protocol::trust::bootstrap_policy::{BootstrapTrustPolicy, PolicyConflict};

/// What was said about bootstrap servers; none where nobody said anything. The names are those of
/// [`BootstrapTrustPolicy`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BootstrapFlags {
    pub(super) allow_bootstrap_trustless_connection: Option<bool>,
    pub(super) allow_bootstrap_authority_connection: Option<bool>,
    pub(super) must_be_authority: Option<bool>,
    pub(super) first_single_locking_authority: Option<bool>,
}

/// Sets one flag of the policy.
type Set = fn(&mut BootstrapTrustPolicy, bool) -> Result<(), PolicyConflict>;

impl BootstrapFlags {
    /// The policy that they amount to.
    ///
    /// # Errors
    /// A key whose value contradicts that of another, and how.
    pub(super) fn policy(&self) -> Result<BootstrapTrustPolicy, (&'static str, PolicyConflict)> {
        let flags: [(&str, Option<bool>, Set); 4] = [
            (
                "policies.bootstrap.allow_bootstrap_trustless_connection",
                self.allow_bootstrap_trustless_connection,
                BootstrapTrustPolicy::set_allow_bootstrap_trustless_connection,
            ),
            (
                "policies.bootstrap.allow_bootstrap_authority_connection",
                self.allow_bootstrap_authority_connection,
                BootstrapTrustPolicy::set_allow_bootstrap_authority_connection,
            ),
            (
                "policies.bootstrap.must_be_authority",
                self.must_be_authority,
                BootstrapTrustPolicy::set_must_be_authority,
            ),
            (
                "policies.bootstrap.first_single_locking_authority",
                self.first_single_locking_authority,
                BootstrapTrustPolicy::set_first_single_locking_authority,
            ),
        ];
        let mut policy = BootstrapTrustPolicy::default();
        for (key, flag, set) in flags {
            if let Some(flag) = flag {
                set(&mut policy, flag).map_err(|conflict| (key, conflict))?;
            }
        }
        Ok(policy)
    }

    /// The policy, for show; the default one while the flags contradict each other.
    pub(super) fn shown(&self) -> BootstrapTrustPolicy {
        self.policy().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Assignment, Layers, Settings, from_file};
    use std::path::Path;

    fn settle(text: &str, options: &[(&str, &str)]) -> Result<Settings, String> {
        let mut layers = Layers::default();
        let file = from_file(&format!("[policies.bootstrap]\n{text}"), Path::new("node.toml"));
        layers.push(file.map_err(|failure| failure.to_string())?);
        let option =
            |(key, value): &(&str, &str)| Assignment::option(key, *value, "--set").expect(key);
        layers.push(options.iter().map(option).collect());
        layers.settle().map_err(|failure| failure.to_string())
    }

    #[test]
    fn each_flag_reaches_the_policy_and_the_rest_follows() {
        let policy = |text: &str| settle(text, &[]).expect(text).config.policies.bootstrap;
        assert_eq!(policy(""), BootstrapTrustPolicy::default());
        assert!(!policy("must_be_authority = true").allow_bootstrap_trustless_connection());
        assert!(policy("first_single_locking_authority = true").must_be_authority());
        let text = "allow_bootstrap_authority_connection = true";
        assert!(policy(text).allow_bootstrap_authority_connection());
        let text = "allow_bootstrap_trustless_connection = false";
        assert!(!policy(text).allow_bootstrap_trustless_connection());
    }

    #[test]
    fn contradictions_are_refused_with_their_place() {
        let text = "must_be_authority = true\nallow_bootstrap_trustless_connection = true";
        let said = settle(text, &[]).unwrap_err();
        assert!(
            said.contains(
                "node.toml:2: policies.bootstrap.must_be_authority: must_be_authority contradicts"
            ),
            "{said}"
        );
        let lock = [("policies.bootstrap.first_single_locking_authority", "true")];
        let said = settle("must_be_authority = false", &lock).unwrap_err();
        assert!(
            said.contains("--set: policies.bootstrap.first_single_locking_authority"),
            "{said}"
        );
    }

    #[test]
    fn layers_are_judged_together_and_a_preset_starts_afresh() {
        let text = "must_be_authority = true";
        let open = [
            ("policies.bootstrap.allow_bootstrap_trustless_connection", "true"),
            ("policies.bootstrap.must_be_authority", "false"),
        ];
        let policy = settle(text, &open).unwrap().config.policies.bootstrap;
        assert!(policy.allow_bootstrap_trustless_connection() && !policy.must_be_authority());
        let policy = settle(text, &[("policy", "strict")]).unwrap().config.policies.bootstrap;
        assert_eq!(policy, BootstrapTrustPolicy::default());
    }
}
