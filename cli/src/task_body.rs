//! From the words of `task send` to what a task says.

use crate::failure::Failure;
use p2pnet_protocol::task::body::PeerTarget;
use p2pnet_protocol::task::data::Version;
use p2pnet_protocol::task::{DataEntry, TaskBody, TaskKind};
use p2pnet_protocol::{PeerId, PublicKey, Signature, UnixTime};

/// How a label is told from a peer's id.
const LABEL: &str = "label:";

/// What `arguments` say for a task of this kind. `peer` finds the peer that a text names, `me` writes entries.
///
/// # Errors
/// What the kind takes instead.
pub(crate) fn read(
    kind: TaskKind,
    arguments: &[String],
    mut peer: impl FnMut(&str) -> Result<PeerId, Failure>,
    me: PeerId,
    now: UnixTime,
) -> Result<TaskBody, Failure> {
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let takes = |what: &str| Failure::usage(format!("{kind} takes {what}"));
    Ok(match (kind, texts.as_slice()) {
        (TaskKind::BlockAndRemovePeer, [target]) => {
            TaskBody::BlockAndRemovePeer(match target.strip_prefix(LABEL) {
                Some(label) => PeerTarget::Label(label.into()),
                None => PeerTarget::Peer(peer(target)?),
            })
        }
        (TaskKind::BlockAndRemovePeer, _) => return Err(takes("a peer, or label:TEXT")),
        (TaskKind::BlockIp, [prefix]) => TaskBody::BlockIp(
            prefix.parse().map_err(|_| takes("an IP address, or a prefix such as 192.0.2.0/24"))?,
        ),
        (TaskKind::BlockIp, _) => return Err(takes("an IP address or a prefix")),
        (TaskKind::SendMessage, [text]) => TaskBody::SendMessage((*text).into()),
        (TaskKind::SendMessage, _) => return Err(takes("one text; put quotes around it")),
        (TaskKind::PingPeer, []) => TaskBody::PingPeer,
        (TaskKind::RequestPublicKey, []) => TaskBody::RequestPublicKey,
        (TaskKind::Heartbeat, []) => TaskBody::Heartbeat,
        (TaskKind::DisconnectPeer, [text]) => TaskBody::DisconnectPeer(peer(text)?),
        (TaskKind::AuthorizePeer, [text]) => TaskBody::AuthorizePeer(peer(text)?),
        (TaskKind::RevokePeerAuthorization, [text]) => {
            TaskBody::RevokePeerAuthorization(peer(text)?)
        }
        (TaskKind::RequestData, [key]) => TaskBody::RequestData((*key).into()),
        (TaskKind::SendData, [key, value]) => {
            // Written now, by the clock: newer than what counters have reached.
            let version = Version { counter: now.0, writer: me };
            let value = Some(value.as_bytes().to_vec().into());
            TaskBody::SendData(vec![DataEntry { key: (*key).into(), version, value }])
        }
        (TaskKind::SendData, _) => return Err(takes("a key and a value")),
        (TaskKind::UpdateSettings, [_, ..]) => {
            let settings = texts.iter().map(|text| text.parse().map_err(Failure::usage));
            TaskBody::UpdateSettings(settings.collect::<Result<_, _>>()?)
        }
        (TaskKind::UpdateSettings, []) => return Err(takes("settings as NAME=VALUE")),
        (TaskKind::RequestVerifyHashRecord, [digest]) => {
            let digest: PeerId = digest.parse().map_err(|_| takes("64 hex digits"))?;
            TaskBody::RequestVerifyHashRecord(digest.0)
        }
        (TaskKind::RequestVerifySignature, [key, signature, text]) => {
            let key: PublicKey = key.parse().map_err(|_| takes("a public key of 64 hex digits"))?;
            let signature: Signature =
                signature.parse().map_err(|_| takes("a signature of 128 hex digits"))?;
            let message = text.as_bytes().to_vec().into();
            TaskBody::RequestVerifySignature { key, message, signature }
        }
        (TaskKind::SetLocalIdentifier, [label]) => TaskBody::SetLocalIdentifier((*label).into()),
        (TaskKind::AssignIdentifierToPeer, [text, label]) => {
            TaskBody::AssignIdentifierToPeer { peer: peer(text)?, label: (*label).into() }
        }
        (TaskKind::Application(number), [] | [_]) => {
            let payload = texts.first().map(|text| text.as_bytes().to_vec()).unwrap_or_default();
            TaskBody::Application { number, payload: payload.into() }
        }
        (TaskKind::SynchronizeData, _) => {
            return Err(takes("more than fits here").fix("`p2pnet data sync PEER` does it"));
        }
        (TaskKind::BootstrapInitialization | TaskKind::HeartbeatResponse | TaskKind::Answer, _) => {
            return Err(takes("what only a node can say"));
        }
        (_, _) => return Err(takes("other arguments").fix("`p2pnet task send --help` lists them")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<TaskBody, Failure> {
        let mut words = line.split(' ');
        let kind = words.next().unwrap().parse().unwrap();
        let arguments: Vec<String> = words.map(Into::into).collect();
        let id = |_: &str| Ok(PeerId([7; 32]));
        read(kind, &arguments, id, PeerId([1; 32]), UnixTime(5))
    }

    #[test]
    fn every_kind_that_can_be_typed_is_read() {
        let digits = "00".repeat(32);
        for line in [
            "block-and-remove-peer 07070707",
            "block-and-remove-peer label:host-7",
            "block-ip 192.0.2.0/24",
            "send-message hello",
            "ping-peer",
            "disconnect-peer 07070707",
            "authorize-peer 07070707",
            "revoke-peer-authorization 07070707",
            "request-data key",
            "send-data key value",
            "update-settings accept_inbound=false keep_alive_ms=500",
            &format!("request-verify-hash-record {digits}"),
            &format!("request-verify-signature {digits} {digits}{digits} text"),
            "request-public-key",
            "heartbeat",
            "set-local-identifier host-7",
            "assign-identifier-to-peer 07070707 host-7",
            "0x8001 payload",
            "0xffff",
        ] {
            let body = read_line(line).unwrap_or_else(|failure| panic!("{line}: {failure}"));
            let bytes = body.encode().into();
            assert_eq!(TaskBody::decode(body.kind(), &bytes), Ok(body), "{line}");
        }
        for line in
            ["ping-peer now", "block-ip here", "send-data key", "answer", "synchronize-data"]
        {
            assert!(read_line(line).is_err(), "{line}");
        }
    }
}
