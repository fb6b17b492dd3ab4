//! The addresses of servers, as far as the core looks at them: whether they are plain enough to build on.

use alloc::string::String;

/// The most bytes of a URL.
pub const URL_BYTES_MAX: usize = 512;

/// Checks the URL of a server or source: `http:` or `https:`, a host, and nothing that could hide who is meant. A slash at
/// the end is cut off.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check(url: &str) -> Result<String, &'static str> {
    if url.len() > URL_BYTES_MAX {
        return Err("is too long: at most 512 bytes");
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or("must begin with http:// or https://")?;
    if url.bytes().any(|byte| !byte.is_ascii_graphic() || b"\"'<>\\^`{|}#".contains(&byte)) {
        return Err("has a character that no plain URL has");
    }
    let host = authority(rest);
    if host.is_empty() || host.starts_with(':') {
        return Err("names no host");
    }
    if host.contains('@') {
        return Err("must not hold a user name or password");
    }
    Ok(url.trim_end_matches('/').into())
}

/// The host and port that the rest of a URL begins with, after its scheme.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Whether the URL names this very host.
pub(crate) fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = authority(rest);
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<core::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_urls_pass_and_others_say_why_not() {
        for (url, plain) in [
            ("http://192.0.2.1:8080/", "http://192.0.2.1:8080"),
            ("https://boot.example.org", "https://boot.example.org"),
            ("https://[2001:db8::1]:443/net/", "https://[2001:db8::1]:443/net"),
            ("http://host/user@example.org", "http://host/user@example.org"),
        ] {
            assert_eq!(check(url).as_deref(), Ok(plain));
        }
        for url in [
            "ftp://x",
            "boot.example.org",
            "http://",
            "http:///x",
            "http://:80",
            "http://a b",
            "http://u:p@host",
            "http://host/\r\nX: y",
            "http://h\u{e9}",
            "http://h#f",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
        assert!(check(&alloc::format!("http://{}", "x".repeat(600))).is_err());
    }

    #[test]
    fn this_very_host_is_known_by_its_names() {
        for url in
            ["http://127.0.0.1:8", "http://[::1]/x", "https://localhost:1", "http://localhost?x"]
        {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://192.0.2.1", "http://localhost.example.org", "http://[::2]:80"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
