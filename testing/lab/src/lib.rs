//! Network namespaces as anonymous hosts, and the scenarios that run p2pnet in them.
