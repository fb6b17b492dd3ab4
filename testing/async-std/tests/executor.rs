//! Every scenario on the smol adapter under async-std's executor. Whoever comes from async-std can go on with both.

use p2pnet_conformance::heap;
use p2pnet_driver::{Builder, Events, Handle, StartError};

#[global_allocator]
static ALLOCATOR: heap::Counting = heap::Counting;

fn spawn(builder: Builder) -> Result<(Handle, Events), StartError> {
    let (handle, events, node) = p2pnet_smol::start(builder)?;
    async_std::task::spawn(node);
    Ok((handle, events))
}

p2pnet_conformance::suite!(spawn);
