//! Running the system's tools, with errors that say what was run and what it answered.

use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};

/// Why a scenario or one of its steps failed, in words for the person who reads the test's output.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

/// What every step of the lab gives.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure that says `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Puts what was being done in front of what went wrong.
    #[must_use]
    pub fn during(self, step: &str) -> Self {
        Self(format!("{step}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// A test that returns an error shows its `Debug` form: let that be the readable one.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not JSON: {error}"))
    }
}

/// Runs `program` and gives its standard output.
///
/// # Errors
/// If it can't be started or ends with another status than 0; the message holds the command and its standard error.
pub fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    output_of(Command::new(program).args(arguments))
}

/// Runs a prepared command and gives its standard output.
///
/// # Errors
/// As [`run`].
pub fn output_of(command: &mut Command) -> Outcome<String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("can't run {shown}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(format!(
        "{shown} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr).trim_end()
    )))
}

/// Runs `program` and feeds it `input`, for tools that take a script on standard input (`ip -batch -`, `nft -f -`).
///
/// # Errors
/// As [`run`].
pub fn run_with_input(program: &str, arguments: &[&str], input: &str) -> Outcome<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let mut child =
        command.spawn().map_err(|error| Failure::new(format!("can't run {shown}: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(format!(
        "{shown} ended with {} on\n{input}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_comes_back() {
        assert_eq!(run("echo", &["calm"]).unwrap(), "calm\n");
        assert_eq!(run_with_input("cat", &[], "sea").unwrap(), "sea");
    }

    #[test]
    fn a_failed_command_names_itself_and_its_complaint() {
        let failure = run("sh", &["-c", "echo no such thing >&2; false"]).unwrap_err();
        assert!(failure.to_string().contains("no such thing"), "{failure}");
        assert!(failure.to_string().contains("\"sh\""), "{failure}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run("p2pnet-no-such-program", &[]).unwrap_err();
        assert!(failure.to_string().contains("p2pnet-no-such-program"), "{failure}");
    }
}
