//! `p2pnet-inputs [--inputs N] [--seed N]`: random and mutated inputs, ten million by default. The last line is the
//! result.

use p2pnet_inputs::heap::Counting;
use std::process::ExitCode;

#[global_allocator]
static HEAP: Counting = Counting;

fn main() -> ExitCode {
    let (mut inputs, mut seed) = (10_000_000, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number = arguments.next().and_then(|number| number.parse().ok());
        match (option.as_str(), number) {
            ("--inputs", Some(number)) => inputs = number,
            ("--seed", Some(number)) => seed = number,
            _ => {
                eprintln!("usage: p2pnet-inputs [--inputs N] [--seed N]");
                return ExitCode::FAILURE;
            }
        }
    }
    let report = p2pnet_inputs::run(inputs, seed);
    println!("{report}");
    ExitCode::SUCCESS
}
