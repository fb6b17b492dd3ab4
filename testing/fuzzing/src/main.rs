//! `p2pnet-fuzzing seeds DIRECTORY`: writes the first corpora. `p2pnet-fuzzing run TARGET FILE...`: runs a target on
//! files, as a fuzzer would. `p2pnet-fuzzing targets`: their names.

use p2pnet_fuzzing::{TARGETS, Target, seeds};
use p2pnet_inputs::heap::Counting;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static HEAP: Counting = Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match &words[..] {
        ["targets"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["seeds", directory] => write_seeds(Path::new(directory)),
        ["run", name, files @ ..] => run(name, files),
        _ => Err("usage: p2pnet-fuzzing targets | seeds DIRECTORY | run TARGET FILE...".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn write_seeds(directory: &Path) -> Result<(), String> {
    for seed in seeds::all() {
        let corpus = directory.join(seed.target);
        std::fs::create_dir_all(&corpus)
            .and_then(|()| std::fs::write(corpus.join(&seed.name), &seed.bytes))
            .map_err(|error| format!("{}: {error}", corpus.display()))?;
    }
    Ok(())
}

fn run(name: &str, files: &[&str]) -> Result<(), String> {
    let target = Target::named(name).ok_or_else(|| format!("there is no target {name}"))?;
    for file in files {
        let data = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        println!("{file}: {} steps", target.run(&data));
    }
    Ok(())
}
