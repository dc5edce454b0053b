//! Named results: the `name=value` lines that steps append to the file in `DISPATCHYARD_OUTPUT`,
//! without secrets.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::secrets::Secrets;

/// The most that is read of the file.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The most results of one job.
const OUTPUTS_MAX: usize = 100;

/// What was read, and what could not be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outputs {
    /// Results by name; a later line replaces an earlier one.
    pub(crate) values: BTreeMap<String, String>,
    /// What is wrong with the file, for the job's log.
    pub(crate) complaints: Vec<String>,
}

/// Reads the file as the steps left it, which may be anything: a link, a pipe, or gone.
pub(super) fn read(path: &Path, secrets: &Secrets) -> Outputs {
    match read_bounded(path, FILE_BYTES_MAX) {
        Ok(bytes) => parse(&bytes, secrets),
        Err(error) => Outputs {
            values: BTreeMap::new(),
            complaints: vec![format!("the output file cannot be read: {error}")],
        },
    }
}

/// Reads a file that steps could write to: at most one byte more than `bytes_max`, and nothing of a link, a
/// pipe or another thing that is no file.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    use rustix::fs::OFlags;
    // A link could lead to the runner's own files, and opening a pipe could wait for ever.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads what was in the file.
pub(crate) fn parse(bytes: &[u8], secrets: &Secrets) -> Outputs {
    let mut outputs = Outputs::default();
    let too_long = bytes.len() as u64 > FILE_BYTES_MAX;
    let whole = if too_long {
        outputs.complaints.push(format!("outputs beyond {FILE_BYTES_MAX} bytes are dropped"));
        // The last line may be cut in two.
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        &bytes[..end]
    } else {
        bytes
    };
    // Before anything is cut: a part of a secret would not be known.
    let masked = secrets.mask_bytes(whole);
    let text = String::from_utf8_lossy(&masked).replace('\0', "\u{fffd}");
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                let name = name.trim();
                if outputs.values.len() == OUTPUTS_MAX && !outputs.values.contains_key(name) {
                    outputs.complaints.push(format!("outputs beyond {OUTPUTS_MAX} are dropped"));
                    break;
                }
                outputs.values.insert(name.to_owned(), value.to_owned());
            }
            _ => {
                let start: String = line.chars().take(80).collect();
                outputs.complaints.push(format!("`{start}` is no output: write name=value"));
            }
        }
    }
    outputs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_line_of_a_name_counts_and_a_line_without_one_is_told() {
        let text = b"a=1\r\n\nb=x=y\na=2 sesame\nnonsense\n=v\n";
        let outputs = parse(text, &Secrets::new([&b"sesame"[..]]));
        let values: Vec<_> = outputs.values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(values, [("a", "2 ***"), ("b", "x=y")]);
        assert_eq!(outputs.complaints.len(), 2, "{:?}", outputs.complaints);
    }

    #[test]
    fn a_link_in_place_of_the_file_is_not_followed() {
        let folder = tempfile::tempdir().expect("tempdir");
        let (secret, link) = (folder.path().join("secret"), folder.path().join("output"));
        std::fs::write(&secret, "token=1").expect("written");
        std::os::unix::fs::symlink(&secret, &link).expect("linked");
        let outputs = read(&link, &Secrets::default());
        assert!(outputs.values.is_empty() && outputs.complaints.len() == 1);
        assert_eq!(read(&secret, &Secrets::default()).values.len(), 1);
    }

    proptest! {
        #[test]
        fn any_file_gives_bounded_outputs(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let outputs = parse(&bytes, &Secrets::default());
            prop_assert!(outputs.values.len() <= OUTPUTS_MAX);
            prop_assert!(outputs.values.keys().all(|name| !name.contains(['\0', '\n'])));
        }
    }
}
