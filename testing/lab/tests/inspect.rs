//! Captures of real traffic, read by the program and by tshark.

use p2pnet_lab::Outcome;
use p2pnet_lab::scenario::inspect;

#[test]
fn a_capture_tells_what_was_said_with_keys_alone() -> Outcome<()> {
    inspect::captured_conversation()
}
