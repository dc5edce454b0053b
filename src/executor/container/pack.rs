//! Files as archives: how they get into a container and out of it. Pure.

use std::collections::BTreeMap;
use std::io::Read as _;

use tar::{Archive, Builder, EntryType, Header};

/// The most that is read of a file.
const FILE_BYTES_MAX: u64 = 512 << 10;

/// Makes an archive of these files in that folder (a whole path), beside a folder in which everybody may
/// write.
pub(super) fn pack(folder: &str, work: &str, files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    let mut add = |path: &str, kind: EntryType, mode: u32, content: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        // Paths are ours and short, and memory takes everything.
        let added = archive.append_data(&mut header, path.trim_start_matches('/'), content);
        debug_assert!(added.is_ok(), "{added:?}");
    };
    add(folder, EntryType::Directory, 0o755, &[]);
    add(work, EntryType::Directory, 0o1777, &[]);
    for (name, content) in files {
        add(&format!("{folder}/{name}"), EntryType::Regular, 0o644, content);
    }
    archive.into_inner().unwrap_or_default()
}

/// The content of the one file of an archive; `None` when that is no file.
pub(super) fn content(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = Archive::new(archive);
    let entry = archive.entries().ok()?.next()?.ok()?;
    if entry.header().entry_type() != EntryType::Regular {
        return None;
    }
    let mut content = Vec::new();
    entry.take(FILE_BYTES_MAX).read_to_end(&mut content).ok()?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_there_with_its_rights() {
        let files = [("a".to_owned(), b"x\n".to_vec())].into();
        let packed = pack("/dispatchyard", "/dispatchyard/work", &files);
        let mut archive = Archive::new(&packed[..]);
        let told = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, entry.header().mode().unwrap(), entry.size())
        });
        let expected = [
            ("dispatchyard".to_owned(), 0o755, 0),
            ("dispatchyard/work".to_owned(), 0o1777, 0),
            ("dispatchyard/a".to_owned(), 0o644, 2),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        // The first is a folder.
        assert_eq!(content(&packed), None);
        assert_eq!(content(b"nonsense"), None);
        assert_eq!(content(b""), None);
    }

    #[test]
    fn a_file_is_read_and_a_link_is_not() {
        let mut archive = Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_size(3);
        archive.append_data(&mut header, "report", &b"a=b"[..]).unwrap();
        assert_eq!(content(&archive.into_inner().unwrap()), Some(b"a=b".to_vec()));
        let mut archive = Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "report", "/etc/shadow").unwrap();
        assert_eq!(content(&archive.into_inner().unwrap()), None);
    }
}
