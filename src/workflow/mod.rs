//! Workflow files: GitHub's workflow YAML, as far as it is understood.
//!
//! ```text
//! folder of *.yml -> yaml::Node (a tree with places) -> File (checked) -> plan -> PlannedWorkload
//! ```
//!
//! What is not understood is refused when the file is loaded, with file, line, column and key,
//! and never skipped: a job that silently runs without its `if` is worse than one that does not
//! load. All faults of all files are told at once.
//!
//! [`script`] makes of a script with expressions one that no value becomes a part of.
//!
//! Not here: `${{ }}` expressions anywhere in a file, matrices, `uses`; and `on`, which the triggers of the
//! configuration stand for.

mod dispatch;
mod error;
mod file;
mod folder;
mod plan;
mod read;
pub mod script;
mod step;
mod yaml;

pub use dispatch::Dispatch;
pub use error::FileError;
pub use file::{File, FileJob};
pub use folder::{FolderError, load};
pub use plan::{Defaults, plan};
