//! Scenarios that count descriptors, threads or memory, or change their process, have one to themselves.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Set in a process that a test was given.
const HAS_ONE: &str = "P2PNET_CONFORMANCE_ALONE";

/// Set in the second process of a test that has two.
const IS_OTHER: &str = "P2PNET_CONFORMANCE_OTHER";
/// What a line that one process says to the other begins with: test programs say more.
const MARK: &str = "@@ ";

/// Runs `here` in a process of its own, and `there` in another one that `here` holds.
///
/// # Panics
/// If either fails.
#[track_caller]
pub fn in_two_processes(name: &str, here: impl FnOnce(&mut Other), there: impl FnOnce()) {
    if std::env::var_os(IS_OTHER).is_some() {
        return there();
    }
    in_a_process(name, || {
        let mut other = Other::start(name);
        here(&mut other);
        other.end();
    });
}

/// The second process, as the first one sees it.
#[derive(Debug)]
pub struct Other {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Other {
    fn start(name: &str) -> Self {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(IS_OTHER, "1");
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = program.spawn().unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        Self { process, says }
    }

    /// What it [says](say) next.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.says.read_line(&mut line).unwrap() > 0, "the other process is gone");
            if let Some(said) = line.trim_end().strip_prefix(MARK) {
                return said.to_owned();
            }
        }
    }

    /// Asks it something, and gives its answer.
    #[track_caller]
    pub fn ask(&mut self, question: &str) -> String {
        writeln!(self.process.stdin.as_mut().unwrap(), "{question}").unwrap();
        self.hear()
    }

    /// Suspends it: no thread of it runs until it is [resumed](Self::resume). Its sockets stay, and fill.
    pub fn suspend(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Lets it run again.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    #[track_caller]
    fn end(mut self) {
        drop(self.process.stdin.take());
        let done = self.process.wait().unwrap();
        assert!(done.success(), "the other process ended with {done}");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

/// Says a line to the process that holds this one.
pub fn say(line: impl std::fmt::Display) {
    // The test program may have left a line open.
    println!("\n{MARK}{line}");
}

/// Answers what the process that holds this one asks, until it asks no more.
pub fn answer(mut to: impl FnMut(&str) -> String) {
    for question in std::io::stdin().lines() {
        say(to(&question.unwrap()));
    }
}

/// Runs `scenario` in a process of its own: this test program, asked for the test `name` alone.
///
/// # Panics
/// If the scenario fails there; what it said is repeated here.
#[track_caller]
pub fn in_a_process(name: &str, scenario: impl FnOnce()) {
    if std::env::var_os(HAS_ONE).is_some() {
        return scenario();
    }
    run_again(Command::new(std::env::current_exe().unwrap()), name);
}

/// Runs `scenario` on a thread in a network namespace of its own, in a process of its own: only loopback is there, and
/// it is up. Threads that the scenario starts are there too, others are not.
///
/// # Panics
/// If the scenario fails, or if namespaces can't be had: a test that passes unseen hides what is missing.
#[track_caller]
pub fn in_a_network(name: &str, scenario: impl FnOnce() + Send + 'static) {
    const NEEDS: &str = "this test needs a network namespace: run it as root, or where users may make \
                         namespaces of their own (sysctl kernel.unprivileged_userns_clone=1, \
                         kernel.apparmor_restrict_unprivileged_userns=0)";
    if std::env::var_os(HAS_ONE).is_none() {
        let may = std::thread::spawn(leave).join().unwrap().is_ok();
        let me = std::env::current_exe().unwrap();
        if may {
            return run_again(Command::new(me), name);
        }
        // Without rights, no thread may leave: begin as the root of a user namespace.
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--net"]).arg(me);
        return run_again(unshare, name);
    }
    let thread = std::thread::spawn(move || {
        leave().expect(NEEDS);
        ip("link set lo up");
        scenario();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Leaves this thread, and the threads it starts from now on, in a network of their own.
fn leave() -> rustix::io::Result<()> {
    // SAFETY: only the network namespace changes, which no memory depends on.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}

/// Changes the network that this thread is in.
///
/// # Panics
/// If ip(8) can't be run or refuses.
#[track_caller]
pub fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status().expect("ip(8), of iproute2");
    assert!(done.success(), "ip {arguments}");
}

#[track_caller]
fn run_again(mut program: Command, name: &str) {
    program.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(HAS_ONE, "1");
    let done =
        program.stdin(Stdio::null()).output().expect("this program, and unshare(1) of util-linux");
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{name}, in a process of its own: {}", done.status);
    assert!(said.contains("1 passed"), "{name} is not the test's name");
}
