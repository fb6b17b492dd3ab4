//! A node that was built without files: whatever the core asks of them fails.

use crate::handle::Shared;
use p2pnet_protocol::{FileRequest, RequestId};
use std::sync::Weak;

/// There is no file manager.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manager;

/// Nobody who would do it.
#[derive(Debug)]
pub(crate) struct Files;

impl Files {
    pub(crate) fn new(_manager: Manager, _shared: Weak<Shared>) -> Self {
        Self
    }

    /// The request comes back.
    pub(crate) fn ask(&mut self, id: RequestId, _request: FileRequest) -> Result<(), RequestId> {
        Err(id)
    }
}
