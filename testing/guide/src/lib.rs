//! Every piece of code in `docs/guide` is a documentation test of this crate. The page about async-std is one of
//! `testing/async-std`, which alone depends on it.

/// Makes the pages' code into tests.
macro_rules! pages {
    ($($page:ident: $path:literal)*) => { $(
        #[doc = include_str!(concat!("../../../docs/guide/", $path))]
        pub mod $page {}
    )* };
}

pages! {
    adapter: "adapter.md"
    architecture: "architecture.md"
    by_hand: "by-hand.md"
    embedding: "embedding.md"
    handler: "handler.md"
    handshake: "handshake.md"
    limits: "limits.md"
    routine: "routine.md"
    tour: "tour.md"
}
