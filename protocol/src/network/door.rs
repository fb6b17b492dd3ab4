//! The recorder's door: inputs as data, for simulators, fuzzers and replay.

use super::PeerNetwork;
use crate::crypto::Crypto;
use crate::error::CommandError;
use crate::io::{Command, Input};
use crate::time::Instant;

impl<C: Crypto> PeerNetwork<C> {
    /// Hands an input to its method. What the method would return shows in the outputs or is dropped.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Listening { listener, at } => self.handle_listening(now, listener, at),
            Input::Incoming { listener, from } => {
                self.handle_incoming(now, listener, from);
            }
            Input::Connected { conn, local } => self.handle_connected(now, conn, local),
            Input::Stream { conn, mut bytes } => self.handle_stream(now, conn, &mut bytes),
            Input::Closed { conn, cause } => self.handle_closed(now, conn, cause),
            Input::Datagram { from, bytes } => self.handle_datagram(now, from, &bytes),
            Input::Answer { request, answer } => self.handle_answer(now, request, answer),
            Input::Interfaces(interfaces) => self.handle_interfaces(now, &interfaces),
            Input::WallTime(unix) => self.handle_wall_time(now, unix),
            Input::Timeout => self.handle_timeout(now),
            Input::PollWrite { conn, bytes_max } => {
                self.poll_write(conn, bytes_max as usize);
            }
            Input::Command(command) => {
                // A recording has the command; whether it was refused follows from the state.
                let _refused = self.command(now, command);
            }
            Input::Consumed { conn, lane, bytes } => self.consumed(now, conn, lane, bytes),
        }
    }

    /// Hands a command to its method.
    ///
    /// # Errors
    /// What the method gives.
    pub fn command(&mut self, now: Instant, command: Command) -> Result<(), CommandError> {
        match command {
            Command::Connect { to, expect } => self.connect(now, to, expect).map(|_| ()),
            Command::Disconnect { peer, reason } => self.disconnect(now, &peer, reason),
            Command::Send { peer, packet } => Ok(self.send(now, &peer, &packet)?),
            Command::SendAll { packet } => {
                self.send_all(now, &packet);
                Ok(())
            }
            Command::Block(target) => self.block(now, target),
            Command::Unblock(target) => self.unblock(now, target),
            Command::SetChannelData { peer, data } => self.set_channel_data(now, &peer, &data),
            Command::Allow(target) => self.allow(now, target),
            Command::Disallow(target) => {
                self.disallow(now, target);
                Ok(())
            }
            Command::Trust(peer) => self.trust(now, peer),
            Command::Untrust(peer) => self.untrust(now, peer),
            Command::Accept(peer) => self.accept(now, &peer),
            Command::Refuse(peer) => self.refuse(now, &peer),
            Command::TrustStep { conn, message } => Ok(self.send_trust_step(now, conn, message)?),
            Command::SetTrust { conn, trust } => self.set_trust(now, conn, trust),
            Command::FinishTrust { conn, trust } => self.finish_trust_handshake(now, conn, trust),
            Command::AcceptInbound(accept) => {
                self.set_accept_inbound(now, accept);
                Ok(())
            }
            Command::SetLabel { origin, text } => self.set_label(now, origin, &text),
            Command::DefaultAction { kind, on } => {
                self.set_default_action(now, kind, on);
                Ok(())
            }
            Command::Routine { name, change } => self.routine(now, &name, change),
            Command::OfferFile { name, to } => self.offer_file(now, &name, to).map(|_| ()),
            Command::FetchFile { name, from } => self.fetch_file(now, &name, &from).map(|_| ()),
            Command::AcceptFile(file) => self.accept_file(now, &file),
            Command::RefuseFile(file) => self.refuse_file(now, &file),
            Command::CancelFile { file, direction } => self.cancel_file(now, &file, direction),
            Command::CancelFileRequest(ticket) => self.cancel_file_request(now, ticket),
            Command::SetFiles(config) => {
                self.set_files(now, config);
                Ok(())
            }
            Command::RestoreTransfers(saved) => {
                self.restore_transfers(now, saved);
                Ok(())
            }
            Command::Shutdown => {
                self.shutdown(now);
                Ok(())
            }
            Command::IssueTask { audience, body, valid } => {
                self.issue_task(now, audience, &body, valid).map(drop)
            }
            Command::DeliverTask(task) => self.deliver_task(now, &task).map(drop),
            Command::KeepTask { peer, body, valid } => {
                self.keep_task(now, peer, &body, valid).map(drop)
            }
            Command::FinishTask { peer, task, result } => {
                self.finish_task(now, &peer, task, result)
            }
            Command::TaskHandler { kind, on } => {
                self.set_task_handler(now, kind, on);
                Ok(())
            }
            Command::PutData { key, value } => self.put_data(now, &key, value).map(drop),
            Command::SyncData(peer) => self.sync_data(now, peer).map(drop),
            Command::BlockLabel(label) => self.block_label(now, &label),
            Command::UnblockLabel(label) => {
                self.unblock_label(now, &label);
                Ok(())
            }
        }
    }
}
