//! Files: commands about them, and what the transfers want done.

use super::PeerNetwork;
use super::connection::Stage;
use super::held::Held;
use crate::config::{Lane, Trust};
use crate::crypto::Crypto;
use crate::distribution::message::put_part_head;
use crate::distribution::tree::{Hash, PROOF_HASHES_MAX};
use crate::distribution::{
    Asked, FileAnswer, FileConfig, FileDirection, FileEffect, FileError, FileMessage, FileRequest,
    NextRead, SavedTransfers, Standing, TransferView,
};
use crate::error::{CloseReason, CommandError, Violation};
use crate::id::{ConnId, FileId, PeerId, RequestId};
use crate::io::{Answer, CloseCause, Event, Output, Request};
use crate::received::Received;
use crate::time::Instant;
use crate::wire::packet::{DataPayloadFormat, DataTransmissionPacket, Packet, PacketKind};
use alloc::vec::Vec;
use bytes::Bytes;

/// What stands before the bytes of a chunk's part: the payload's format, the message, the proof.
const PART_HEAD_BYTES_MAX: usize = 1 + 1 + 32 + 4 + 4 + 1 + 32 * PROOF_HASHES_MAX;

/// Files.
impl<C: Crypto> PeerNetwork<C> {
    /// Offers a file to peers: to those that are connected at once, to the others when they come.
    /// [`Event::FileOpened`] tells what file it is, and [`Event::FileSent`] who has it; an offer stands until each peer
    /// has it, has refused it, or the offer is [cancelled](Self::cancel_file).
    ///
    /// # Errors
    /// [`CommandError::File`] if too many are offered already.
    #[doc(alias = "DistributionHandler")]
    pub fn offer_file(
        &mut self,
        now: Instant,
        name: &str,
        to: Vec<PeerId>,
    ) -> Result<RequestId, CommandError> {
        self.offer_as(now, name, to, None, None)
    }

    /// As [`offer_file`](Self::offer_file), with the number that the offer had in an earlier run: whoever has got the file
    /// meanwhile doesn't get it twice. If it isn't the file `expect` any more it isn't offered.
    ///
    /// # Errors
    /// [`CommandError::File`] likewise.
    pub fn offer_again(
        &mut self,
        now: Instant,
        name: &str,
        to: Vec<PeerId>,
        offer: u64,
        expect: Option<FileId>,
    ) -> Result<RequestId, CommandError> {
        self.offer_as(now, name, to, Some(offer), expect)
    }

    fn offer_as(
        &mut self,
        now: Instant,
        name: &str,
        to: Vec<PeerId>,
        offer: Option<u64>,
        expect: Option<FileId>,
    ) -> Result<RequestId, CommandError> {
        self.cx.at(now);
        let ticket = self.ticket();
        let mut out = Vec::new();
        let offered = self.transfers.offer(name, to, (ticket, offer), expect, &mut out);
        self.carry_out(out);
        offered.map(|()| ticket).map_err(CommandError::File)
    }

    /// Gets a file by its name from peers that have it, all at once. Where they mean different contents by the name, the
    /// one that most of them have is taken. [`Event::FileOpened`] tells which, [`Event::FileReceived`] when it is here.
    ///
    /// # Errors
    /// [`CommandError::File`] if too many transfers are under way or too many peers are named.
    #[doc(alias = "GetFile")]
    pub fn fetch_file(
        &mut self,
        now: Instant,
        name: &str,
        from: &[PeerId],
    ) -> Result<RequestId, CommandError> {
        self.cx.at(now);
        let ticket = self.ticket();
        let mut out = Vec::new();
        let asked = self.transfers.fetch(now, name, from, ticket, &mut out);
        self.carry_out(out);
        asked.map(|()| ticket).map_err(CommandError::File)
    }

    /// Takes an offered file.
    ///
    /// # Errors
    /// [`CommandError::File`] if it isn't offered.
    pub fn accept_file(&mut self, now: Instant, file: &FileId) -> Result<(), CommandError> {
        self.decide_file(now, file, true)
    }

    /// Turns an offered file down.
    ///
    /// # Errors
    /// [`CommandError::File`] if it isn't offered.
    pub fn refuse_file(&mut self, now: Instant, file: &FileId) -> Result<(), CommandError> {
        self.decide_file(now, file, false)
    }

    fn decide_file(
        &mut self,
        now: Instant,
        file: &FileId,
        accept: bool,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        let mut out = Vec::new();
        let known = self.transfers.decide(file, accept, &mut out);
        self.carry_out(out);
        if known { Ok(()) } else { Err(CommandError::File(FileError::NotFound)) }
    }

    /// Ends a transfer. What came of the file is thrown away.
    ///
    /// # Errors
    /// [`CommandError::File`] if there is no such transfer.
    pub fn cancel_file(
        &mut self,
        now: Instant,
        file: &FileId,
        direction: FileDirection,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        let mut out = Vec::new();
        let known = self.transfers.cancel(file, direction, &mut out);
        self.carry_out(out);
        if known { Ok(()) } else { Err(CommandError::File(FileError::NotFound)) }
    }

    /// Ends what was asked for by [`offer_file`](Self::offer_file) or [`fetch_file`](Self::fetch_file) while it isn't known
    /// yet which file that is: while it is read for its hashes, or looked for. [`Event::FileNotOpened`] tells of it.
    ///
    /// # Errors
    /// [`CommandError::File`] if nothing is asked for under this ticket any more. Once [`Event::FileOpened`] has told the
    /// file, [`cancel_file`](Self::cancel_file) ends its transfer.
    pub fn cancel_file_request(
        &mut self,
        now: Instant,
        ticket: RequestId,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        let mut out = Vec::new();
        let known = self.transfers.cancel_request(ticket, &mut out);
        self.carry_out(out);
        if known { Ok(()) } else { Err(CommandError::File(FileError::NotFound)) }
    }

    /// Changes what the node does about offers and questions from now on. An anonymous node gives no stored file by name,
    /// whatever this says.
    pub fn set_files(&mut self, now: Instant, config: FileConfig) {
        self.cx.at(now);
        self.transfers.set_config(self.config.shareable(config));
    }

    /// Goes on with what [`saved_transfers`](Self::saved_transfers) gave in an earlier run, as far as it was on its way
    /// here. What was offered has to be [offered again](Self::offer_again).
    pub fn restore_transfers(&mut self, now: Instant, saved: SavedTransfers) {
        self.cx.at(now);
        let mut out = Vec::new();
        self.transfers.restore(now, saved, &mut out);
        self.carry_out(out);
    }

    /// What the node does about files.
    pub const fn files(&self) -> FileConfig {
        self.transfers.config()
    }

    /// The transfers under way, offers included.
    pub fn transfers(&self) -> Vec<TransferView> {
        self.transfers.views()
    }

    /// What has to survive a restart for transfers to go on; [`Event::TransfersChanged`] tells when it changes.
    pub fn saved_transfers(&self) -> SavedTransfers {
        self.transfers.saved()
    }

    pub(super) const fn ticket(&mut self) -> RequestId {
        self.requests_made = self.requests_made.saturating_add(1);
        RequestId(self.requests_made)
    }

    /// A packet with one message about a file came.
    pub(super) fn on_file_packet(&mut self, mut received: Received) {
        let (peer, conn, cost) = (received.peer, received.conn, received.bytes);
        let Some(Packet::DataTransmission(packet)) = received.next() else { return };
        match FileMessage::decode(&packet.payload) {
            Ok(message) => {
                let mut out = Vec::new();
                self.transfers.on_message(self.cx.now, peer, conn, cost, message, &mut out);
                self.carry_out(out);
            }
            Err(malformed) => {
                let violation = Violation::Malformed(malformed);
                self.stats.violations = self.stats.violations.saturating_add(1);
                if let Some(link) = self.link_mut(conn) {
                    link.reason.get_or_insert(CloseReason::Violation(violation));
                }
                self.drop_connection(conn, CloseCause::Reset, true);
            }
        }
    }

    pub(super) fn on_file_answer(&mut self, asked: Asked, answer: Answer) {
        let mut out = Vec::new();
        if let Asked::Read { conn, bytes, .. } = asked
            && let Some(link) = self.link_mut(conn)
        {
            let reading = link.serving.reading_bytes;
            link.serving.reading_bytes = reading.saturating_sub(bytes as usize);
        }
        let answer = match answer {
            Answer::File(answer) => answer,
            _ => FileAnswer::Failed(FileError::NoFileManager),
        };
        self.transfers.on_answer(self.cx.now, asked, answer, &mut out);
        self.carry_out(out);
        if let Asked::Read { conn, .. } = asked {
            self.serve(conn);
        }
    }

    pub(super) fn on_transfers_timer(&mut self) {
        if self.transfers.due().is_some_and(|due| due <= self.cx.now) {
            let mut out = Vec::new();
            self.transfers.on_time(self.cx.now, &mut out);
            self.carry_out(out);
        }
    }

    /// A channel opened, or its gate or trust changed.
    pub(super) fn tell_transfers(&mut self, conn: ConnId) {
        let Some(link) = self.link_mut(conn) else { return };
        let passes = link.announced
            && link.stage != Stage::Closing
            && link.channel.passes(PacketKind::DataTransmission);
        let standing = Standing { present: passes, trust: link.trust, settled: !link.handshaking };
        let peer = link.channel.peer;
        let mut out = Vec::new();
        self.transfers.on_peer(self.cx.now, peer, standing, &mut out);
        self.carry_out(out);
    }

    /// The channel to a peer is gone.
    pub(super) fn forget_in_transfers(&mut self, peer: PeerId) {
        let gone = Standing { present: false, trust: Trust::Unproven, settled: true };
        let mut out = Vec::new();
        self.transfers.on_peer(self.cx.now, peer, gone, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, effects: Vec<FileEffect>) {
        for effect in effects {
            match effect {
                FileEffect::Say(peer, message) => self.say(&peer, &message),
                FileEffect::SendChunk { peer, file, chunk, proof, bytes } => {
                    self.send_chunk(&peer, &file, chunk, &proof, bytes);
                }
                FileEffect::Ask(request, about) => self.ask(request, about),
                FileEffect::Tell(event) => self.cx.tell(event),
                FileEffect::Release(conn, bytes) => {
                    self.give_back(conn, Lane::Bulk, bytes, |_: &mut Held, _, _| {});
                }
                FileEffect::Serve(peer) => {
                    if let Some(conn) = self.conn_of(&peer) {
                        self.serve(conn);
                    }
                }
                FileEffect::Changed => self.cx.tell(Event::TransfersChanged),
            }
        }
    }

    fn ask(&mut self, request: FileRequest, about: Asked) {
        let id = self.ticket();
        self.asked.insert(id, about);
        self.cx.push(Output::Ask(id, Request::File(request)));
    }

    /// Sends a short message about a file, which has some room of its own: a peer that asks and asks and doesn't read
    /// gets no more answers. What is lost so is repeated: offers until they are answered, requests once they stall.
    fn say(&mut self, peer: &PeerId, message: &FileMessage) {
        let limits = &self.cx.limits;
        let bytes_max =
            limits.send_queue_bytes_max.saturating_add(limits.file_messages_bytes_max()) as usize;
        let Ok((conn, link)) = self.open_link(peer, PacketKind::DataTransmission) else { return };
        if link.waiting_bytes() >= bytes_max {
            return;
        }
        link.channel.push(&Packet::DataTransmission(DataTransmissionPacket {
            format: DataPayloadFormat::File,
            payload: message.encode().into(),
        }));
        self.announce_write(conn);
    }

    /// Sends a chunk, in parts if the peer takes no packets that long.
    fn send_chunk(
        &mut self,
        peer: &PeerId,
        file: &FileId,
        chunk: u32,
        proof: &[Hash],
        mut bytes: Bytes,
    ) {
        let Ok((conn, link)) = self.open_link(peer, PacketKind::DataTransmission) else { return };
        let room = link.channel.packet_bytes_max().saturating_sub(PART_HEAD_BYTES_MAX).max(1);
        let mut offset = 0u32;
        while !bytes.is_empty() {
            let part = bytes.split_to(room.min(bytes.len()));
            let mut head = Vec::with_capacity(PART_HEAD_BYTES_MAX);
            head.push(DataPayloadFormat::File.to_wire());
            put_part_head(&mut head, file, chunk, offset, proof);
            link.channel.push_data(head, &part);
            offset = offset.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
        }
        self.announce_write(conn);
    }

    /// Has chunks read that a peer asked for, as far as they may wait to be sent.
    fn serve(&mut self, conn: ConnId) {
        let half = (self.cx.limits.send_queue_bytes_max / 2) as usize;
        let Some(link) = self.conns.get_mut(&conn).and_then(|connection| connection.link_mut())
        else {
            return;
        };
        let peer = link.channel.peer;
        let mut reads = Vec::new();
        loop {
            link.serving.hungry = self.transfers.has_wants(&peer);
            if !link.serving.hungry || link.waiting_bytes() >= half {
                break;
            }
            let Some(next) = self.transfers.next_read(peer, &mut link.serving.after) else { break };
            let bytes = next.bytes as usize;
            link.serving.reading_bytes = link.serving.reading_bytes.saturating_add(bytes);
            reads.push(next);
        }
        for NextRead { file, handle, chunk, bytes } in reads {
            let about = Asked::Read { file, handle, peer, conn, chunk, bytes };
            self.ask(FileRequest::Read { handle, chunk }, about);
        }
    }

    /// Something was written: there may be room for more chunks.
    pub(super) fn serve_more(&mut self, conn: ConnId) {
        let quarter = (self.cx.limits.send_queue_bytes_max / 4) as usize;
        let hungry = self.conns.get(&conn).and_then(|connection| connection.link());
        let hungry = hungry.filter(|link| link.serving.hungry);
        if hungry.is_some_and(|link| link.waiting_bytes() < quarter) {
            self.serve(conn);
        }
    }
}
