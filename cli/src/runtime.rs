//! What a node runs on. It makes no difference to anybody but a measure of time.

use p2pnet_driver::{Builder, Events, Handle, StartError};
use serde::{Deserialize, Serialize};

/// A runtime that a node can run on, in a thread of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Runtime {
    /// The tokio runtime
    #[default]
    Tokio,
    /// The sockets and timers of smol
    Smol,
    /// A bare loop over what is ready, without any asynchronous runtime
    Mio,
}

impl Runtime {
    /// Starts a node. Its thread ends with it.
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub(crate) fn run(self, builder: Builder) -> Result<(Handle, Events), StartError> {
        match self {
            Self::Tokio => p2pnet_tokio::run_in_thread(builder),
            Self::Smol => p2pnet_smol::run_in_thread(builder),
            Self::Mio => p2pnet_mio::run_in_thread(builder),
        }
    }
}
