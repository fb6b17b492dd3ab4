//! A node built without an HTTP client: what it would ask others fails.

use p2pnet_protocol::Answer;
use p2pnet_protocol::io::Fetch;

/// Nobody to ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetcher;

impl Fetcher {
    #[expect(clippy::unused_self, reason = "it stands in for one that has connections")]
    pub(crate) fn answer(&self, request: &Fetch) -> Answer {
        tracing::debug!(target: "p2pnet::bootstrap", url = %request.url, "there is no HTTP client in this program");
        Answer::Failed
    }
}
