//! Names that came from outside, made harmless.
//!
//! [`sanitise`] gives a name that is one plain component on every common file system; [`key`] tells which names some
//! file system would take for the same; [`numbered`] finds a free one. A name that is sanitised stays as it is when it
//! is sanitised again.
//!
//! What a sanitised name never has: separators and drives, streams, wildcards, control and invisible characters,
//! characters that become one of these in another Unicode form, a dot, a hyphen or a tilde at its beginning, a dot or
//! a space at its end, the name of a device, the form of a short alias (`PROGRA~1`), more than [`NAME_BYTES_MAX`]
//! bytes.

use std::collections::HashSet;
use unicode_normalization::UnicodeNormalization as _;

/// The most bytes of a sanitised name: a number still fits within the 255 that file systems allow.
pub const NAME_BYTES_MAX: usize = 240;

/// What a name is called that has nothing to keep.
const NAMELESS: &str = "file";

/// The longest ending that is kept when a name is cut, in bytes.
const EXTENSION_BYTES_MAX: usize = 16;

/// Nobody reads further into a name.
const CHARACTERS_MAX: usize = 4096;

/// Passes after which a name must have settled.
const PASSES_MAX: usize = 8;

/// The plain name nearest to the one that is wanted.
pub fn sanitise(wanted: &str) -> String {
    let head: String = wanted.chars().take(CHARACTERS_MAX).collect();
    let last = head.rsplit(['/', '\\']).map(pass).find(|name| !name.is_empty());
    let mut name = last.unwrap_or_default();
    for _ in 0..PASSES_MAX {
        let next = pass(&name);
        if next == name {
            break;
        }
        name = next;
    }
    if name.is_empty() || pass(&name) != name { NAMELESS.to_owned() } else { name }
}

/// What names have in common that a file system may take for the same: regardless of case, of Unicode forms, of what
/// can't be seen, and of what some systems drop from a name's end.
pub fn key(name: &str) -> String {
    let fold = |text: String| -> String {
        text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
    };
    // Twice, since some capitals have a small form with another capital: `ẞ`, `ß`, `SS`.
    let folded = fold(fold(name.nfkc().filter(|c| !is_invisible(*c)).collect()));
    folded.nfc().filter(|c| !is_invisible(*c)).collect::<String>().trim_end_matches(END).to_owned()
}

/// The name itself or, where its [`key`] is `taken`, the name with the lowest number that is free: `report (2).pdf`.
pub fn numbered(name: &str, taken: &HashSet<String>) -> String {
    let (stem, extension) = split(name);
    let candidates = (2_u64..).map(|number| format!("{stem} ({number}){extension}"));
    // There are more numbers than names.
    std::iter::once(name.to_owned())
        .chain(candidates)
        .find(|candidate| !taken.contains(&key(candidate)))
        .unwrap_or_default()
}

/// Whether a name can be the name of something within a directory. It need not be sanitised: the operator may have
/// put any file into a store.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 1024
        && name != "."
        && name != ".."
        && !name.contains(['/', '\0'])
}

const END: [char; 2] = ['.', ' '];

fn pass(name: &str) -> String {
    let mapped: String = name.nfc().filter_map(harmless).nfc().collect();
    let mut name = mapped.trim_start_matches(' ').trim_end_matches(ends_badly).to_owned();
    break_alias(&mut name);
    if let Some(first) = name.chars().next().filter(|first| begins_badly(*first)) {
        name.replace_range(..first.len_utf8(), "_");
    }
    if is_reserved(&name) {
        name.insert(0, '_');
    }
    cut(&name)
}

/// Whether a name mustn't begin so: hidden files, options of commands, homes of users.
fn begins_badly(character: char) -> bool {
    std::iter::once(character).nfkc().next().is_some_and(|first| matches!(first, '.' | '-' | '~'))
}

/// Whether a name mustn't end so: some systems drop it.
fn ends_badly(character: char) -> bool {
    std::iter::once(character).nfkc().last().is_some_and(|last| END.contains(&last))
}

/// What stands for a character, if anything does.
fn harmless(character: char) -> Option<char> {
    if is_invisible(character) {
        return None;
    }
    if character.is_whitespace() {
        return Some(' ');
    }
    let compatible = std::iter::once(character).nfkc();
    if is_forbidden(character) || compatible.into_iter().any(is_forbidden) {
        return Some('_');
    }
    Some(character)
}

/// Characters that mean something in names somewhere, or that no name should have.
fn is_forbidden(character: char) -> bool {
    matches!(character, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '\u{fffd}')
        || character.is_control()
        // Private use: some systems keep forbidden characters there. And what will never be a character.
        || matches!(character as u32, 0xe000..=0xf8ff | 0xf_0000..)
        || matches!(character as u32 & 0xfffe, 0xfffe)
        || matches!(character as u32, 0xfdd0..=0xfdef)
}

/// Characters that are not seen, or that change how others are seen (Unicode's format characters and default
/// ignorables).
fn is_invisible(character: char) -> bool {
    matches!(
        character as u32,
        0xad | 0x34f | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2
            | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
            | 0xfff0..=0xfffb | 0x110bd | 0x110cd | 0x1_3430..=0x1_343f | 0x1_bca0..=0x1_bca3
            | 0x1_d173..=0x1_d17a | 0xe_0000..=0xe_0fff
    )
}

/// No tilde stands before a digit: such names are short aliases of long ones on FAT and NTFS.
fn break_alias(name: &mut String) {
    let is_alias = |pair: &[char]| pair[0] == '~' && pair[1].is_ascii_digit();
    let characters: Vec<char> = name.nfkc().collect();
    if characters.windows(2).any(is_alias) {
        *name = name.chars().map(|c| if is_tilde(c) { '_' } else { c }).collect();
    }
}

fn is_tilde(character: char) -> bool {
    std::iter::once(character).nfkc().any(|c| c == '~')
}

/// Devices and files that a system looks for by name, whatever the ending.
fn is_reserved(name: &str) -> bool {
    const WHOLE: [&str; 4] = ["autorun.inf", "desktop.ini", "thumbs.db", "ehthumbs.db"];
    const DEVICES: [&str; 8] =
        ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$", "config$"];
    let key = key(name);
    if WHOLE.contains(&key.as_str()) {
        return true;
    }
    let stem = key.split('.').next().unwrap_or_default().trim_end();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = port.is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    DEVICES.contains(&stem) || is_port
}

/// A name's stem and its ending with the dot, if it has a short one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at @ 1..) if name.len() - at <= EXTENSION_BYTES_MAX => name.split_at(at),
        _ => (name, ""),
    }
}

fn cut(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    let mut end = NAME_BYTES_MAX - extension.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", stem[..end].trim_end_matches(ends_badly))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile;
    use proptest::prelude::*;

    fn taken(names: &[&str]) -> HashSet<String> {
        names.iter().map(|name| key(name)).collect()
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in [
            "report.pdf",
            "Überblick (2).txt",
            "日本語.txt",
            "a b.tar.gz",
            "x~",
            "CONtract.doc",
            "👋.png",
        ] {
            assert_eq!(sanitise(name), name);
        }
    }

    #[test]
    fn each_kind_of_hostile_name_is_tamed() {
        for (hostile, tame) in [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\x.dll", "x.dll"),
            ("..", NAMELESS),
            ("/", NAMELESS),
            ("", NAMELESS),
            ("dir/", "dir"),
            ("C:evil", "C_evil"),
            ("a.txt:stream", "a.txt_stream"),
            ("nul\0byte", "nul_byte"),
            ("CON", "_CON"),
            ("con .txt", "_con .txt"),
            ("COM¹.log", "_COM¹.log"),
            ("ＣＯＮ", "_ＣＯＮ"),
            ("evil\u{202e}gpj.exe", "evilgpj.exe"),
            ("a\u{ff0f}b", "a_b"),
            ("PROGRA~1", "PROGRA_1"),
            ("trailing. . ", "trailing"),
            (".bashrc", "_bashrc"),
            ("-rf", "_rf"),
            ("autorun.inf", "_autorun.inf"),
            ("e\u{301}", "é"),
        ] {
            assert_eq!(sanitise(hostile), tame, "{hostile:?}");
        }
    }

    #[test]
    fn over_long_names_keep_their_ending() {
        let name = sanitise(&format!("{}.jpeg", "ä".repeat(300)));
        assert!(name.len() <= NAME_BYTES_MAX && name.ends_with("ä.jpeg"), "{name}");
        assert_eq!(sanitise(&"x".repeat(100_000)).len(), NAME_BYTES_MAX);
    }

    #[test]
    fn a_clash_by_case_or_form_gets_a_number() {
        let names = taken(&["Report.pdf", "report (2).PDF", "é", "Straße", "file"]);
        assert_eq!(numbered("REPORT.pdf", &names), "REPORT (3).pdf");
        assert_eq!(numbered("e\u{301}", &names), "e\u{301} (2)");
        assert_eq!(numbered("STRASSE", &names), "STRASSE (2)");
        assert_eq!(numbered("STRAẞE", &names), "STRAẞE (2)");
        assert_eq!(numbered("ｆｉｌｅ", &names), "ｆｉｌｅ (2)");
        assert_eq!(numbered("new", &names), "new");
    }

    #[test]
    fn the_corpus_is_large_and_every_name_in_it_becomes_plain() {
        let names = hostile::names();
        assert!(names.iter().collect::<HashSet<_>>().len() >= 500, "{}", names.len());
        for name in names {
            check(&name);
        }
    }

    /// What holds for any name.
    fn check(wanted: &str) {
        let name = sanitise(wanted);
        assert!(is_plain(&name), "{wanted:?} gave {name:?}");
        assert_eq!(sanitise(&name), name, "{wanted:?} doesn't settle");
        assert!(name.len() <= NAME_BYTES_MAX);
        for form in [name.clone(), name.nfd().collect(), name.nfkc().collect(), key(&name)] {
            assert!(!form.contains(is_forbidden), "{wanted:?} gave {form:?}");
            assert!(!form.starts_with(['.', '-']) && !form.ends_with(END), "{form:?}");
            assert!(!is_reserved(&form), "{form:?}");
        }
        assert!(!name.starts_with(' '));
        let again = numbered(&name, &taken(&[&name]));
        assert!(key(&again) != key(&name) && again.len() <= 255);
        assert!(again.len() > NAME_BYTES_MAX || sanitise(&again) == again);
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_plain_name(wanted in "\\PC*") {
            check(&wanted);
        }

        #[test]
        fn any_mix_of_what_is_dangerous_becomes_a_plain_name(
            parts in prop::collection::vec(prop::sample::select(hostile::PIECES), 0..12)
        ) {
            check(&parts.concat());
        }
    }
}
