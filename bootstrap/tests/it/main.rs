//! The server from outside: its stores, and all that it says over HTTP.

mod cluster;
mod hostile;
mod http;
mod life;
mod site;
mod store;
