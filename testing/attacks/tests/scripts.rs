//! Every attack script in its short form. Scripts that want the same victim are played on one scene.

use p2pnet_attacks::runner::play;
use p2pnet_attacks::scene::Form;
use p2pnet_attacks::script::{Script, all, by_victim};
use p2pnet_lab::{Failure, Outcome};
use std::path::Path;

const PROGRAM: &str = env!("CARGO_BIN_EXE_p2pnet-attacks");

fn hold(chosen: impl Fn(&Script) -> bool) -> Outcome<()> {
    let scripts: Vec<&'static Script> = all().into_iter().filter(|script| chosen(script)).collect();
    assert!(!scripts.is_empty(), "no script is chosen");
    let mut fell = String::new();
    for group in by_victim(&scripts) {
        play(Path::new(PROGRAM), Form::SHORT, &group, |report| {
            if !report.faults().is_empty() {
                fell += &format!("{}\n{}", report.row(), report.details());
            }
        })?;
    }
    if fell.is_empty() { Ok(()) } else { Err(Failure::new(fell)) }
}

const COMMON: &[&str] = &[];

#[test]
fn a_node_holds_against_attackers_on_its_common_settings() -> Outcome<()> {
    hold(|script| script.victim == COMMON)
}

#[test]
fn a_node_holds_against_attackers_on_settings_of_their_own() -> Outcome<()> {
    hold(|script| script.victim != COMMON)
}
