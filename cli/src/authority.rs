//! `authority`: a network's authority and the certificates that it issues.

use crate::args;
use crate::failure::Failure;
use crate::files::SmallFile;
use crate::out::{note, out};
use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::trust::certificate::Certificate;
use p2pnet_protocol::{Crypto, NetworkName, PeerId, PublicKey, UnixTime};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// How the line of a key file begins; the seed follows in hex.
const KEY_PREFIX: &str = "p2pnet-authority-key-v1:";
/// What such a file holds, in words.
const KEY: &str = "the authority's key";
const DAY_SECS: u64 = 86_400;
/// The first moment of 2020: a clock that shows less was never set.
const CLOCK_SANE_SECS: u64 = 1_577_836_800;

/// Does what the command line asks.
///
/// # Errors
/// What went wrong, with the file's name.
pub(crate) fn run(command: args::Authority) -> Result<(), Failure> {
    match command {
        args::Authority::New { path } => new(&path),
        args::Authority::Issue { peer, key, network, days, out } => {
            issue(&peer, &key, &network, days, out)
        }
    }
}

fn new(path: &Path) -> Result<(), Failure> {
    let mut crypto = crypto()?;
    let mut seed = Zeroizing::new([0; 32]);
    crypto.random(&mut *seed);
    let public = public_of(&crypto, &seed);
    let mut public_path = path.as_os_str().to_owned();
    public_path.push(".pub");
    let public_path = PathBuf::from(public_path);
    let digits = Zeroizing::new(seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let text = Zeroizing::new(format!("{KEY_PREFIX}{}\n", *digits));
    create(path, &text, 0o600)?;
    if let Err(failure) = create(&public_path, &format!("{public}\n"), 0o644) {
        // Beside the public half of another key, this one would pass for its other half.
        let _ = fs::remove_file(path);
        return Err(failure);
    }
    out().line(format_args!(
        "The authority's key is in {}: keep it to yourself.\nIts public half is in {}, for everyone:\n{public}",
        path.display(),
        public_path.display()
    ))
}

fn issue(
    peer: &str,
    key: &Path,
    network: &str,
    days: u32,
    to: Option<PathBuf>,
) -> Result<(), Failure> {
    let peer: PeerId = peer.parse().map_err(|_| {
        Failure::usage(format!("\"{}\" is no peer id", peer.escape_debug()))
            .fix("give all 64 hex digits, as `p2pnet id` prints them on the member's machine")
    })?;
    let network = NetworkName::new(network).map_err(|error| Failure::usage(error.to_string()))?;
    let crypto = crypto()?;
    let file = SmallFile::read(key)?;
    let seed = seed(&file, key)?;
    file.secret_warning(KEY).into_iter().for_each(note);
    let now = now()?;
    let not_before = UnixTime(now.0.saturating_sub(Certificate::BACKDATE_SECS));
    let not_after = now.plus_secs(u64::from(days) * DAY_SECS);
    let signing = crypto.signing_key(&seed);
    let certificate = Certificate::issue(&crypto, &signing, &network, peer, not_before, not_after)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let path = to.unwrap_or_else(|| format!("{}.certificate", peer.short()).into());
    let text = format!(
        "# {peer}\n# is a member of the network \"{network}\" for {days} days.\n{certificate}\n"
    );
    create(&path, &text, 0o644)?;
    out().line(format_args!(
        "{} is a member of \"{network}\" for {days} days.\nThe certificate is in {at}. On the member's machine:\n  \
         p2pnet up --authority {} --certificate {at}",
        peer.short(),
        certificate.authority,
        at = path.display(),
    ))
}

/// The public key in the file at `path`, or that of the authority's own key; then `warnings` tell if others may read it.
///
/// # Errors
/// The file can't be read or holds neither.
pub(crate) fn public_key(path: &Path, warnings: &mut Vec<String>) -> Result<PublicKey, Failure> {
    let file = SmallFile::read(path)?;
    if let Some(key) = file.text().ok().and_then(|text| text.trim().parse().ok()) {
        warnings.extend(file.change_warning("trust"));
        return Ok(key);
    }
    let public = public_of(&crypto()?, &*seed(&file, path)?);
    warnings.extend(file.secret_warning(KEY));
    Ok(public)
}

/// The authority's key in the file at `path`, ready to sign.
///
/// # Errors
/// The file can't be read or holds no such key.
pub(crate) fn signing_key(
    crypto: &FastCrypto,
    path: &Path,
) -> Result<<FastCrypto as Crypto>::SigningKey, Failure> {
    let file = SmallFile::read(path)?;
    let seed = seed(&file, path)?;
    file.secret_warning(KEY).into_iter().for_each(note);
    Ok(crypto.signing_key(&seed))
}

/// The seed of the authority's key.
fn seed(file: &SmallFile, path: &Path) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let digits = file.text().ok().and_then(|text| text.trim().strip_prefix(KEY_PREFIX));
    digits.and_then(from_hex).ok_or_else(|| {
        Failure::usage(format!("{} holds no authority's key", path.display()))
            .fix("name the file that `p2pnet authority new` wrote")
    })
}

/// The bytes that 64 hex digits stand for, without a copy that isn't wiped.
fn from_hex(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    let digits = digits.as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(digit).ok()?;
        }
    }
    Some(bytes)
}

pub(crate) fn crypto() -> Result<FastCrypto, Failure> {
    FastCrypto::new().map_err(|_| Failure::failed("the operating system gives no randomness"))
}

fn public_of(crypto: &FastCrypto, seed: &[u8; 32]) -> PublicKey {
    crypto.public_key(&crypto.signing_key(seed))
}

/// The id of the holder of an identity's seed.
///
/// # Errors
/// The operating system has no randomness to give.
pub(crate) fn peer_id(seed: &[u8; 32]) -> Result<PeerId, Failure> {
    Ok(PeerId::of(&public_of(&crypto()?, seed)))
}

pub(crate) fn now() -> Result<UnixTime, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if since < CLOCK_SANE_SECS {
        return Err(Failure::failed("this machine's clock is not set, so nothing can be dated")
            .fix("set it, for instance with `timedatectl set-ntp true`"));
    }
    Ok(UnixTime(since))
}

/// Writes a new file and never over another.
fn create(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        // Half a file would be in the way of the next attempt.
        written.inspect_err(|_| drop(fs::remove_file(path)))
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::failed(format!("{} exists already", path.display()))
                .fix("move it away, or choose another name")
        }
        _ => Failure::failed(format!("can't write {}: {error}", path.display()))
            .fix("choose a place that you may write to"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_whole_or_not_at_all() {
        let all: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        let bytes: [u8; 32] = std::array::from_fn(|at| at as u8);
        assert_eq!(from_hex(&all).as_deref(), Some(&bytes));
        assert_eq!(from_hex(&all.to_uppercase()).as_deref(), Some(&bytes));
        for bad in [&all[1..], &format!("{all}0"), &all.replace('0', "g"), &"é".repeat(32)] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
