//! Peers by the beginning of their id.

use crate::failure::Failure;
use p2pnet_protocol::PeerId;
use std::collections::BTreeSet;

/// The fewest digits that name a peer.
const PREFIX_DIGITS_MIN: usize = 8;
/// Candidates that an error lists.
const CANDIDATES_SHOWN_MAX: usize = 8;

/// The peer that `text` names: a whole id, known or not, or a prefix of exactly one of the `known`.
///
/// # Errors
/// The text is no prefix, or fits no peer, or several; the failure lists them.
pub(crate) fn peer(text: &str, known: impl IntoIterator<Item = PeerId>) -> Result<PeerId, Failure> {
    if let Ok(peer) = text.parse() {
        return Ok(peer);
    }
    let hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || !(PREFIX_DIGITS_MIN..64).contains(&text.len()) {
        return Err(Failure::usage(format!("\"{}\" names no peer", text.escape_debug())).fix(
            "write a peer's id, or at least its first 8 hex digits; `p2pnet peers` lists them",
        ));
    }
    let fitting: BTreeSet<PeerId> =
        known.into_iter().filter(|peer| peer.starts_with(text)).collect();
    let mut candidates = fitting.iter();
    match (candidates.next(), candidates.next()) {
        (Some(peer), None) => Ok(*peer),
        (None, _) => Err(Failure::failed(format!("no known peer's id begins with {text}"))
            .fix("`p2pnet peers` lists the known peers; a whole id of 64 digits always works")),
        _ => Err(ambiguous(text, &fitting)),
    }
}

fn ambiguous(text: &str, fitting: &BTreeSet<PeerId>) -> Failure {
    let mut problem = format!("{} peers' ids begin with {text}:", fitting.len());
    for peer in fitting.iter().take(CANDIDATES_SHOWN_MAX) {
        problem.push_str(&format!("\n    {peer}"));
    }
    if fitting.len() > CANDIDATES_SHOWN_MAX {
        problem.push_str("\n    ...");
    }
    Failure::failed(problem).fix("write more digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8, last: u8) -> PeerId {
        let mut bytes = [0xab; 32];
        bytes[0] = first;
        bytes[31] = last;
        PeerId(bytes)
    }

    #[test]
    fn unique_prefixes_name_their_peer() {
        let known = [id(1, 1), id(2, 1), id(2, 1)];
        assert_eq!(peer("02ababab", known), Ok(id(2, 1)));
        assert_eq!(peer("02ABABABAB", known), Ok(id(2, 1)));
        let stranger = id(9, 9);
        assert_eq!(peer(&stranger.to_string(), known), Ok(stranger));
    }

    #[test]
    fn the_rest_is_refused_and_says_why() {
        let known = [id(2, 1), id(2, 2)];
        let said = peer("02ababab", known).unwrap_err().to_string();
        assert!(said.starts_with("p2pnet: 2 peers' ids begin with 02ababab:\n    02ab"), "{said}");
        assert!(said.contains(&id(2, 2).to_string()), "{said}");
        assert!(peer("03ababab", known).unwrap_err().to_string().contains("no known peer's id"));
        for bad in ["", "02ababa", "02ababax", &"0".repeat(65), "02abab\u{1b}[0m"] {
            let said = peer(bad, known).unwrap_err().to_string();
            assert!(said.contains("names no peer") && !said.contains('\u{1b}'), "{said}");
        }
    }
}
