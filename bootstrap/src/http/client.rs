//! Where a request really comes from.

use axum::http::HeaderMap;
use p2pnet_protocol::IpPrefix;
use std::net::IpAddr;

/// The header in which proxies write down where a request came from, each at its end.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// More proxies than this stand behind each other nowhere.
const HOPS_MAX: usize = 16;

/// Where a request comes from: first what the socket says, then what is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed(pub IpAddr);

/// Who may say where a request comes from.
#[derive(Clone, Debug, Default)]
pub struct Proxies(pub Vec<IpPrefix>);

impl Proxies {
    /// Whether `ip` is one of them.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(ip))
    }

    /// Where a request comes from that `peer` brought: `peer` itself, unless it is a proxy; then the last in its header
    /// that is none. What stands before that, the client may have written itself. `None` if a proxy's header is broken.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !self.has(peer) {
            return Some(peer);
        }
        let mut told = Vec::new();
        for line in headers.get_all(FORWARDED_FOR) {
            told.extend(line.to_str().ok()?.split(',').map(str::trim));
        }
        for hop in told.iter().rev().take(HOPS_MAX) {
            let hop = hop.parse::<IpAddr>().ok()?.to_canonical();
            if !self.has(hop) {
                return Some(hop);
            }
        }
        (told.len() <= HOPS_MAX).then_some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str]) -> Option<String> {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        lines.iter().for_each(|line| _ = headers.append(FORWARDED_FOR, line.parse().unwrap()));
        let client = proxies.client(peer.parse().unwrap(), &headers);
        client.map(|ip| ip.to_string())
    }

    #[test]
    fn only_proxies_are_believed() {
        assert_eq!(client("9.1.1.1", &["8.8.8.8"]).as_deref(), Some("9.1.1.1"));
        assert_eq!(client("::ffff:9.1.1.1", &["8.8.8.8"]).as_deref(), Some("9.1.1.1"));
        assert_eq!(client("10.0.0.1", &["8.8.8.8"]).as_deref(), Some("8.8.8.8"));
        assert_eq!(client("::ffff:10.0.0.1", &["8.8.8.8"]).as_deref(), Some("8.8.8.8"));
        assert_eq!(client("10.0.0.1", &[]).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn what_the_client_wrote_before_is_not_believed() {
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 8.8.8.8"]).as_deref(), Some("8.8.8.8"));
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1", "8.8.8.8,10.0.0.2"]).as_deref(),
            Some("8.8.8.8")
        );
        assert_eq!(client("10.0.0.1", &["nonsense, 8.8.8.8"]).as_deref(), Some("8.8.8.8"));
        assert_eq!(client("10.0.0.1", &["::ffff:8.8.8.8"]).as_deref(), Some("8.8.8.8"));
    }

    #[test]
    fn a_broken_header_of_a_proxy_is_refused() {
        for line in ["unknown", "8.8.8.8:80", "", "8.8.8.8,", "[::2]"] {
            assert_eq!(client("10.0.0.1", &[line]), None, "{line:?}");
        }
        let long = vec!["10.0.0.2"; HOPS_MAX + 1].join(",");
        assert_eq!(client("10.0.0.1", &[&long]), None);
    }
}
