//! The story for people: calm lines that say who was found, who is trusted, and what they said.

mod files;

use crate::story::Line;
use crate::text::{Palette, clean, span};
use files::FileLines;
use p2pnet_protocol::{
    Direction, DiscoverySource, DiscoveryStatus, PacketKind, PeerId, Trust, TrustChange,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Characters of a message that are shown; `--json` gives all.
const MESSAGE_CHARS_MAX: usize = 4_000;
/// Peers whose discovery was told, so that it is told once.
const TOLD_MAX: usize = 65_536;

/// Turns lines of the story into text.
pub(crate) struct Presenter {
    palette: Palette,
    told: BTreeSet<PeerId>,
    /// Addresses whose failing dials were told; the next ones aren't, until one succeeds or the node gives up.
    failing: BTreeSet<String>,
    /// Bootstrap servers that were told of as working, and not as failing since.
    working: BTreeSet<String>,
    /// This host's addresses, as others may know it.
    reachable: Vec<IpAddr>,
    greeted: bool,
    files: FileLines,
}

impl Presenter {
    /// A presenter that paints with `palette`, on a host with the addresses `reachable`.
    pub(crate) fn new(palette: Palette, reachable: Vec<IpAddr>) -> Self {
        let (told, failing) = (BTreeSet::new(), BTreeSet::new());
        let working = BTreeSet::new();
        let files = FileLines::default();
        Self { palette, told, failing, working, reachable, greeted: false, files }
    }

    /// An address that stands for every one of this host is told with those that others can use.
    fn listening(&self, addr: &str) -> String {
        let text = format!("listening on {addr}");
        match addr.parse::<SocketAddr>() {
            Ok(at) if at.ip().is_unspecified() && !self.reachable.is_empty() => {
                let usable = self.reachable.iter().filter(|ip| at.is_ipv6() || ip.is_ipv4());
                let usable: Vec<String> =
                    usable.map(|ip| SocketAddr::new(*ip, at.port()).to_string()).collect();
                format!("{text}: {}", usable.join(", "))
            }
            _ => text,
        }
    }

    fn name(&self, peer: &PeerId) -> String {
        self.palette.name(&peer.short().to_string())
    }

    fn trust(&self, trust: Trust) -> String {
        match trust {
            Trust::Trusted => self.palette.good("trusted"),
            Trust::Authenticated => "identity proved, not trusted".into(),
            Trust::Unproven => self.palette.bad("unproven"),
        }
    }

    /// The text for `line`, without its line feed; `None` if it isn't worth a person's attention.
    pub(crate) fn show(&mut self, line: &Line) -> Option<String> {
        Some(match line {
            Line::Listening { addr, .. } => self.listening(addr),
            Line::PeerDiscovered { peer, addr, via } => {
                if self.told.len() >= TOLD_MAX || !self.told.insert(*peer) {
                    return None;
                }
                format!("found {} at {addr} {}", self.name(peer), via_words(*via))
            }
            Line::DiscoveryStatus(status) => discovery_words(status),
            Line::PeerPending { peer, addr } => format!(
                "{} at {addr} waits to be let in: p2pnet accept {}",
                self.name(peer),
                peer.short()
            ),
            Line::PeerConnected { peer, addr, trust, direction } => {
                self.connected(peer, addr, *trust, *direction)
            }
            Line::TrustChanged { peer, trust, because } => {
                format!("{} is now {}: {}", self.name(peer), self.trust(*trust), why(*because))
            }
            Line::TrustRefused { peer, reason } => self.palette.faint(&format!(
                "trust in {} was not raised: {}",
                peer.short(),
                clean(reason)
            )),
            Line::TrustRequested { peer, .. } => {
                format!("{} waits for your word: p2pnet trust {}", self.name(peer), peer.short())
            }
            Line::IdentityReceived { peer, label, note } => {
                return self.described(peer, label, note);
            }
            Line::MessageReceived { peer, text } => self.message(peer, text),
            Line::DataReceived { peer, bytes, .. } => {
                format!("{} sent {bytes} bytes of data", self.name(peer))
            }
            Line::PacketsRefused { peer, kind, count } => self.refused(peer, *kind, *count),
            Line::PeerClosed { peer, reason, unsent, .. } => self.closed(peer, reason, *unsent),
            Line::ConnectionFailed { .. } => return self.failed(line),
            Line::BroadcastPortChanged { port } => {
                self.palette.faint(&format!("beacons now go to UDP port {port}"))
            }
            Line::TaskReceived { peer, text: Some(text), .. } => self.message(peer, text),
            Line::TaskReceived { peer, task, kind, waits: true, .. } => {
                format!("{} asks for {kind}: task {task} waits", self.name(peer))
            }
            Line::TaskExecuted { peer, kind, done, reason, .. } => {
                let result = if *done { "done" } else { reason.as_deref().unwrap_or("failed") };
                self.palette.faint(&format!("{} asked for {kind}: {}", peer.short(), clean(result)))
            }
            Line::TaskRefused { peer, reason, .. } => self.palette.faint(&format!(
                "a task from {} was refused: {}",
                peer.short(),
                clean(reason)
            )),
            Line::TaskAnswered { peer, task, done: false, reason } => format!(
                "{} did not do task {task}: {}",
                self.name(peer),
                clean(reason.as_deref().unwrap_or("no reason given"))
            ),
            Line::DataChanged { key, peer: Some(peer) } => {
                self.palette.faint(&format!("{} changed the data at {}", peer.short(), clean(key)))
            }
            Line::IdentifierAssigned { peer, label } => {
                format!("the authority calls {} {}", self.name(peer), clean(label))
            }
            Line::TaskReceived { .. }
            | Line::TaskAnswered { .. }
            | Line::DataChanged { peer: None, .. } => return None,
            Line::FileOffered { .. }
            | Line::FileOpened { .. }
            | Line::FileProgress { .. }
            | Line::FileReceived { .. }
            | Line::FileSent { .. }
            | Line::FileSourceDropped { .. }
            | Line::FileFailed { .. } => return self.files.show(line, self.palette),
            Line::BootstrapOk { .. } | Line::BootstrapFailed { .. } => return self.bootstrap(line),
            Line::PublicAddress { address: Some(address) } => {
                self.palette.faint(&format!("others see this host at {address}"))
            }
            Line::PublicAddress { address: None } => self
                .palette
                .faint("the public address is not known: the sources don't answer, or don't agree"),
            Line::Warning { text } => format!("{} {}", self.palette.bad("note:"), clean(text)),
            Line::Stopping => "stopping: saying goodbye (Ctrl-C again to leave at once)".into(),
            Line::Stopped => "stopped".into(),
            Line::ConnectionAttempt { .. }
            | Line::PeerGroupReceived { .. }
            | Line::ListsChanged => {
                return None;
            }
        })
    }

    /// What bootstrap servers did: a failure is told once until the server works again.
    fn bootstrap(&mut self, line: &Line) -> Option<String> {
        match line {
            Line::BootstrapOk { server, authority, peers, .. } => {
                self.failing.remove(server);
                if !self.working.insert(server.clone()) {
                    return None;
                }
                let known = match peers {
                    0 => "nobody else yet".into(),
                    1 => "1 peer".into(),
                    more => format!("{more} peers"),
                };
                let by = match authority {
                    None => String::new(),
                    Some(key) => format!(", of the authority {}", &key.to_string()[..8]),
                };
                Some(format!("registered with {}{by}: it tells of {known}", clean(server)))
            }
            Line::BootstrapFailed { server, reason, retry_in_ms } => {
                self.working.remove(server);
                if self.failing.len() >= TOLD_MAX || !self.failing.insert(server.clone()) {
                    return None;
                }
                Some(format!(
                    "{} can't be used: {}; trying again, first in {}",
                    clean(server),
                    clean(reason),
                    span(*retry_in_ms)
                ))
            }
            _ => None,
        }
    }

    fn connected(&mut self, peer: &PeerId, addr: &str, trust: Trust, way: Direction) -> String {
        self.failing.remove(addr);
        let way = match way {
            Direction::Outgoing => "to",
            Direction::Incoming => "from",
        };
        let mut text =
            format!("connected {way} {} at {addr}: {}", self.name(peer), self.trust(trust));
        if !std::mem::replace(&mut self.greeted, true) {
            let hint = "say something in another terminal: p2pnet send --all \"hello\"";
            text.push_str(&format!("\n{}", self.palette.faint(hint)));
        }
        text
    }

    fn described(&self, peer: &PeerId, label: &str, note: &str) -> Option<String> {
        if label.is_empty() && note.is_empty() {
            return None;
        }
        let comma = if label.is_empty() || note.is_empty() { "" } else { ", " };
        Some(format!("{} calls itself \"{}{comma}{}\"", self.name(peer), clean(label), clean(note)))
    }

    fn refused(&self, peer: &PeerId, kind: PacketKind, count: u64) -> String {
        let what = match (kind, count) {
            (PacketKind::PureMessage, 1) => "a message".into(),
            (PacketKind::PureMessage, many) => format!("{many} messages"),
            (_, 1) => "a packet".into(),
            (_, many) => format!("{many} packets"),
        };
        let who = peer.short();
        self.palette.faint(&format!("refused {what} from {who}: the policy doesn't let that pass"))
    }

    fn message(&self, peer: &PeerId, text: &str) -> String {
        let shown: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
        let rest = if shown.len() < text.len() {
            self.palette.faint(&format!(" ... ({} bytes in all)", text.len()))
        } else {
            String::new()
        };
        format!("{}: {}{rest}", self.name(peer), clean(&shown))
    }

    fn closed(&self, peer: &PeerId, reason: &str, unsent: u64) -> String {
        let lost = match unsent {
            0 => String::new(),
            1 => ", 1 packet was not sent".into(),
            more => format!(", {more} packets were not sent"),
        };
        format!("{} is gone: {}{lost}", self.name(peer), clean(reason))
    }

    fn failed(&mut self, line: &Line) -> Option<String> {
        let Line::ConnectionFailed { addr, direction, peer, reason, retry_in_ms, count } = line
        else {
            return None;
        };
        if retry_in_ms.is_none() {
            self.failing.remove(addr);
        } else if self.failing.len() >= TOLD_MAX || !self.failing.insert(addr.clone()) {
            return None;
        }
        let who = match (direction, peer) {
            (Direction::Incoming, _) => format!("a connection from {addr}"),
            (Direction::Outgoing, Some(peer)) => format!("dialling {} at {addr}", peer.short()),
            (Direction::Outgoing, None) => format!("dialling {addr}"),
        };
        let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
        let again = match retry_in_ms {
            Some(millis) => format!("; trying again, first in {}", span(*millis)),
            None => String::new(),
        };
        Some(self.palette.faint(&format!("{who} came to nothing{times}: {}{again}", clean(reason))))
    }
}

fn via_words(via: DiscoverySource) -> &'static str {
    match via {
        DiscoverySource::Lan => "on this network",
        DiscoverySource::Exchange => "by way of another peer",
        DiscoverySource::Manual => "by its address",
        DiscoverySource::Bootstrap => "through a bootstrap server",
        _ => "",
    }
}

fn discovery_words(status: &DiscoveryStatus) -> String {
    let ways = [
        ("IPv4 broadcast", status.broadcast_v4),
        ("IPv4 multicast", status.multicast_v4),
        ("IPv6 multicast", status.multicast_v6),
    ];
    let on = |count: u16| match count {
        1 => String::from("1 interface"),
        more => format!("{more} interfaces"),
    };
    let usable: Vec<String> = ways
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(way, count)| format!("{way} on {}", on(*count)))
        .collect();
    if usable.is_empty() {
        "no network to look for peers on, this host apart (p2pnet doctor explains)".into()
    } else {
        format!("looking for peers by {}", usable.join(", "))
    }
}

fn why(because: TrustChange) -> &'static str {
    match because {
        TrustChange::Secret => "it knows the network's secret",
        TrustChange::Certificate => "the network's authority certified it",
        TrustChange::Listed => "your list of trusted peers changed",
        TrustChange::Policy => "the policy says so",
        TrustChange::Application => "it was decided here",
        _ => "for a new reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId([0xab; 32]);

    fn show(line: &Line) -> String {
        Presenter::new(Palette::PLAIN, Vec::new()).show(line).unwrap()
    }

    #[test]
    fn what_peers_say_can_not_command_the_terminal() {
        let hostile = String::from("hi\u{1b}[2J\nabababab: forged");
        let said = show(&Line::MessageReceived { peer: PEER, text: hostile.clone() });
        assert_eq!(said, "abababab: hi\\u{1b}[2J\\nabababab: forged");
        let mut presenter = Presenter::new(Palette::PLAIN, Vec::new());
        let lines = [
            Line::IdentityReceived { peer: PEER, label: hostile.clone(), note: hostile.clone() },
            Line::PeerClosed { peer: PEER, addr: "a".into(), reason: hostile.clone(), unsent: 2 },
            Line::Warning { text: hostile },
        ];
        for line in &lines {
            let said = presenter.show(line).unwrap();
            assert!(!said.chars().any(char::is_control), "{said}");
        }
    }

    #[test]
    fn long_messages_are_cut_and_say_so() {
        let said = show(&Line::MessageReceived { peer: PEER, text: "é".repeat(5_000) });
        assert!(said.ends_with("é ... (10000 bytes in all)"), "{}", said.len());
    }

    #[test]
    fn where_it_listens_is_told_in_addresses_that_others_can_use() {
        let here = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let mut presenter = Presenter::new(Palette::PLAIN, here);
        let mut on = |addr: &str| {
            presenter.show(&Line::Listening { addr: addr.into(), peer: PEER }).unwrap()
        };
        assert_eq!(on("[::]:7"), "listening on [::]:7: 192.0.2.1:7, [2001:db8::1]:7");
        assert_eq!(on("0.0.0.0:7"), "listening on 0.0.0.0:7: 192.0.2.1:7");
        assert_eq!(on("127.0.0.1:7"), "listening on 127.0.0.1:7");
    }

    #[test]
    fn a_peer_is_found_once() {
        let mut presenter = Presenter::new(Palette::PLAIN, Vec::new());
        let line = Line::PeerDiscovered {
            peer: PEER,
            addr: "192.0.2.1:7".into(),
            via: DiscoverySource::Lan,
        };
        let said = presenter.show(&line);
        assert_eq!(said.as_deref(), Some("found abababab at 192.0.2.1:7 on this network"));
        assert_eq!(presenter.show(&line), None);
    }

    #[test]
    fn dials_that_go_on_failing_are_told_once() {
        let mut presenter = Presenter::new(Palette::PLAIN, Vec::new());
        let failed = |retry_in_ms| Line::ConnectionFailed {
            addr: "192.0.2.1:7".into(),
            direction: Direction::Outgoing,
            peer: None,
            reason: "refused".into(),
            retry_in_ms,
            count: 1,
        };
        assert!(
            presenter.show(&failed(Some(900))).unwrap().ends_with("trying again, first in 900 ms")
        );
        assert_eq!(presenter.show(&failed(Some(1_800))), None);
        let given_up = presenter.show(&failed(None));
        assert_eq!(given_up.as_deref(), Some("dialling 192.0.2.1:7 came to nothing: refused"));
        assert!(presenter.show(&failed(Some(900))).is_some());
    }

    #[test]
    fn trust_is_told_with_its_reason() {
        let said = show(&Line::TrustChanged {
            peer: PEER,
            trust: Trust::Trusted,
            because: TrustChange::Secret,
        });
        assert_eq!(said, "abababab is now trusted: it knows the network's secret");
    }

    #[test]
    fn a_refusal_of_trust_is_told_with_its_reason() {
        let line = Line::TrustRefused { peer: PEER, reason: "it knows\n nothing".into() };
        assert_eq!(show(&line), "trust in abababab was not raised: it knows\\n nothing");
    }

    #[test]
    fn discovery_is_told_in_words() {
        assert!(show(&Line::DiscoveryStatus(DiscoveryStatus::default())).contains("doctor"));
        let some = DiscoveryStatus { broadcast_v4: 1, multicast_v4: 0, multicast_v6: 2 };
        assert_eq!(
            show(&Line::DiscoveryStatus(some)),
            "looking for peers by IPv4 broadcast on 1 interface, IPv6 multicast on 2 interfaces"
        );
    }
}
