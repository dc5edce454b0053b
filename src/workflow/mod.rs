//! Workflow files: GitHub's workflow YAML, as far as it is understood.
//!
//! ```text
//! folder of *.yml -> yaml::Node (a tree with places) -> File (checked) -> plan(event) -> PlannedWorkload
//!                                        all that a job needs has ended -> decide -> run | skip | its jobs
//! ```
//!
//! What is not understood is refused when the file is loaded, with file, line, column and key,
//! and never skipped: a job that silently runs without its `if` is worse than one that does not
//! load. All faults of all files are told at once.
//!
//! Expressions are filled in where what they read is known: over the event when a workload is planned, over
//! other jobs when these have ended ([`decide`]), and in steps by the runner, which gets their text.
//!
//! [`script`] makes of a script with expressions one that no value becomes a part of.
//!
//! Not here: workflows that call each other (`workflow_call`, `uses` of a job), containers of a job,
//! environments; they are refused with their line.

mod concurrency;
mod condition;
mod decide;
mod dispatch;
mod drafting;
pub mod dry;
mod error;
mod file;
mod folder;
mod job;
mod matrix;
mod on;
mod permissions;
mod place;
mod plan;
mod read;
pub mod script;
mod step;
mod strategy;
mod text;
mod values;
mod yaml;

pub use concurrency::Concurrency;
pub use condition::Condition;
pub use decide::decide;
pub use dispatch::Dispatch;
pub use error::FileError;
pub use file::File;
pub use folder::{FolderError, load};
pub use job::{FileJob, RunsOn};
pub use on::{FileOn, Input, InputKind};
pub use plan::{ACTIONS_LABEL, Defaults, plan};
pub use script::Policy;
pub use strategy::Strategy;
pub use text::{Setting, Text};
pub use values::Values;
