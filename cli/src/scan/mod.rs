//! `scan`: the addresses of a widescan.
//!
//! Everything that decides which address comes when is in [`p2pnet_protocol::widescan`]; here files are read, options become
//! a plan, and addresses are printed.

mod files;
mod list;
mod strategy;

use crate::failure::Failure;
use crate::out::note;
use clap::Args;
use p2pnet_protocol::widescan::input::Filter;
use p2pnet_protocol::widescan::{
    Cursor, Learner, Order, Plan, Shard, SpaceError, SpaceLimits, Strategy, Targets, Walk,
};
use std::path::{Path, PathBuf};
use strategy::Choice;

/// `scan`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  p2pnet scan --list --prefixes 2a00:1::/48 --strategy low-byte | head
  p2pnet scan --list --prefixes mine.txt --exclude opted-out.txt --shard 2/3
  p2pnet scan --list --prefixes delegated-extended --country nl --strategy window:48
  p2pnet scan --list --prefixes 2a00:1::/64 --count 1000000 --resume scan.cursor > part

Strategies, which may be repeated and are visited together, each address once:
  full                    every address (default)
  low-byte[:BITS]         the last 8 bits, or so many; zeros before them
  window:LENGTH[:IID]     each subnet of that length, and in it the one address with this end [::1]
  eui64:OUI,...           hardware addresses of vendors, as 00:16:3e
  ipv4:NET,...            IPv4 addresses in the last 32 bits, as 192.0.2.0/24
  ipv4-decimal:NET,...    their decimal digits in the last four groups
  ports[:PORT,...]        ports of services, alone and beside a small number
  words[:WORD,...]        hexadecimal words in the last two groups
  pattern:PATTERN         digits of which some vary, as 2a00:1::[0-3]?
  seeds:[COUNT:]FILE      patterns of the known addresses in a file, densest first, COUNT addresses at most [1000000]

Files hold a prefix, range or address a line, or what registries publish: `delegated` statistics, dumps of inet6num
and route6 objects, origins by prefix. They may be packed by gzip. Nothing is fetched.")]
pub(crate) struct Scan {
    /// Print the addresses in the order of the scan, and send nothing
    #[arg(long, required = true)]
    list: bool,
    /// What to scan: a prefix, a range, an address, or a file of them (- for standard input); may be repeated
    #[arg(long, value_name = "FILE|CIDR", required = true)]
    prefixes: Vec<String>,
    /// What to leave out; may be repeated
    #[arg(long, value_name = "FILE|CIDR")]
    exclude: Vec<String>,
    /// Which addresses of a prefix; may be repeated
    #[arg(long, value_name = "STRATEGY", default_value = "full")]
    strategy: Vec<Choice>,
    /// Take reserved and local space as any other
    #[arg(long)]
    allow_special: bool,
    /// Let each part of this length of a longer prefix have its own turn, as if it had been named
    #[arg(long, value_name = "LENGTH", value_parser = clap::value_parser!(u8).range(..=128))]
    split: Option<u8>,
    /// even: prefixes take turns; random: any address may follow any other [default: even]
    #[arg(long, value_name = "ORDER", value_parser = order)]
    order: Option<Order>,
    /// What the order follows from: the same number gives the same order [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The part of the scan that is done here, of so many, from 1 [default: 1/1]
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Stop after so many addresses
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Go on where this file says, if it is there, and keep in it how far this run came
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Print 16 bytes for each address, and nothing between them
    #[arg(long)]
    binary: bool,
    /// Of files that say so, take only entries of this country; may be repeated
    #[arg(long, value_name = "CC")]
    country: Vec<String>,
    /// Of this registry or database
    #[arg(long, value_name = "NAME")]
    registry: Vec<String>,
    /// With this status
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Of this holder: a registry's opaque id, a name of a network, an organisation, a maintainer
    #[arg(long, value_name = "NAME")]
    holder: Vec<String>,
    /// Announced by this autonomous system
    #[arg(long, value_name = "NUMBER", value_parser = origin)]
    origin: Vec<u32>,
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "even" => Ok(Order::Even),
        "random" => Ok(Order::Random),
        _ => Err("expected even or random".into()),
    }
}

fn origin(text: &str) -> Result<u32, String> {
    let number =
        text.get(..2).filter(|as_| as_.eq_ignore_ascii_case("as")).map_or(text, |_| &text[2..]);
    number.parse().map_err(|_| "expected the number of an autonomous system, as in AS64500".into())
}

/// Runs `scan`.
pub(crate) fn run(args: Scan) -> Result<(), Failure> {
    let kept = args.resume.as_deref().map(kept_cursor).transpose()?.flatten();
    let plan = args.plan(kept.as_ref())?;
    let walk = args.walk(&plan, kept.as_ref())?;
    list::run(&plan, walk, args.count, args.binary, args.resume.as_deref())
}

impl Scan {
    /// The plan that the options describe; what they leave open is as the cursor has it.
    fn plan(&self, kept: Option<&Cursor>) -> Result<Plan, Failure> {
        let filter = Filter {
            countries: self.country.clone(),
            registries: self.registry.clone(),
            statuses: self.status.clone(),
            holders: self.holder.clone(),
            origins: self.origin.clone(),
            all: false,
        };
        let mut targets = Targets::new();
        for source in &self.prefixes {
            files::ranges(source, &filter, |range| targets.add(range))?;
        }
        for source in &self.exclude {
            files::ranges(source, &Filter::everything(), |range| targets.exclude(range))?;
        }
        for choice in &self.strategy {
            match choice {
                Choice::Known(strategy) => targets.strategy(strategy),
                Choice::Seeds { file, budget } => targets.strategy(&learned(file, *budget)?),
            }
        }
        if self.allow_special {
            targets.allow_special();
        }
        if let Some(length) = self.split {
            targets.split_at(length);
        }
        let space =
            targets.compile(&SpaceLimits::default()).map_err(|error| self.no_space(error))?;
        let order = self.order.or(kept.map(Cursor::order)).unwrap_or_default();
        let seed = self.seed.or(kept.map(Cursor::seed)).unwrap_or_default();
        Ok(Plan::new(space, order, seed))
    }

    fn no_space(&self, error: SpaceError) -> Failure {
        let failure = Failure::failed(error.to_string());
        match error {
            SpaceError::Empty if !self.allow_special => failure.fix(
                "see whether exclusions cover everything; reserved and local space needs --allow-special",
            ),
            SpaceError::TooManyPrefixes if self.split.is_some() => failure.fix("use a smaller --split"),
            _ => failure,
        }
    }

    fn walk(&self, plan: &Plan, kept: Option<&Cursor>) -> Result<Walk, Failure> {
        let Some(cursor) = kept else {
            return Ok(Walk::new(plan, self.shard.unwrap_or_default()));
        };
        let at = self.resume.as_deref().unwrap_or(Path::new("")).display();
        if let Some(shard) = self.shard.filter(|shard| *shard != cursor.shard()) {
            return Err(Failure::usage(format!(
                "{at} is of shard {}, not {shard}",
                cursor.shard()
            )));
        }
        cursor.resume(plan).map_err(|error| {
            Failure::usage(format!("{at}: {error}"))
                .fix("give the same options as before, or another --resume file")
        })
    }
}

/// No more addresses than these are learned from.
const KNOWN_MAX: usize = 1 << 20;

/// As many patterns are enough: each is looked for in each prefix.
const PATTERNS_MAX: usize = 1 << 10;

/// The patterns of the addresses in a file.
fn learned(file: &str, budget: u64) -> Result<Strategy, Failure> {
    let (mut learner, mut left_out) = (Learner::new(KNOWN_MAX), 0u64);
    files::ranges(file, &Filter::everything(), |range| {
        // A prefix says nothing about where its hosts are.
        if range.first() != range.last() || !learner.add(range.first()) {
            left_out += 1;
        }
    })?;
    if left_out > 0 {
        warn(format_args!(
            "{file}: learned nothing from {left_out} entries, prefixes or beyond {KNOWN_MAX} addresses"
        ));
    }
    Ok(Strategy::Patterns(learner.patterns(budget, PATTERNS_MAX)))
}

/// The cursor in a file, if the file is there.
fn kept_cursor(path: &Path) -> Result<Option<Cursor>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => Cursor::from_bytes(&bytes)
            .map(Some)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::failed(format!("can't read {}: {error}", path.display()))),
    }
}

/// Keeps a cursor, whole or not at all.
fn keep_cursor(path: &Path, cursor: &Cursor) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, cursor.to_bytes())
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| Failure::failed(format!("can't write {}: {error}", path.display())))
}

fn warn(text: impl std::fmt::Display) {
    note(format_args!("p2pnet: {text}"));
}
