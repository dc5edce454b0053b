//! The folder of workflow files. The one place of this room that touches the disk; it is read
//! when the configuration is loaded, never while events are decided.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::yaml::FILE_BYTES_MAX;
use super::{File, FileError, Policy};
use crate::model::Catalogue;

/// The most workflow files of a folder.
const FILES_MAX: usize = 1_000;

/// One thing that is wrong with a folder of workflows.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A file is larger than any workflow.
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// More than [`FILES_MAX`] files.
    #[error("{} has more than {FILES_MAX} workflow files", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// Two files of one name, as `ci.yml` and `ci.yaml`.
    #[error("{} and {} are both workflow `{name}`; rename one", first, second)]
    SameName {
        /// The name.
        name: String,
        /// One file.
        first: String,
        /// The other file.
        second: String,
    },
    /// A file is wrong.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reads every `*.yml` and `*.yaml` of a folder, not of folders in it, by its name without the
/// ending. They are checked against the names of the configuration.
///
/// # Errors
///
/// Everything that is wrong with all files.
pub fn load(
    folder: &Path,
    catalogue: &Catalogue,
    policy: Policy,
) -> Result<BTreeMap<String, File>, Vec<FolderError>> {
    let (mut files, mut faults) = (BTreeMap::<String, File>::new(), Vec::new());
    for path in list(folder).map_err(|fault| vec![fault])? {
        match read(&path, catalogue, policy) {
            Err(found) => faults.extend(found),
            Ok(file) => {
                if let Some(first) = files.get(&file.name) {
                    let (first, second) = (first.file.clone(), file.file);
                    faults.push(FolderError::SameName { name: file.name, first, second });
                } else {
                    files.insert(file.name.clone(), file);
                }
            }
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

/// The workflow files of a folder, sorted, so that the same folder gives the same messages.
fn list(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let unreadable = |error| FolderError::Unreadable { path: folder.to_owned(), error };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().and_then(|it| it.to_str());
        if matches!(ending, Some("yml" | "yaml")) && path.is_file() {
            paths.push(path);
        }
    }
    if paths.len() > FILES_MAX {
        return Err(FolderError::TooMany { path: folder.to_owned() });
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path, catalogue: &Catalogue, policy: Policy) -> Result<File, Vec<FolderError>> {
    let unreadable = |error| vec![FolderError::Unreadable { path: path.to_owned(), error }];
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX as u64 {
        return Err(vec![FolderError::TooLarge { path: path.to_owned() }]);
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let faults =
        |found: Vec<FileError>| found.into_iter().map(FolderError::from).collect::<Vec<_>>();
    let file = File::parse(&name, &text, policy).map_err(faults)?;
    file.check(catalogue).map_err(faults)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "jobs: { a: { runs-on: x, steps: [{ run: ls }] } }";

    #[test]
    fn all_files_are_read_by_name_and_others_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "README.md"] {
            fs::write(folder.path().join(name), GOOD).unwrap();
        }
        let files = load(folder.path(), &Catalogue::default(), Policy::default()).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn the_faults_of_all_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.yml", "on: push"), ("b.yml", GOOD), ("b.yaml", GOOD)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::write(folder.path().join("c.yml"), [0xff, 0xfe]).unwrap();
        let faults = load(folder.path(), &Catalogue::default(), Policy::default()).unwrap_err();
        let text: Vec<_> = faults
            .iter()
            .map(|it| it.to_string().replace(&*folder.path().to_string_lossy(), "DIR"))
            .collect();
        insta::assert_snapshot!(text.join("\n"), @"
        a.yml:1:1: jobs: the workflow has no jobs; add `jobs:` with at least one job
        b.yaml and b.yml are both workflow `b`; rename one
        cannot read DIR/c.yml: stream did not contain valid UTF-8
        ");
        assert!(
            load(&folder.path().join("none"), &Catalogue::default(), Policy::default()).is_err()
        );
    }

    #[test]
    fn the_example_workflows_load() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/workflows"));
        assert!(
            load(folder, &Catalogue::default(), Policy::default()).unwrap().contains_key("demo")
        );
    }
}
