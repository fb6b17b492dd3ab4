//! Text for a terminal: what peers say can't command it.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// `text` with everything escaped that a terminal would act upon or that would make a line look like another: control
/// characters, and the marks that turn the direction of writing.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || is_deceptive(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// [`clean`], but for the ends of lines, which stay.
pub(crate) fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// Line and paragraph separators, direction marks, embeddings, overrides and isolates.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Colours, where they are wanted: on a terminal that isn't dumb, unless `NO_COLOR` is set (no-color.org).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    on: bool,
}

impl Palette {
    /// Colours as standard output wants them.
    pub(crate) fn for_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { on: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb }
    }

    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { on: false };

    fn paint(self, code: u8, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }

    /// For names of peers.
    pub(crate) fn name(self, text: &str) -> String {
        self.paint(36, text)
    }

    /// For good news.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint(32, text)
    }

    /// For what needs attention.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint(31, text)
    }

    /// For what is said beside the matter.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint(2, text)
    }
}

/// A table whose columns line up; the last one is not padded. Cells hold no escapes.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let header: Vec<String> = header.iter().map(|cell| cell.to_string()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A count of bytes in two or three digits and a unit.
pub(crate) fn size(bytes: u64) -> String {
    let mut amount = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 10_000 {
            return format!("{amount} {unit}");
        }
        amount /= 1024;
    }
    format!("{amount} TiB")
}

/// A span of milliseconds in one unit.
pub(crate) fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis / 1_000),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_commanded() {
        let hostile = "a\u{1b}]0;title\u{7}b\u{9b}2Jc\u{7f}d\ne\r\u{202e}f\u{2028}g";
        let said = clean(hostile);
        assert_eq!(said, "a\\u{1b}]0;title\\u{7}b\\u{9b}2Jc\\u{7f}d\\ne\\r\\u{202e}f\\u{2028}g");
        assert!(!said.chars().any(char::is_control));
        assert_eq!(clean("Grüße, 世界 👋"), "Grüße, 世界 👋");
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".into(), "long".into()], vec!["bcd".into(), String::new()]];
        assert_eq!(table(&["X", "Y"], &rows), "X    Y\na    long\nbcd\n");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            (size(9_999), size(10_240), size(u64::MAX)),
            ("9999 B".into(), "10 KiB".into(), "16777215 TiB".into())
        );
        assert_eq!(
            (span(5), span(61_000), span(600_000), span(u64::MAX)),
            ("5 ms".into(), "61 s".into(), "10 min".into(), "5124095576030 h".into())
        );
    }
}
