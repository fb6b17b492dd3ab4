//! Standard output of `up`: text for people or one JSON object a line, flushed line by line.

use crate::present::Presenter;
use crate::story::Line;
use crate::text::Palette;
use p2pnet_driver::interfaces::scan;
use std::io::{self, Write};
use std::net::IpAddr;

/// Where the story goes.
pub(crate) struct Report<W> {
    out: W,
    form: Form,
}

enum Form {
    Text(Presenter),
    Json,
}

impl Report<io::Stdout> {
    /// A report on standard output.
    pub(crate) fn on_stdout(json: bool) -> Self {
        let form = match json {
            true => Form::Json,
            false => Form::Text(Presenter::new(Palette::for_stdout(), reachable())),
        };
        Self { out: io::stdout(), form }
    }
}

/// This host's addresses, but for those that mean something else elsewhere.
fn reachable() -> Vec<IpAddr> {
    let addresses =
        scan().unwrap_or_default().into_iter().flat_map(|interface| interface.addresses);
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    addresses.map(|entry| entry.address).filter(usable).collect()
}

impl<W: Write> Report<W> {
    /// Tells one line.
    ///
    /// # Errors
    /// The other end of standard output is gone.
    pub(crate) fn tell(&mut self, line: &Line) -> io::Result<()> {
        let mut text = match &mut self.form {
            Form::Json => serde_json::to_string(line)?,
            Form::Text(presenter) => match presenter.show(line) {
                Some(text) => text,
                None => return Ok(()),
            },
        };
        text.push('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Whether this is for people.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.form, Form::Text(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_object_a_line() {
        let mut report = Report { out: Vec::new(), form: Form::Json };
        report.tell(&Line::Warning { text: "a\nb".into() }).unwrap();
        report.tell(&Line::Stopped).unwrap();
        let text = String::from_utf8(report.out).unwrap();
        let events: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 2);
        assert_eq!((&events[0]["text"], &events[1]["event"]), (&"a\nb".into(), &"stopped".into()));
    }
}
