//! Who may have which kind of task done here: requirements for each kind, all of which must hold.

use super::kind::TaskKind;
use crate::config::Trust;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// One thing that may be asked of a task. A kind has a set of them, and all must hold.
#[doc(alias = "TaskTrustParameter")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// Nothing. It is there to be written where a kind shall take nothing else.
    Open,
    /// The peer on whose channel the task came is trusted.
    TrustedPeer,
    /// The network's authority issued it: [`Membership::authority`](crate::Membership::authority).
    AuthorityBootstrapServer,
    /// Whoever issued it is known by more than a key: the peer on whose channel it came, or the network's authority.
    /// (That the signature is the issuer's own is checked for every task, whatever the requirements.)
    MustHaveSignedHash,
    /// Nothing helps: the kind is turned away.
    IgnoreAll,
}

impl Requirement {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::TrustedPeer,
        Self::AuthorityBootstrapServer,
        Self::MustHaveSignedHash,
        Self::IgnoreAll,
    ];

    /// How it is written in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::TrustedPeer => "trusted-peer",
            Self::AuthorityBootstrapServer => "authority-bootstrap-server",
            Self::MustHaveSignedHash => "must-have-signed-hash",
            Self::IgnoreAll => "ignore-all",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::TrustedPeer => 1 << 1,
            Self::AuthorityBootstrapServer => 1 << 2,
            Self::MustHaveSignedHash => 1 << 3,
            Self::IgnoreAll => 1 << 4,
        }
    }

    /// Whether it holds for a task of this signer, from a peer trusted so far.
    pub const fn holds(self, trust: Trust, signer: Signer) -> bool {
        match self {
            Self::Open => true,
            Self::TrustedPeer => matches!(trust, Trust::Trusted),
            Self::AuthorityBootstrapServer => matches!(signer, Signer::Authority),
            Self::MustHaveSignedHash => matches!(signer, Signer::Peer | Signer::Authority),
            Self::IgnoreAll => false,
        }
    }
}

/// Who issued a task, as seen from the channel that it came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The network's authority, whoever brought it. (If the peer is the authority, it counts as that.)
    Authority,
    /// The peer of the channel itself.
    Peer,
    /// Somebody else: the peer passes it on.
    Other,
}

impl Signer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Authority, Self::Peer, Self::Other];
}

/// A set of requirements. The empty set is met by nobody: what is not allowed is denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requirements(u8);

impl Requirements {
    /// These requirements.
    pub const fn of(list: &[Requirement]) -> Self {
        let (mut bits, mut rest) = (0, list);
        while let [first, others @ ..] = rest {
            bits |= first.bit();
            rest = others;
        }
        Self(bits)
    }

    /// Whether `requirement` is one of them.
    pub const fn has(self, requirement: Requirement) -> bool {
        self.0 & requirement.bit() != 0
    }

    /// The requirements, in order.
    pub fn iter(self) -> impl Iterator<Item = Requirement> {
        Requirement::ALL.into_iter().filter(move |one| self.has(*one))
    }

    /// Whether a task of this signer, from a peer trusted so far, may be done.
    ///
    /// # Errors
    /// The first requirement that doesn't hold; [`IgnoreAll`](Requirement::IgnoreAll) for the empty set.
    pub fn judge(self, trust: Trust, signer: Signer) -> Result<(), Requirement> {
        if self.0 == 0 || self.has(Requirement::IgnoreAll) {
            return Err(Requirement::IgnoreAll);
        }
        match self.iter().find(|one| !one.holds(trust, signer)) {
            Some(unmet) => Err(unmet),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for one in self.iter() {
            write!(f, "{before}{}", one.name())?;
            before = " + ";
        }
        Ok(())
    }
}

/// The text names no requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchRequirement;

impl fmt::Display for NoSuchRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected requirements joined by +: ")?;
        let mut before = "";
        for one in Requirement::ALL {
            write!(f, "{before}{}", one.name())?;
            before = ", ";
        }
        Ok(())
    }
}

impl core::error::Error for NoSuchRequirement {}

impl core::str::FromStr for Requirements {
    type Err = NoSuchRequirement;

    /// Names joined by `+`, with or without spaces.
    fn from_str(text: &str) -> Result<Self, NoSuchRequirement> {
        let read = |name: &str| {
            Requirement::ALL.into_iter().find(|one| one.name() == name).ok_or(NoSuchRequirement)
        };
        let bits = text
            .split('+')
            .map(|name| read(name.trim()).map(Requirement::bit))
            .try_fold(0, |all, bit| bit.map(|bit| all | bit));
        bits.map(Self)
    }
}

/// Who may have which kind of task done here. What isn't set is as the [table](super::kind::TABLE) has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkTaskTrustConfiguration {
    set: BTreeMap<TaskKind, Requirements>,
}

impl NetworkTaskTrustConfiguration {
    /// What a kind takes.
    pub fn requirements(&self, kind: TaskKind) -> Requirements {
        let shared = TaskKind::Application(TaskKind::APPLICATION);
        let mut set = self.set.get(&kind).copied();
        if matches!(kind, TaskKind::Application(_)) {
            set = set.or_else(|| self.set.get(&shared).copied());
        }
        set.unwrap_or(kind.row().requirements)
    }

    /// Changes what a kind takes. The first kind of applications, 0x8000, stands for all of theirs that aren't set.
    #[doc(alias = "UpdateTrustParams")]
    pub fn set(&mut self, kind: TaskKind, requirements: Requirements) {
        self.set.insert(kind, requirements);
    }

    /// Whether `kind` takes `requirement`.
    #[doc(alias = "IsRequirementAllowed")]
    pub fn has(&self, kind: TaskKind, requirement: Requirement) -> bool {
        self.requirements(kind).has(requirement)
    }

    /// What was set, apart from the table.
    pub fn changes(&self) -> impl Iterator<Item = (TaskKind, Requirements)> {
        self.set.iter().map(|(kind, requirements)| (*kind, *requirements))
    }

    /// One line for each change, `KIND = REQUIREMENT + REQUIREMENT`, as [`read_line`](Self::read_line) takes it.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.changes().map(|(kind, set)| alloc::format!("{kind} = {set}"))
    }

    /// Sets what one line says.
    ///
    /// # Errors
    /// What the line should look like.
    pub fn read_line(&mut self, line: &str) -> Result<(), String> {
        let expected = || String::from("expected KIND = REQUIREMENT + REQUIREMENT");
        let (kind, set) = line.split_once('=').ok_or_else(expected)?;
        let kind = kind.trim().parse().map_err(|error| alloc::format!("{error}"))?;
        self.set(kind, set.parse().map_err(|error| alloc::format!("{error}"))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    const TRUST: [Trust; 3] = [Trust::Unproven, Trust::Authenticated, Trust::Trusted];

    /// The rules once more, as one would explain them, without bits.
    fn rules(set: &[Requirement], trust: Trust, signer: Signer) -> bool {
        if set.is_empty() || set.contains(&Requirement::IgnoreAll) {
            return false;
        }
        let needs = |one| set.contains(&one);
        (!needs(Requirement::TrustedPeer) || trust == Trust::Trusted)
            && (!needs(Requirement::AuthorityBootstrapServer) || signer == Signer::Authority)
            && (!needs(Requirement::MustHaveSignedHash) || signer != Signer::Other)
    }

    /// Every kind × trust level × set of requirements × signer.
    #[test]
    fn every_combination_is_judged_by_the_rules() {
        let mut asked = 0;
        for kind in TaskKind::all().chain([TaskKind::Application(0xffff)]) {
            for bits in 0..32u8 {
                let set: Vec<_> =
                    Requirement::ALL.into_iter().filter(|one| bits & one.bit() != 0).collect();
                let mut config = NetworkTaskTrustConfiguration::default();
                config.set(kind, Requirements::of(&set));
                for (trust, signer) in
                    TRUST.into_iter().flat_map(|t| Signer::ALL.into_iter().map(move |s| (t, s)))
                {
                    let judged = config.requirements(kind).judge(trust, signer);
                    let what = (kind, &set, trust, signer, judged);
                    assert_eq!(judged.is_ok(), rules(&set, trust, signer), "{what:?}");
                    if let Err(unmet) = judged {
                        assert!(!unmet.holds(trust, signer), "{what:?}");
                    }
                    asked += 1;
                }
            }
        }
        assert_eq!(asked, 22 * 32 * 3 * 3);
    }

    /// The defaults, one by one: who may have what done.
    #[test]
    fn the_defaults_are_safe() {
        let config = NetworkTaskTrustConfiguration::default();
        for kind in TaskKind::all() {
            let allowed = |trust, signer| config.requirements(kind).judge(trust, signer).is_ok();
            // Nobody passes on what somebody else, who is not the authority, has signed.
            for trust in TRUST {
                assert!(!allowed(trust, Signer::Other), "{kind}");
            }
            assert!(allowed(Trust::Trusted, Signer::Authority), "{kind}");
            let dangerous = matches!(
                kind,
                TaskKind::BlockAndRemovePeer
                    | TaskKind::BlockIp
                    | TaskKind::DisconnectPeer
                    | TaskKind::AuthorizePeer
                    | TaskKind::RevokePeerAuthorization
                    | TaskKind::UpdateSettings
                    | TaskKind::BootstrapInitialization
                    | TaskKind::SetLocalIdentifier
                    | TaskKind::AssignIdentifierToPeer
            );
            assert_eq!(allowed(Trust::Trusted, Signer::Peer), !dangerous, "{kind}");
        }
    }

    #[test]
    fn requirements_are_written_and_read() {
        for bits in 1..32u8 {
            let set = Requirements(bits);
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert_eq!("".parse::<Requirements>(), Err(NoSuchRequirement));
        assert_eq!("open+lax".parse::<Requirements>(), Err(NoSuchRequirement));
        let mut config = NetworkTaskTrustConfiguration::default();
        config.read_line("send-message = trusted-peer+must-have-signed-hash").unwrap();
        config.read_line("0x8000=open").unwrap();
        let lines: Vec<_> = config.lines().collect();
        assert_eq!(lines, ["send-message = trusted-peer + must-have-signed-hash", "0x8000 = open"]);
        let mut again = NetworkTaskTrustConfiguration::default();
        lines.iter().for_each(|line| again.read_line(line).unwrap());
        assert_eq!(again, config);
        let open = Requirements::of(&[Requirement::Open]);
        assert_eq!(config.requirements(TaskKind::Application(0x9000)), open);
        for bad in ["send-message", "sendmessage = open", "send-message = "] {
            assert!(again.read_line(bad).is_err(), "{bad}");
        }
    }
}
