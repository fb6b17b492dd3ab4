//! Files by the handle.

use super::{FileRecord, Handle};
use crate::reply::Reply;
use p2pnet_protocol::{
    CommandError, FileConfig, FileDirection, FileId, PeerId, RequestId, TransferView,
};
use std::sync::Arc;
#[cfg(feature = "files")]
use {
    p2pnet_protocol::FileError,
    p2pnet_storage::{FileInfo, FileManager},
};

/// Files.
impl Handle {
    /// Offers a file to peers: at once to those that are connected, to the others when they come. `name` is a stored file
    /// or a path. The reply is the ticket by which [`Event::FileOpened`](p2pnet_protocol::Event::FileOpened) tells what
    /// file it is.
    pub fn offer_file(
        &self,
        name: impl Into<String>,
        to: Vec<PeerId>,
    ) -> Reply<RequestId, CommandError> {
        let name = name.into();
        self.try_call(move |net, now| net.offer_file(now, &name, to))
    }

    /// Gets a file by name from peers that have it, from all of them at once.
    pub fn fetch_file(
        &self,
        name: impl Into<String>,
        from: Vec<PeerId>,
    ) -> Reply<RequestId, CommandError> {
        let name = name.into();
        self.try_call(move |net, now| net.fetch_file(now, &name, &from))
    }

    /// Takes an offered file.
    pub fn accept_file(&self, file: FileId) -> Reply<(), CommandError> {
        self.try_call(move |net, now| net.accept_file(now, &file))
    }

    /// Turns an offered file down.
    pub fn refuse_file(&self, file: FileId) -> Reply<(), CommandError> {
        self.try_call(move |net, now| net.refuse_file(now, &file))
    }

    /// Ends a transfer.
    pub fn cancel_file(&self, file: FileId, direction: FileDirection) -> Reply<(), CommandError> {
        self.try_call(move |net, now| net.cancel_file(now, &file, direction))
    }

    /// Ends what was asked for under a ticket: the transfer, or what comes before it, while the file is read for its hashes
    /// or looked for. Not what is over.
    pub fn cancel_file_request(&self, ticket: RequestId) -> Reply<(), CommandError> {
        let records = Arc::clone(&self.shared().records);
        self.try_call(move |net, now| {
            let unknown = match net.cancel_file_request(now, ticket) {
                Ok(()) => return Ok(()),
                Err(unknown) => unknown,
            };
            // It may have become known while this call was on its way.
            let known = records.get(ticket);
            match known.and_then(|record| Some((record.file?.id, record.direction?))) {
                Some((file, direction)) => net.cancel_file(now, &file, direction),
                None => Err(unknown),
            }
        })
    }

    /// What became so far of a file that was offered or asked for, by the ticket of that; none while it is still being read
    /// for its hashes or looked for, and once 256 later ones are over.
    pub fn file_record(&self, ticket: RequestId) -> Option<FileRecord> {
        self.shared().records.get(ticket)
    }

    /// The transfers under way, offers included.
    pub fn transfers(&self) -> Reply<Vec<TransferView>> {
        self.call(|net, _| net.transfers())
    }

    /// Changes what the node does about offers and questions.
    pub fn set_files(&self, config: FileConfig) -> Reply<()> {
        self.call(move |net, now| net.set_files(now, config))
    }

    /// The files that are stored. This waits for the disk.
    ///
    /// # Errors
    /// [`FileError::NoFileManager`], or what the disk says.
    #[cfg(feature = "files")]
    pub fn stored_files(&self) -> Result<Vec<FileInfo>, FileError> {
        self.shared().files.with(|manager| manager.list())
    }

    /// Keeps files with another manager from now on. Files that are on their way stay with the one before.
    #[cfg(feature = "files")]
    pub fn set_file_manager(&self, manager: impl FileManager + 'static) {
        self.shared().files.set(Some(Box::new(manager)));
    }
}
