//! A file over every kind of way, told short: kills and large files are told by `cargo xtask long files`.

use p2pnet_lab::Outcome;
use p2pnet_lab::scenario::files;

#[test]
fn a_file_arrives_over_loopback_and_over_a_long_and_lossy_way() -> Outcome<()> {
    files::tell(12, 0).map(drop)
}
