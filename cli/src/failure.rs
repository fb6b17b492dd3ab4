//! What went wrong, said to a person: the thing, the fix, and the exit code.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::process::ExitCode;

/// A failure that ends the program. Its text goes to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    exit: u8,
    problem: String,
    fix: Option<String>,
}

impl Failure {
    /// The thing was asked for correctly and did not succeed (exit code 1).
    pub(crate) fn failed(problem: impl Into<String>) -> Self {
        Self { exit: 1, problem: problem.into(), fix: None }
    }

    /// The request itself makes no sense: an option, a key or a value (exit code 2).
    pub(crate) fn usage(problem: impl Into<String>) -> Self {
        Self { exit: 2, problem: problem.into(), fix: None }
    }

    /// The same failure with what to do about it.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The exit code for the shell.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }

    /// What is wrong, without the fix.
    pub(crate) fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p2pnet: {}", self.problem)?;
        match &self.fix {
            Some(fix) => write!(f, "\n  try: {fix}"),
            None => Ok(()),
        }
    }
}
