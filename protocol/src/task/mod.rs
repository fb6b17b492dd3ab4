//! Network tasks: what one peer asks another to do, signed, addressed, in time, and at most once (features K1 to K4).
//!
//! | Module | What it is |
//! |---|---|
//! | [`kind`] | the kinds of tasks, and the one table of what each may do by default |
//! | [`body`], [`outcome`] | what a task says, and what comes back |
//! | [`envelope`] | the signed form on the wire |
//! | [`trust`] | who may have which kind done here |
//! | [`window`] | what was seen before, across restarts |
//! | [`refusal`] | why a task was turned away |
//! | [`data`] | the area of keys and values that members replicate |
//! | [`labels`] | identifiers that the authority gave to identities |
//! | [`settings`] | what [`UpdateSettings`](body::TaskBody::UpdateSettings) may change |
//! | [`memory`] | all that must outlive the process, in one piece |
//!
//! Everything here is pure: no node, no channel. `network/tasks.rs` puts it to work.

pub mod body;
pub mod data;
pub mod envelope;
pub mod kind;
pub mod labels;
pub mod memory;
pub mod outcome;
pub mod refusal;
pub mod settings;
pub mod trust;
pub mod window;

pub use body::TaskBody;
pub use data::{DataArea, DataEntry, Version};
pub use envelope::{Audience, NetworkTask};
pub use kind::TaskKind;
pub use outcome::{TaskFailure, TaskOutcome};
pub use refusal::TaskRefusal;
pub use settings::{Setting, TaskConfig};
pub use trust::{NetworkTaskTrustConfiguration, Requirement, Requirements};
