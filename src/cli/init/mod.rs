//! `init`: a configuration to begin with.
//!
//! Nothing that is there is ever overwritten: with one of the files there, none is written.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::CliError;
use super::console::Console;

/// What is written, by its place in the folder.
const FILES: [(&str, &str); 2] = [
    ("dispatchyard.toml", include_str!("dispatchyard.toml")),
    ("workflows/hello.yml", include_str!("hello.yml")),
];

/// Where to.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// The folder; made if it is not there
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(args: &InitArgs, console: &mut Console) -> Result<(), CliError> {
    let paths = FILES.map(|(name, text)| (args.folder.join(name), text));
    if let Some((path, _)) = paths.iter().find(|(path, _)| path.exists()) {
        return Err(exists(path));
    }
    for (path, text) in &paths {
        write(path, text)?;
        console.line(&format!("wrote {}", path.display()))?;
    }
    let config = paths[0].0.display();
    console.line(&format!(
        "next: set DISPATCHYARD_GITHUB_SECRET, then `dispatchyard check {config}` and \
         `dispatchyard serve --config {config}`"
    ))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |source| CliError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = File::create_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => failed(error),
    })?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn exists(path: &Path) -> CliError {
    CliError::Usage {
        message: format!("{} is there already, and stays as it is", path.display()),
        hint: "name another folder: `dispatchyard init FOLDER`".to_owned(),
    }
}
