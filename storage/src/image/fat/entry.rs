//! Directory entries: short names, long names, times.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const SLOT_BYTES: usize = 32;
/// UTF-16 units in a slot of a long name.
const UNITS_PER_SLOT: usize = 13;
/// The longest long name.
pub(crate) const NAME_UNITS_MAX: usize = 255;
/// The most slots that one file takes.
pub(crate) const SLOTS_MAX: usize = NAME_UNITS_MAX.div_ceil(UNITS_PER_SLOT) + 1;
const UNIT_PLACES: [usize; UNITS_PER_SLOT] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const LONG: u8 = 0x0f;
const ARCHIVE: u8 = 0x20;
const LAST_LONG: u8 = 0x40;

/// Eight letters and three.
pub(crate) type ShortName = [u8; 11];

/// What ties a long name to its short one.
pub(crate) fn checksum(short: &ShortName) -> u8 {
    short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// A short name as people write it.
pub(crate) fn show(short: &ShortName) -> String {
    let part = |bytes: &[u8]| -> String {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        text.trim_end_matches(' ').to_owned()
    };
    let (stem, extension) = (part(&short[..8]), part(&short[8..]));
    if extension.is_empty() { stem } else { format!("{stem}.{extension}") }
}

/// A short name that stands alone, whose two parts may be marked as lower case.
pub(crate) fn show_as_stored(short: &ShortName, marks: u8) -> String {
    let lower = |bytes: &[u8], mark: u8| {
        if marks & mark == 0 { bytes.to_vec() } else { bytes.to_ascii_lowercase() }
    };
    let both = [lower(&short[..8], 0x08), lower(&short[8..], 0x10)].concat();
    both.try_into().map_or_else(|_| show(short), |short| show(&short))
}

fn is_short(character: char) -> bool {
    character.is_ascii_uppercase()
        || character.is_ascii_digit()
        || "!#$%&'()-@^_`{}~".contains(character)
}

/// Eight and three of a name's letters, and whether that is all of them.
fn basis(name: &str) -> (String, String, bool) {
    let upper = name.to_ascii_uppercase();
    let (stem, extension) = upper.rsplit_once('.').unwrap_or((&upper, ""));
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|c| !matches!(c, ' ' | '.'));
        kept.map(|c| if is_short(c) { c } else { '_' }).collect()
    };
    let (short_stem, short_extension) = (plain(stem), plain(extension));
    let is_all = short_stem == stem
        && short_extension == extension
        && (1..=8).contains(&stem.len())
        && extension.len() <= 3
        && upper.ends_with(extension);
    let head = |text: &str, count: usize| text.chars().take(count).collect::<String>();
    (head(&short_stem, 8), head(&short_extension, 3), is_all)
}

fn pack(stem: &str, extension: &str) -> ShortName {
    let mut short = [b' '; 11];
    short[..8].iter_mut().zip(stem.bytes()).for_each(|(to, from)| *to = from);
    short[8..].iter_mut().zip(extension.bytes()).for_each(|(to, from)| *to = from);
    short
}

/// A short name for a long one that isn't taken: its own letters if they fit, else some of them and a number.
pub(crate) fn short_name(name: &str, is_taken: impl Fn(&ShortName) -> bool) -> Option<ShortName> {
    let (stem, extension, is_all) = basis(name);
    let own = pack(&stem, &extension);
    if is_all && !is_taken(&own) {
        return Some(own);
    }
    let stem = if stem.is_empty() { "_".to_owned() } else { stem };
    (1_u32..=999_999)
        .map(|number| {
            let tail = format!("~{number}");
            let head: String = stem.chars().take(8 - tail.len()).collect();
            pack(&(head + &tail), &extension)
        })
        .find(|short| !is_taken(short))
}

/// How many slots a file of this name takes.
pub(crate) fn slots(name: &str, short: &ShortName) -> usize {
    if show(short) == name { 1 } else { name.encode_utf16().count().div_ceil(UNITS_PER_SLOT) + 1 }
}

/// All slots of a new file.
pub(crate) fn encode(
    name: &str,
    short: &ShortName,
    first_cluster: u32,
    size: u32,
    now: SystemTime,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    if slots(name, short) > 1 {
        let mut units: Vec<u16> = name.encode_utf16().collect();
        // An end, where there is room for one, and then what isn't any character.
        if !units.len().is_multiple_of(UNITS_PER_SLOT) {
            units.push(0);
        }
        units.resize(units.len().next_multiple_of(UNITS_PER_SLOT), 0xffff);
        let pieces: Vec<&[u16]> = units.chunks(UNITS_PER_SLOT).collect();
        for (number, piece) in pieces.iter().enumerate().rev() {
            let mut slot = [0; SLOT_BYTES];
            let is_last = number + 1 == pieces.len();
            slot[0] = (number + 1) as u8 | if is_last { LAST_LONG } else { 0 };
            slot[11] = LONG;
            slot[13] = checksum(short);
            for (place, unit) in UNIT_PLACES.iter().zip(*piece) {
                slot[*place..place + 2].copy_from_slice(&unit.to_le_bytes());
            }
            bytes.extend(slot);
        }
    }
    bytes.extend(short_slot(short, first_cluster, size, now));
    bytes
}

fn short_slot(
    short: &ShortName,
    first_cluster: u32,
    size: u32,
    now: SystemTime,
) -> [u8; SLOT_BYTES] {
    let (date, time, tenths) = timestamp(now);
    let mut slot = [0; SLOT_BYTES];
    slot[..11].copy_from_slice(short);
    slot[11] = ARCHIVE;
    slot[13] = tenths;
    slot[14..16].copy_from_slice(&time.to_le_bytes());
    slot[16..18].copy_from_slice(&date.to_le_bytes());
    slot[18..20].copy_from_slice(&date.to_le_bytes());
    slot[20..22].copy_from_slice(&((first_cluster >> 16) as u16).to_le_bytes());
    slot[22..24].copy_from_slice(&time.to_le_bytes());
    slot[24..26].copy_from_slice(&date.to_le_bytes());
    slot[26..28].copy_from_slice(&(first_cluster as u16).to_le_bytes());
    slot[28..].copy_from_slice(&size.to_le_bytes());
    slot
}

/// Date, time in steps of two seconds, and hundredths beyond that; in UTC, from 1980 to 2107.
fn timestamp(now: SystemTime) -> (u16, u16, u8) {
    const FIRST: u64 = 315_532_800;
    const LAST: u64 = 4_354_819_198;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().clamp(FIRST, LAST);
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    let date = (((year - 1980) << 9) | (month << 5) | day) as u16;
    let time = (((of_day / 3_600) << 11) | ((of_day / 60 % 60) << 5) | (of_day % 60 / 2)) as u16;
    (date, time, (seconds % 2 * 100 + u64::from(since.subsec_millis() / 10)) as u8)
}

/// Year, month and day of a day after 1970, by counting from a first of March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The long name of the slots before a short one, if they belong to it.
pub(crate) fn long_name(slots: &[&[u8]], short: &ShortName) -> Option<String> {
    let mut units = Vec::new();
    let last = slots.first()?;
    for (number, slot) in slots.iter().rev().enumerate() {
        let expected = (number + 1) as u8 | if std::ptr::eq(slot, last) { LAST_LONG } else { 0 };
        if slot.first() != Some(&expected) || slot.get(13) != Some(&checksum(short)) {
            return None;
        }
        for place in UNIT_PLACES {
            units.push(u16::from_le_bytes([*slot.get(place)?, *slot.get(place + 1)?]));
        }
    }
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16(units.get(..end)?).ok().filter(|name| !name.is_empty())
}

pub(crate) fn is_long(slot: &[u8]) -> bool {
    slot.get(11).is_some_and(|attributes| attributes & 0x3f == LONG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    #[test]
    fn short_names_are_made_as_usual_and_differ() {
        let mut taken = HashSet::new();
        let mut next = |name: &str| {
            let short = short_name(name, |short| taken.contains(short)).unwrap();
            taken.insert(short);
            show(&short)
        };
        assert_eq!(next("readme.txt"), "README.TXT");
        assert_eq!(next("ReadMe.txt"), "README~1.TXT");
        assert_eq!(next("long file name.text"), "LONGFI~1.TEX");
        assert_eq!(next("long file name 2.text"), "LONGFI~2.TEX");
        assert_eq!(next("日本語"), "___~1");
        assert_eq!(next("a.tar.gz"), "ATAR~1.GZ");
        for number in 1..=200 {
            next(&format!("many of them {number}"));
        }
        assert_eq!(next("many of them"), "MANY~201");
    }

    #[test]
    fn times_are_told_as_fat_does() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_millis(seconds));
        assert_eq!(at(0).0, (1 << 5) | 1, "nothing is older than 1980");
        // 2024-02-29 13:37:43.250
        let (date, time, tenths) = at(1_709_213_863_250);
        assert_eq!(date, (44 << 9) | (2 << 5) | 29);
        assert_eq!((time, tenths), ((13 << 11) | (37 << 5) | 21, 125));
        assert_eq!(at(u64::MAX).0 >> 9, 127);
    }

    #[test]
    fn long_names_round_trip_at_every_length() {
        for length in 1..=NAME_UNITS_MAX {
            let name: String = "aß日".chars().cycle().take(length).collect();
            let short = short_name(&name, |_| false).unwrap();
            let bytes = encode(&name, &short, 0x12345, 99, UNIX_EPOCH);
            let all: Vec<&[u8]> = bytes.chunks(SLOT_BYTES).collect();
            assert_eq!(all.len(), slots(&name, &short));
            let (last, long) = all.split_last().unwrap();
            assert_eq!(last[..11], short);
            assert_eq!(long_name(long, &short).as_deref(), Some(name.as_str()));
            assert_eq!(long_name(long, b"ANOTHER    "), None);
        }
    }
}
