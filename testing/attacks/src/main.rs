//! `p2pnet-attacks`: plays attack scripts against a real node, and says whether it held.

use p2pnet_attacks::scene::Form;
use p2pnet_attacks::script::{self, Script};
use p2pnet_attacks::{attacker, report, runner};
use p2pnet_lab::Outcome;
use std::process::ExitCode;

const USAGE: &str = "\
usage: p2pnet-attacks run [--short] [--json] [SCRIPT]...   play scripts, or all; 1 if one of them fell
       p2pnet-attacks list                                 what the scripts do and what bounds them
The program under test is $P2PNET_BIN, or is built. Scripts need root, for network namespaces.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["attacker", orders] => match attacker::run(orders) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("attackers: {error}");
                ExitCode::FAILURE
            }
        },
        ["list"] => {
            for script in script::all() {
                println!("{:<20} {:<12} {}", script.name, script.attacks, script.what);
                println!("{:<33} bounded by {}", "", script.bound);
            }
            ExitCode::SUCCESS
        }
        ["run", rest @ ..] => match run(rest) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(failure) => {
                eprintln!("{failure}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[&str]) -> Outcome<bool> {
    let (options, names): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let has = |option: &str| options.contains(&option);
    let scripts: Vec<&'static Script> = script::all()
        .into_iter()
        .filter(|script| names.is_empty() || names.contains(&script.name))
        .collect();
    let unknown = names.iter().find(|name| scripts.iter().all(|script| script.name != **name));
    if let Some(wrong) = unknown.or(options.iter().find(|o| !matches!(**o, "--short" | "--json"))) {
        return Err(p2pnet_lab::Failure::new(format!("{wrong}?\n{USAGE}")));
    }
    let form = if has("--short") { Form::SHORT } else { Form::FULL };
    let program = std::env::current_exe()?;
    let groups: Vec<Vec<&Script>> = if has("--short") {
        script::by_victim(&scripts)
    } else {
        scripts.iter().map(|script| vec![*script]).collect()
    };
    if !has("--json") {
        println!("{}", report::head());
    }
    let (mut held, mut fell) = (0, Vec::new());
    let mut worst = 0.0f64;
    let mut most = 0.0f64;
    for group in groups {
        runner::play(&program, form, &group, |report| {
            if has("--json") {
                println!("{}", report.json());
            } else {
                print!("{}\n{}", report.row(), report.details());
            }
            let limit = report.median_max().as_secs_f64() / f64::from(report::SLOWER_MAX);
            worst = worst.max(report.felt().median.as_secs_f64() / limit);
            most = most.max(report.growth_kib as f64 / report.budget_kib as f64);
            if report.faults().is_empty() {
                held += 1;
            } else {
                fell.push(report.script.clone());
            }
        })?;
    }
    let result = format!(
        "{held} of {} attacks held; honest median at most {worst:.2} × quiet, memory at most {:.0} % of the budget",
        held + fell.len(),
        most * 100.0
    );
    if !has("--json") {
        println!(
            "{result}{}",
            if fell.is_empty() { String::new() } else { format!("; fell: {}", fell.join(", ")) }
        );
    }
    Ok(fell.is_empty())
}
