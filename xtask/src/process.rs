//! Running other programs from the repository's root.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The repository's root directory.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Where cargo puts what it builds of the workspace.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A command that runs in the repository's root.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    // What cargo told this program about its own package would look like a change of environment to some build scripts,
    // and make them build again.
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    command
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// Runs with output shown as it comes.
///
/// # Errors
/// If it can't be started or ends with another status than 0.
pub(crate) fn show(command: &mut Command) -> Result<(), String> {
    let shown = describe(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("can't run `{shown}`: {error}")),
    }
}

/// Runs and gives the standard output; standard error is shown as it comes.
///
/// # Errors
/// If it can't be started or ends with another status than 0.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = describe(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("can't run `{shown}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program runs and ends with status 0, in silence.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a program printed, and how it ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) timed_out: bool,
}

/// Runs in silence, for at most so long; then it is killed with everything that it started, which would hold its output
/// open.
///
/// # Errors
/// If it can't be started.
pub(crate) fn run_for(command: &mut Command, timeout: Duration) -> Result<Finished, String> {
    let shown = describe(command);
    let failed = |error: std::io::Error| format!("can't run `{shown}`: {error}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().map(read_to_end);
    let stderr = child.stderr.take().map(read_to_end);
    let deadline = Instant::now() + timeout;
    let mut timed_out = false;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() > deadline {
            timed_out = true;
            kill_family(child.id());
            let _ = child.kill();
            break child.wait().map_err(failed)?;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = |reader: Option<std::thread::JoinHandle<String>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    Ok(Finished { status, stdout: text(stdout), stderr: text(stderr), timed_out })
}

/// Kills a process, what it has started, and what that has started. All stay in one group with this program, so that an
/// interrupt from the keyboard ends them too.
fn kill_family(parent: u32) {
    let Ok(listed) = Command::new("ps").args(["-A", "-o", "pid=", "-o", "ppid="]).output() else {
        return;
    };
    let listed = String::from_utf8_lossy(&listed.stdout);
    let processes: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(id, parent)| (id, parent.trim()))
        .collect();
    let mut family = vec![parent.to_string()];
    let mut next = 0;
    while let Some(parent) = family.get(next).cloned() {
        let children = processes.iter().filter(|(_, its)| *its == parent);
        family.extend(children.map(|(id, _)| (*id).to_owned()));
        next += 1;
    }
    // The eldest first, who would go on with something else when its child is gone.
    let _ = Command::new("kill").arg("-KILL").args(&family).stderr(Stdio::null()).status();
}

fn read_to_end(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is worth showing too.
        drop(stream.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn describe(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown += &argument.to_string_lossy();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_too_long_goes_with_whatever_it_started() {
        let started = Instant::now();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo begun; sleep 60 & wait"]);
        let done = run_for(&mut shell, Duration::from_millis(300)).unwrap();
        assert!(done.timed_out && !done.status.success());
        assert_eq!(done.stdout, "begun\n");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
