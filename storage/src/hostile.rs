//! Names that somebody might send to escape, overwrite or deceive: the corpus of the tests and of the fuzzer.

/// One name a line, with `\u{…}`, `\0`, `\r`, `\n`, `\t` and `\\` as in Rust; lines that begin with `#` are comments.
const LITERAL: &str = include_str!("hostile.txt");

/// What names are put together from.
pub const PIECES: &[&str] = &[
    "..",
    ".",
    "/",
    "\\",
    "\0",
    ":",
    "~",
    "~1",
    " ",
    "-",
    "con",
    "NUL",
    "com1",
    "lpt¹",
    "a",
    "B",
    "é",
    "e\u{301}",
    "ß",
    "ẞ",
    "ſ",
    "İ",
    "ı",
    "\u{202e}",
    "\u{200d}",
    "\u{feff}",
    "\u{ff0e}",
    "\u{ff0f}",
    "\u{2024}",
    "\u{3000}",
    "ＣＯＮ",
    "\u{1f468}",
    "\u{fe0f}",
    "\u{e000}",
    "\u{fffd}",
    "\r\n",
    "\u{7f}",
    "\u{85}",
    "$DATA",
    "*",
    "?",
    "|",
    "\"",
    "<",
    ">",
    ".txt",
    ".lnk",
    "\u{327}",
    "\u{212a}",
    "\u{2126}",
    "ﬁ",
    "½",
    "\u{2100}",
    "\u{33c7}",
    "9",
    "inf",
    "autorun",
    "desktop.ini",
    "\u{1100}\u{1161}",
    "\u{ac00}",
    "\u{345}",
    "\u{3b1}",
];

/// The whole corpus.
pub fn names() -> Vec<String> {
    let literal = LITERAL.lines().filter(|line| !line.starts_with('#')).map(unescape);
    let mut names: Vec<String> = literal.collect();
    traversals(&mut names);
    devices(&mut names);
    singles(&mut names);
    collisions(&mut names);
    aliases(&mut names);
    lengths(&mut names);
    names
}

fn unescape(line: &str) -> String {
    let (mut text, mut rest) = (String::new(), line);
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let (code, left) = match after.strip_prefix("u{").and_then(|hex| hex.split_once('}')) {
            Some((hex, left)) => (u32::from_str_radix(hex, 16).unwrap_or(0xfffd), left),
            None => {
                let mut characters = after.chars();
                let code = match characters.next() {
                    Some('0') => 0,
                    Some('n') => 10,
                    Some('r') => 13,
                    Some('t') => 9,
                    other => other.map_or(0x5c, u32::from),
                };
                (code, characters.as_str())
            }
        };
        text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
        rest = left;
    }
    text + rest
}

fn traversals(names: &mut Vec<String>) {
    for dots in [
        "..",
        "...",
        ".",
        "\u{ff0e}\u{ff0e}",
        "\u{2024}\u{2024}",
        "\u{2025}",
        "%2e%2e",
        ".\u{200b}.",
        ".. ",
    ] {
        for separator in
            ["/", "\\", "\u{2215}", "\u{ff0f}", "\u{ff3c}", "\u{2044}", "%2f", "/\0", "\\/"]
        {
            for target in ["victim", "", ".."] {
                names.push(format!("{dots}{separator}{dots}{separator}{target}"));
            }
        }
    }
}

fn devices(names: &mut Vec<String>) {
    let ports = (0..=9).flat_map(|n| [format!("COM{n}"), format!("lpt{n}")]);
    let plain =
        ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$", "COM¹", "LPT³", "ＡＵＸ"];
    for device in plain.iter().map(ToString::to_string).chain(ports) {
        for end in ["", ".txt", " .txt", ".", ":", ".tar.gz"] {
            names.push(format!("{device}{end}"));
        }
    }
}

/// Each character that means something, at the beginning, in the middle, and at the end.
fn singles(names: &mut Vec<String>) {
    let controls = (0..0x20).chain(0x7f..0xa1).filter_map(char::from_u32);
    let others = "/\\:*?\"<>|~-. '`$%&;!#@\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2069}\
                  \u{feff}\u{fffe}\u{fdd0}\u{e000}\u{f03a}\u{10ffff}\u{2028}\u{2029}\u{3000}\u{00a0}\u{e0001}";
    for character in controls.chain(others.chars()) {
        names.extend([
            format!("{character}x.txt"),
            format!("x{character}y"),
            format!("x.txt{character}"),
        ]);
    }
}

/// Groups of names that some file system takes for one.
fn collisions(names: &mut Vec<String>) {
    for group in [
        &[
            "collide.txt",
            "COLLIDE.TXT",
            "Collide.txt",
            "collide.txt.",
            "collide.txt ",
            "ｃｏｌｌｉｄｅ.txt",
        ][..],
        &["caf\u{e9}", "cafe\u{301}", "CAF\u{c9}", "CAFE\u{301}", "caf\u{e9}\u{200d}"],
        &["stra\u{df}e", "STRASSE", "stra\u{1e9e}e", "strasse"],
        &["kelvin\u{212a}", "kelvink", "KELVINK"],
        &["\u{fb01}le", "file", "FILE", "\u{fb01}LE"],
        &["\u{3a3}\u{3c3}\u{3c2}", "\u{3c3}\u{3c3}\u{3c3}", "\u{3a3}\u{3a3}\u{3a3}"],
        &["\u{ac00}", "\u{1100}\u{1161}"],
        &["i", "I", "\u{131}", "\u{130}"],
        &["\u{2126}hm", "\u{3c9}hm", "\u{3a9}hm"],
    ] {
        names.extend(group.iter().map(ToString::to_string));
    }
}

/// The short names that FAT gives to long ones, and names that get the same.
fn aliases(names: &mut Vec<String>) {
    for stem in ["PROGRA", "LONGFI", "REPORT", "A", "ABCDEFG"] {
        for end in ["~1", "~2", "~1.TXT", "~9.txt", "~10.JPG"] {
            names.push(format!("{stem}{end}"));
        }
    }
    names.extend((0..20).map(|n| format!("long file name number {n}.text")));
    names.extend((0..10).map(|n| format!("longfilename{n}.txt")));
}

fn lengths(names: &mut Vec<String>) {
    for length in [8, 11, 13, 26, 127, 239, 240, 241, 254, 255, 256, 1_000, 5_000] {
        names.push("n".repeat(length));
        names.push(format!("{}.txt", "\u{e4}".repeat(length)));
        names.push(format!("{}/x", "d".repeat(length)));
        names.push(format!("x{}", " .".repeat(length)));
        names.push("\u{1f600}".repeat(length));
        names.push(format!("x.{}", "e".repeat(length)));
    }
}
