//! What went wrong, said to a person: the thing, the fix, and the exit code.

use crate::text::clean_lines;
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

    /// It was interrupted (exit code 130, as shells count a death by SIGINT).
    pub(crate) fn interrupted(problem: impl Into<String>) -> Self {
        Self { exit: 130, problem: problem.into(), fix: None }
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

    /// What to do about it, where that is known.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// What is wrong, without the fix.
    pub(crate) fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names of files and values of variables come from anywhere: they can't command the terminal either.
        write!(f, "p2pnet: {}", clean_lines(&self.problem))?;
        match &self.fix {
            Some(fix) => write!(f, "\n  try: {}", clean_lines(fix)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_can_not_command_the_terminal() {
        let failure = Failure::failed("can't read a\u{1b}[31m\u{202e}").fix("one\n  two\r\u{9b}");
        let said = "p2pnet: can't read a\\u{1b}[31m\\u{202e}\n  try: one\n  two\\r\\u{9b}";
        assert_eq!(failure.to_string(), said);
    }
}
