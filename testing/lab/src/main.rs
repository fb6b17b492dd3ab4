//! The lab's stories in full: `p2pnet-lab STORY [--OPTION NUMBER]`. The last line it prints is the result.

use p2pnet_lab::Outcome;
use p2pnet_lab::scenario::meet::{self, Wire};
use p2pnet_lab::scenario::{crowd, discovery, files, inspect, repair, storm, strict};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: p2pnet-lab meet [--starts N]      two hosts meet, nothing configured
       p2pnet-lab wires [--starts N]     ... over each kind of wire
       p2pnet-lab crowd [--members N]    a common secret, and a stranger
       p2pnet-lab repair [--seconds N]   deaths, pulled links, half-open connections
       p2pnet-lab storm [--seconds N]    forged and malformed beacons
       p2pnet-lab files [--mib N]        a large file, over loopback and far away, and with kills
       p2pnet-lab rest                   what is told once: captures, privileges, strictness
The program under test is $P2PNET_BIN, or is built.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["meet"] => run_meet(50),
        ["meet", "--starts", number] => parsed(number, run_meet),
        ["wires"] => run_wires(10),
        ["wires", "--starts", number] => parsed(number, run_wires),
        ["crowd"] => run_crowd(20),
        ["crowd", "--members", number] => parsed(number, run_crowd),
        ["repair"] => run_repair(30),
        ["repair", "--seconds", number] => parsed(number, run_repair),
        ["storm"] => run_storm(30),
        ["storm", "--seconds", number] => parsed(number, run_storm),
        ["files"] => run_files(4_096),
        ["files", "--mib", number] => parsed(number, run_files),
        ["rest"] => run_rest(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match result {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn parsed<T: std::str::FromStr>(
    number: &str,
    run: impl FnOnce(T) -> Outcome<String>,
) -> Outcome<String> {
    let number = number
        .parse()
        .map_err(|_| p2pnet_lab::Failure::new(format!("{number} is no number\n{USAGE}")))?;
    run(number)
}

fn run_meet(starts: usize) -> Outcome<String> {
    let times = meet::meetings(Wire::Dual, starts)?;
    Ok(format!("two hosts met {times}"))
}

fn run_wires(starts: usize) -> Outcome<String> {
    let mut results = Vec::new();
    for wire in Wire::ALL {
        let times = meet::meetings(wire, starts)?;
        println!("{wire:?}: {times}");
        results.push(format!("{wire:?} {} ms", times.max().as_millis()));
    }
    for _ in 0..starts {
        meet::two_interfaces()?;
        meet::two_on_one_host()?;
    }
    let loopback = meet::on_loopback()?;
    Ok(format!(
        "{starts} starts each, longest meetings: {}, loopback {} ms, two interfaces as they should",
        results.join(", "),
        loopback.as_millis()
    ))
}

fn run_crowd(members: usize) -> Outcome<String> {
    let took = crowd::members_and_a_stranger(members)?;
    Ok(format!(
        "{members} members trusted each other after {} ms; the stranger got what policies allow",
        took.as_millis()
    ))
}

fn run_repair(seconds: u64) -> Outcome<String> {
    let death = repair::killed_peer()?;
    println!("death noticed after {} ms", death.as_millis());
    let (noticed, mended) = repair::half_open()?;
    println!("half-open noticed after {noticed:?}, mended after {mended:?}");
    let pulled = repair::pulled_link(Duration::from_secs(seconds))?;
    println!("link back for {pulled:?} when messages passed again");
    let left = repair::comings_and_goings(10)?;
    repair::simultaneous_dials(10)?;
    Ok(format!(
        "death noticed in {} ms; half-open noticed in {:.1} s, mended in {:.1} s; after {seconds} s without link \
         back in {:.1} s; {left} descriptors after 10 guests, as before",
        death.as_millis(),
        noticed.as_secs_f64(),
        mended.as_secs_f64(),
        pulled.as_secs_f64()
    ))
}

fn run_storm(seconds: u64) -> Outcome<String> {
    let sent = storm::forged_beacons(seconds)?;
    Ok(format!("{sent} forged beacons in {seconds} s: none believed, newcomers found in 2 s"))
}

/// One kill for every 204 MiB: 20 in the file that the full figures are of.
fn run_files(mib: u64) -> Outcome<String> {
    files::tell(mib, u32::try_from(mib / 204).unwrap_or(u32::MAX).max(2))
}

fn run_rest() -> Outcome<String> {
    discovery::kinds_and_rotation()?;
    discovery::no_privilege_needed()?;
    discovery::dual_stack()?;
    strict::listed_and_members_only()?;
    inspect::captured_conversation()?;
    Ok("captures, privileges, dual stack, strictness and key logs as they should".to_owned())
}
