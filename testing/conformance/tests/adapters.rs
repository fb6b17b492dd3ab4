//! Every scenario on every adapter, and those about two nodes between each two of them.

#[path = "adapters/host.rs"]
mod host;
#[path = "adapters/memory.rs"]
mod memory;

use p2pnet_conformance::heap;
use p2pnet_driver::{Builder, Events, Handle, StartError};
use std::sync::OnceLock;

#[global_allocator]
static ALLOCATOR: heap::Counting = heap::Counting;

/// A task of a tokio runtime with several threads.
fn tokio_task(builder: Builder) -> Result<(Handle, Events), StartError> {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let make = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap()
    };
    let _entered = RUNTIME.get_or_init(make).enter();
    p2pnet_tokio::spawn(builder)
}

mod tokio_in_a_thread {
    p2pnet_conformance::suite!(p2pnet_tokio::run_in_thread);
    p2pnet_conformance::networks!(p2pnet_tokio::run_in_thread);
}

mod tokio_in_a_task {
    p2pnet_conformance::suite!(super::tokio_task);
}

mod smol_in_a_thread {
    p2pnet_conformance::networks!(p2pnet_smol::run_in_thread);
}

mod smol_in_a_task {
    p2pnet_conformance::suite!(p2pnet_smol::spawn);
}

mod mio_in_a_thread {
    p2pnet_conformance::suite!(p2pnet_mio::run_in_thread);
    p2pnet_conformance::networks!(p2pnet_mio::run_in_thread);
}

mod mio_in_a_loop_of_its_host {
    p2pnet_conformance::suite!(super::host::spawn);
}

mod on_a_network_in_memory {
    p2pnet_conformance::apart!(super::memory::spawn);
}

mod tokio_and_smol {
    p2pnet_conformance::crosswise!(p2pnet_tokio::run_in_thread, p2pnet_smol::spawn);
}

mod smol_and_mio {
    p2pnet_conformance::crosswise!(p2pnet_smol::spawn, p2pnet_mio::run_in_thread);
}

mod mio_and_tokio {
    p2pnet_conformance::crosswise!(p2pnet_mio::run_in_thread, p2pnet_tokio::run_in_thread);
}

mod smol_and_tokio {
    p2pnet_conformance::crosswise!(p2pnet_smol::spawn, p2pnet_tokio::run_in_thread);
}

mod mio_and_smol {
    p2pnet_conformance::crosswise!(p2pnet_mio::run_in_thread, p2pnet_smol::spawn);
}

mod tokio_and_mio {
    p2pnet_conformance::crosswise!(p2pnet_tokio::run_in_thread, p2pnet_mio::run_in_thread);
}
