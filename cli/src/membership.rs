//! The files of membership: the secret, the list of trusted peers, the authority's key, the certificate.

use crate::authority;
use crate::failure::Failure;
use crate::files::SmallFile;
use crate::settings::Settings;
use p2pnet_protocol::trust::bootstrap_policy::BootstrapTrustPolicy;
use p2pnet_protocol::trust::certificate::Certificate;
use p2pnet_protocol::trust::secret::NetworkSecret;
use p2pnet_protocol::{PeerId, PublicKey};
use std::path::Path;

/// Reads the files that the settings name into the configuration, and notes in the settings' warnings what others may do
/// to them.
///
/// # Errors
/// A file can't be read or makes no sense; the failure names it.
pub(crate) fn load(settings: &mut Settings) -> Result<(), Failure> {
    let membership = &mut settings.config.membership;
    let warnings = &mut settings.warnings;
    if let Some(path) = &settings.secret_file {
        let file = SmallFile::read(path)?;
        membership.secret = Some(secret(file.bytes(), path)?);
        warnings.extend(file.secret_warning("the network's secret"));
    }
    if let Some(path) = &settings.trust_file {
        let file = SmallFile::read(path)?;
        let mut listed = trusted(file.text()?, path)?;
        warnings.extend(file.change_warning("trust"));
        listed.retain(|peer| !membership.trusted.contains(peer));
        membership.trusted.append(&mut listed);
    }
    if !settings.authority.is_empty() {
        membership.authority = Some(authority_key(&settings.authority, warnings)?);
    }
    if !settings.bootstrap_authority.is_empty() {
        let key = authority_key(&settings.bootstrap_authority, warnings)?;
        settings.config.bootstrap.authority = Some(key);
        require_authority(&mut settings.config.policies.bootstrap)?;
    }
    if let Some(path) = &settings.certificate_file {
        let certificate = certificate(path)?;
        match membership.authority {
            Some(key) if key != certificate.authority => {
                return Err(Failure::usage(format!(
                    "{}: issued by the authority {}, but --authority names {key}",
                    path.display(),
                    certificate.authority
                ))
                .fix("name the authority that issued it, or ask this one for a certificate"));
            }
            Some(_) => {}
            None => membership.authority = Some(certificate.authority),
        }
        if certificate.network != settings.config.network.tag() {
            return Err(Failure::usage(format!(
                "{}: issued for another network than \"{}\"",
                path.display(),
                settings.config.network
            ))
            .fix("name the network that it was issued for with --network NAME"));
        }
        membership.certificate = Some(certificate);
    }
    Ok(())
}

/// Whoever gives the authority's key uses servers with that authority, and no others.
fn require_authority(policy: &mut BootstrapTrustPolicy) -> Result<(), Failure> {
    policy.set_must_be_authority(true).map_err(|conflict| {
        Failure::usage(format!("--authority-key: {conflict}")).fix(
            "a key that is given is the only one that will do: allow authorities, and no others",
        )
    })
}

fn secret(content: &[u8], path: &Path) -> Result<NetworkSecret, Failure> {
    let secret = content.trim_ascii_end();
    NetworkSecret::new(secret).map_err(|error| {
        Failure::usage(format!("{}: {error}; this one has {}", path.display(), secret.len()))
            .fix("(umask 077; head -c 32 /dev/urandom | base64 > FILE) makes a good one")
    })
}

fn trusted(text: &str, path: &Path) -> Result<Vec<PeerId>, Failure> {
    let mut peers = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let id = line.split('#').next().unwrap_or_default().trim();
        if id.is_empty() {
            continue;
        }
        let peer = id.parse().map_err(|_| {
            Failure::usage(format!(
                "{}:{}: \"{}\" is no peer id",
                path.display(),
                number + 1,
                id.escape_debug()
            ))
            .fix("write one id of 64 hex digits a line, as `p2pnet id` prints it; # begins a comment")
        })?;
        peers.push(peer);
    }
    Ok(peers)
}

/// The authority's public key: in hex, or in a file that holds it or the authority's own key.
fn authority_key(named: &str, warnings: &mut Vec<String>) -> Result<PublicKey, Failure> {
    if let Ok(key) = named.parse() {
        return Ok(key);
    }
    let path = Path::new(named);
    if !path.exists() {
        return Err(Failure::usage(format!(
            "the authority \"{}\" is neither 64 hex digits nor a file",
            named.escape_debug()
        ))
        .fix("give what `p2pnet authority new` printed, or the path of its .pub file"));
    }
    authority::public_key(path, warnings)
}

fn certificate(path: &Path) -> Result<Certificate, Failure> {
    SmallFile::read(path)?.text()?.parse().map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()))
            .fix("name the file that `p2pnet authority issue` wrote")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_secret_is_the_whole_file_without_white_space_at_its_end() {
        let with = |text: &str| secret(text.as_bytes(), Path::new("here"));
        assert_eq!(with("  sixteen bytes!! \r\n\n"), with("  sixteen bytes!!"));
        assert_ne!(with("sixteen bytes!! x"), with("  sixteen bytes!!"));
        let said = with("short\n").unwrap_err().to_string();
        assert!(said.contains("at least 16 bytes; this one has 5"), "{said}");
        assert!(!said.contains("short"), "a secret is never shown");
    }

    #[test]
    fn lists_take_comments_and_name_the_line() {
        let id = "ab".repeat(32);
        let path = Path::new("trusted.txt");
        let list = format!("# mine\n\n  {id}  # Ada\n{}\n", id.to_uppercase());
        assert_eq!(trusted(&list, path).unwrap(), [PeerId([0xab; 32]); 2]);
        let said = trusted(&format!("{id}\nnonsense # x"), path).unwrap_err().to_string();
        assert!(said.starts_with("p2pnet: trusted.txt:2: \"nonsense\" is no peer id"), "{said}");
    }

    #[test]
    fn an_authority_is_digits_or_a_file() {
        let digits = "cd".repeat(32);
        let key = |named: &str| authority_key(named, &mut Vec::new());
        assert_eq!(key(&digits), Ok(PublicKey([0xcd; 32])));
        let in_file = file(format!("{digits}\n"));
        assert_eq!(key(&in_file.path().display().to_string()), Ok(PublicKey([0xcd; 32])));
        assert!(key("cdcd").unwrap_err().to_string().contains("neither 64 hex digits"));
    }

    #[test]
    fn a_certificate_that_makes_no_sense_is_named() {
        let said = certificate(file("hello").path()).unwrap_err().to_string();
        assert!(said.contains("expected one line of p2pnet-certificate-v1:"), "{said}");
    }
}
