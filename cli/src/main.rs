//! The P2PNet program: run a node, send, receive, explain.
//!
//! | Module | What it is |
//! |---|---|
//! | [`args`] | the command line |
//! | [`settings`] | everything that can be set, from a file, the environment and options |
//! | [`up`], [`options`], [`signals`] | running a node; [`story`], [`present`] and [`report`] tell what happens |
//! | [`files`], [`membership`] | the files that it is given |
//! | [`store`] | where files that come from peers are kept |
//! | [`control`] | how commands speak to the running node |
//! | [`task`], [`task_args`], [`task_body`], [`data`] | tasks, and the data that members share |
//! | [`transfers`] | files that come and go |
//! | [`commands`], [`authority`], [`doctor`], [`inspect`] | the other commands |
//! | `bootstrap` | the server at which nodes meet |
//! | [`simulate`] | a world of nodes in virtual time |
//! | [`scan`] | the addresses of a widescan |
//!
//! Architecture invariant: nothing here knows the runtime, but for one call in [`up`]; everything else goes through
//! [`p2pnet_driver::Handle`] on plain threads.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where nobody reads: see `out`"
)]

mod args;
mod authority;
#[cfg(feature = "bootstrap")]
mod bootstrap;
mod commands;
mod control;
mod data;
mod doctor;
mod failure;
mod files;
mod inspect;
mod log;
mod membership;
mod options;
mod out;
mod present;
mod report;
mod runtime;
mod scan;
mod settings;
mod signals;
mod simulate;
mod state_path;
mod store;
mod story;
mod task;
mod task_args;
mod task_body;
mod text;
mod transfers;
mod up;

use args::{Cli, Command};
use clap::{CommandFactory as _, Parser as _};
use failure::Failure;
use out::{note, out};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads to its end is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(&failure);
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Peers(args) => commands::peers(&args),
        Command::Send(args) => commands::send(args),
        Command::Get(args) => transfers::get(args),
        Command::Files(args) => transfers::files(args),
        Command::Connect(args) => commands::connect_to(args),
        Command::Disconnect(args) => commands::disconnect(args),
        Command::Block(args) => commands::block(args),
        Command::Unblock(args) => commands::unblock(args),
        Command::Allow(args) => commands::allow(args),
        Command::Disallow(args) => commands::disallow(args),
        Command::Trust(args) => commands::trust(args),
        Command::Untrust(args) => commands::untrust(args),
        Command::Pending(args) => commands::pending(&args),
        Command::Accept(args) => commands::accept(args),
        Command::Refuse(args) => commands::refuse(args),
        Command::Inbound(args) => commands::inbound(&args),
        Command::Routine(args) => commands::routine(args),
        Command::Stats(args) => commands::stats(&args),
        Command::Id(args) => commands::id(&args),
        Command::Stop(args) => commands::stop(&args),
        Command::Task(command) => task::run(command),
        Command::Data(command) => data::run(command),
        Command::Authority(command) => authority::run(command),
        #[cfg(feature = "bootstrap")]
        Command::Bootstrap(args) => bootstrap::run(*args),
        Command::Config(args) => config(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Scan(args) => scan::run(*args),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Replay(args) => simulate::replay_file(&args),
        Command::Completions { shell } => {
            // Into memory first: the generator panics where it can't write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "p2pnet", &mut script);
            out().bytes(&script)
        }
    }
}

fn config(args: &args::Config) -> Result<(), Failure> {
    if let Some(path) = &args.check {
        let mut layers = settings::Layers::default();
        let file = files::SmallFile::read(path)?;
        layers.push(settings::from_file(file.text()?, path)?);
        layers.push(settings::from_environment(options::variables()?)?);
        let mut settings = layers.settle()?;
        settings.warnings.extend(file.change_warning("what a node does"));
        membership::load(&mut settings)?;
        settings.warnings.iter().for_each(note);
        return out().line(format_args!("{} is fine.", path.display()));
    }
    out().bytes(settings::default_file().as_bytes())
}
