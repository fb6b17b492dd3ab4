//! `inspect`: tells what nodes said in a capture. The reading is done by [`p2pnet_inspect`]; here it is printed.

mod words;

use crate::args;
use crate::failure::Failure;
use crate::out::note;
use crate::text::Palette;
use p2pnet_crypto::FastCrypto;
use p2pnet_inspect::{Capture, CaptureError, Finding, Inspector, KeyLog, KeyLogError, Limits};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Stdout, Write};
use std::path::Path;

/// Reads the capture and prints what is in it.
///
/// # Errors
/// A file can't be read, or isn't what it should be.
pub(crate) fn run(args: &args::Inspect) -> Result<(), Failure> {
    let mut keys = KeyLog::default();
    for path in &args.keylog {
        read_keys(path, &mut keys)?;
    }
    let crypto = FastCrypto::new()
        .map_err(|_| Failure::failed("the operating system gives no randomness"))?;
    let path = &args.capture;
    let mut capture = Capture::open(open(path)?).map_err(|error| damaged(path, &error))?;
    let mut inspector = Inspector::new(crypto, keys, Limits::default());
    let mut printer = Printer::on_stdout(args);
    let read = loop {
        match capture.next_frame() {
            Ok(Some(frame)) => inspector.on_frame(&frame, &mut |finding| printer.print(&finding)),
            Ok(None) => break Ok(()),
            Err(error) => break Err(damaged(path, &error)),
        }
        if !printer.flush() {
            break Ok(());
        }
    };
    // What was read before a damaged place is still worth telling.
    inspector.finish(&mut |finding| printer.print(&finding));
    printer.finish()?;
    if capture.is_cut_short() {
        note(format_args!("p2pnet: {} ends within a frame", shown(path)));
    }
    read
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(BufReader::new(file)))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("can't read {}: {error}", shown(path)))
}

fn damaged(path: &Path, error: &CaptureError) -> Failure {
    match error {
        CaptureError::Io(error) => unreadable(path, error),
        other => Failure::usage(format!("{}: {other}", shown(path))),
    }
}

fn read_keys(path: &Path, keys: &mut KeyLog) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    keys.read_more(BufReader::new(file)).map_err(|error| match error {
        KeyLogError::Io(error) => unreadable(path, &error),
        other => Failure::usage(format!("{} is no key log: {other}", shown(path)))
            .fix("name the file that a node wrote with `p2pnet up --keylog FILE`"),
    })
}

/// Prints findings until nobody reads them any more.
struct Printer<W: Write = BufWriter<Stdout>> {
    to: W,
    all: bool,
    json: bool,
    palette: Palette,
    /// Why nothing more can be printed.
    end: Option<io::Error>,
}

impl Printer {
    fn on_stdout(args: &args::Inspect) -> Self {
        let palette = Palette::for_stdout();
        Self {
            to: BufWriter::new(io::stdout()),
            all: args.all,
            json: args.json,
            palette,
            end: None,
        }
    }
}

impl<W: Write> Printer<W> {
    fn print(&mut self, finding: &Finding) {
        if self.end.is_some() || (finding.what.is_routine() && !self.all) {
            return;
        }
        let line = match self.json {
            true => serde_json::to_string(finding).map_err(io::Error::other),
            false => Ok(words::line(finding, self.palette)),
        };
        self.end = line.and_then(|line| writeln!(self.to, "{line}")).err();
    }

    /// Hands over what was printed, so that a capture that still runs is told as it comes. Says whether somebody reads.
    fn flush(&mut self) -> bool {
        if self.end.is_none() {
            self.end = self.to.flush().err();
        }
        self.end.is_none()
    }

    /// Says whether all went well. That its reader left early, as with `| head`, is no failure.
    fn finish(mut self) -> Result<(), Failure> {
        self.flush();
        match self.end {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::failed(format!("can't write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::Broken;
    use p2pnet_inspect::{Summary, Timestamp, What};

    fn told_to(kind: io::ErrorKind) -> (bool, Result<(), Failure>) {
        let palette = Palette::PLAIN;
        let mut printer = Printer { to: Broken(kind), all: false, json: true, palette, end: None };
        let what = What::Summary(Summary::default());
        printer.print(&Finding { time: Timestamp(0), what });
        (printer.flush(), printer.finish())
    }

    #[test]
    fn a_reader_may_leave_and_a_full_disk_is_told() {
        assert_eq!(told_to(io::ErrorKind::BrokenPipe), (false, Ok(())));
        let (goes_on, told) = told_to(io::ErrorKind::StorageFull);
        assert!(!goes_on);
        assert!(told.unwrap_err().to_string().contains("can't write to standard output"));
    }
}
