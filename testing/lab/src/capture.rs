//! What really left an interface: dumpcap records it, tshark reads it.

use crate::lan::{Host, Lab};
use crate::shell::{Failure, Outcome, output_of};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Sends the frame that ends a capture: of an EtherType for local experiments (IEEE 802, clause 9.2.3), so that no
/// host answers it.
const MARK: &str = "
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
own = s.getsockname()[4]
s.send(own + own + bytes.fromhex('88b5') + sys.argv[2].encode().ljust(46))
";

/// What the ending frame carries, to be looked for in the file.
const MARKED: &str = "p2pnet-lab: here the capture ends";

/// A running capture on one interface of one host.
#[derive(Debug)]
pub struct Capture {
    recorder: Child,
    file: PathBuf,
    /// Sends the ending frame.
    mark: Command,
}

impl Capture {
    /// Starts to record what leaves the host by its interface number `leg` and passes `filter` (in pcap's language);
    /// returns when it records.
    ///
    /// # Errors
    /// If dumpcap is missing or refuses the filter.
    pub fn start(lab: &Lab, host: &Host, leg: usize, filter: &str) -> Outcome<Self> {
        let own = host.hardware_address(leg)?;
        let filter = format!("ether src {own} and (({filter}) or ether proto 0x88b5)");
        Self::record(lab, host, leg, &filter)
    }

    /// Starts to record both what leaves the host by its interface number `leg` and what comes to it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_both_ways(lab: &Lab, host: &Host, leg: usize, filter: &str) -> Outcome<Self> {
        Self::record(lab, host, leg, &format!("({filter}) or ether proto 0x88b5"))
    }

    fn record(lab: &Lab, host: &Host, leg: usize, filter: &str) -> Outcome<Self> {
        let interface = host.interface(leg)?;
        let file = lab.file(&format!("{}-{interface}.pcap", host.namespace().name()));
        let mut mark = host.command("python3");
        mark.args(["-c", MARK, interface, MARKED]);
        let mut recorder = host
            // Part of tshark's package; unlike tcpdump it asks for no other user, who may not exist here.
            .command("dumpcap")
            .args(["-q", "-i", interface, "-f", filter, "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = recorder.stderr.take().ok_or_else(|| Failure::new("no standard error"))?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            said += &line?;
            // It names its file when the interface is open and the filter is set.
            if said.contains("File: ") {
                // Keep the pipe open, or it dies of its last words.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self { recorder, file, mark });
            }
        }
        drop(recorder.wait());
        Err(Failure::new(format!("dumpcap didn't start: {said}")))
    }

    /// Stops recording and gives, for every packet, the tshark fields asked for (`udp.dstport`, `ip.dst`, ...).
    ///
    /// # Errors
    /// As [`stop`](Self::stop), and if tshark is missing or doesn't know a field.
    pub fn finish(self, fields: &[&str]) -> Outcome<Vec<Vec<String>>> {
        read_fields(&self.stop()?, None, "eth.type != 0x88b5", fields)
    }

    /// Stops recording and gives the file.
    ///
    /// The kernel hands packets over in blocks, up to a quarter of a second late, and what it still holds is lost when
    /// the recorder stops. So a last frame is sent and waited for: what left before it is in the file.
    ///
    /// # Errors
    /// If the last frame isn't recorded within 10 s.
    pub fn stop(mut self) -> Outcome<PathBuf> {
        output_of(&mut self.mark)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while !std::fs::read(&self.file)?.windows(MARKED.len()).any(|at| at == MARKED.as_bytes()) {
            if Instant::now() > deadline {
                return Err(Failure::new("the capture never saw its last frame"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = rustix::process::Pid::from_child(&self.recorder);
        rustix::process::kill_process(pid, rustix::process::Signal::INT)
            .map_err(|error| Failure::new(format!("can't end dumpcap: {error}")))?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.recorder.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(self.file.clone())
    }
}

/// The tshark fields asked for, of every packet in `file` that passes `filter` (in Wireshark's language), with the help of
/// a `dissector` in Lua.
///
/// # Errors
/// If tshark is missing, doesn't know a field or can't load the dissector.
pub fn read_fields(
    file: &Path,
    dissector: Option<&Path>,
    filter: &str,
    fields: &[&str],
) -> Outcome<Vec<Vec<String>>> {
    let mut tshark = Command::new("tshark");
    // A person's own settings must not change what it says.
    tshark.env("HOME", file.with_extension("home")).env_remove("XDG_CONFIG_HOME");
    if let Some(dissector) = dissector {
        tshark.arg("-X").arg(format!("lua_script:{}", dissector.display()));
    }
    tshark.arg("-r").arg(file).args(["-n", "-T", "fields", "-E", "separator=|", "-Y", filter]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let table = output_of(&mut tshark)?;
    Ok(table.lines().map(|row| row.split('|').map(str::to_owned).collect()).collect())
}

impl Drop for Capture {
    fn drop(&mut self) {
        drop(self.recorder.kill());
        drop(self.recorder.wait());
    }
}
