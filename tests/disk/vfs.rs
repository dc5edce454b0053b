//! The layer between SQLite and its files: hands each operation to the system's own layer, after it
//! has asked a [`Disk`] whether that may go well, and tells the disk what was done.
//!
//! It is used for the folders that a disk was mounted on, and only there. Real flushes are left out:
//! a power loss is played from the record, and nothing else can see whether one was made. Memory that
//! SQLite shares between connections (`-shm`) is no file of the record: a power loss leaves nothing of
//! it that SQLite would use.

#![expect(unsafe_code, reason = "SQLite reaches its files through a table of C functions")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};

use libsqlite3_sys as ffi;

use crate::disk::{Disk, FileId, Op, Verdict};

/// What the layer is registered as.
pub(crate) const NAME: &str = "dispatchyard-disk";
const NAME_FOR_C: &CStr = c"dispatchyard-disk";

/// The disks, by the folders that they are mounted on.
static MOUNTED: Mutex<BTreeMap<PathBuf, Arc<Disk>>> = Mutex::new(BTreeMap::new());

/// Takes the disk away when it is dropped.
pub(crate) struct Mounted(PathBuf);

/// Lets the files of this folder go through that disk.
pub(crate) fn mount(folder: &Path, disk: &Arc<Disk>) -> Mounted {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    let folder = folder.canonicalize().unwrap();
    MOUNTED.lock().unwrap().insert(folder.clone(), Arc::clone(disk));
    Mounted(folder)
}

impl Drop for Mounted {
    fn drop(&mut self) {
        MOUNTED.lock().unwrap().remove(&self.0);
    }
}

fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    MOUNTED.lock().unwrap().get(path.parent()?).cloned()
}

/// An open file as SQLite sees it. The system's own file follows it in the same memory.
#[repr(C)]
struct Opened {
    /// Where SQLite finds the functions.
    base: ffi::sqlite3_file,
    /// Made when the file is opened, and dropped when it is closed.
    handle: *mut Handle,
}

struct Handle {
    disk: Arc<Disk>,
    file: FileId,
}

fn register() {
    // SAFETY: the system's layer lives as long as the process; ours is leaked, so it does too. Both
    // are of the version whose fields are copied.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!system.is_null(), "SQLite has a layer of its own");
        let mut ours = *system;
        // Without the later fields, which replace system calls.
        ours.iVersion = 2;
        ours.szOsFile = c_int::try_from(size_of::<Opened>()).unwrap() + (*system).szOsFile;
        ours.pNext = std::ptr::null_mut();
        ours.zName = NAME_FOR_C.as_ptr();
        ours.pAppData = system.cast();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        ours.xAccess = Some(access);
        let code = ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 0);
        assert_eq!(code, ffi::SQLITE_OK);
    }
}

/// Version 2: with shared memory, without files mapped into memory.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

// SAFETY of all that follows: SQLite calls these functions with what it was given by `open`: memory
// of `szOsFile` bytes that begins with an `Opened` whose handle is alive until `close`, and behind it
// the system's file, opened by the system's layer. Names end with NUL, buffers have the length said.

unsafe fn system_vfs(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    unsafe { (*vfs).pAppData.cast() }
}

unsafe fn system_file(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.cast::<Opened>().add(1).cast() }
}

unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a Handle {
    unsafe { &*(*file.cast::<Opened>()).handle }
}

/// Calls a function of the system's file.
macro_rules! system {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let file = system_file($file);
        ((*(*file).pMethods).$method.unwrap())(file $(, $argument)*)
    }};
}

unsafe fn path_of<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    unsafe { CStr::from_ptr(name) }.to_str().ok().map(Path::new)
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    unsafe {
        let system = system_vfs(vfs);
        let open = (*system).xOpen.unwrap();
        let place = path_of(name).and_then(|path| Some((path, disk_of(path)?)));
        let Some((path, disk)) = place else {
            return open(system, name, file, flags, flags_out);
        };
        (*file).pMethods = std::ptr::null();
        let new = flags & ffi::SQLITE_OPEN_CREATE != 0 && !path.exists();
        if let Verdict::Fail(code) | Verdict::Partly(code) = disk.ask(Op::Open { new }) {
            return code;
        }
        let below = system_file(file);
        (*below).pMethods = std::ptr::null();
        let code = open(system, name, below, flags, flags_out);
        if code != ffi::SQLITE_OK {
            return code;
        }
        let file_name = path.file_name().unwrap().to_str().unwrap();
        // As the system's layer: with the first flush of such a file its name is flushed too.
        let named = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
        let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let id = disk.opened(file_name, creates && flags & named != 0);
        let handle = Box::new(Handle { disk, file: id });
        (*file.cast::<Opened>()).handle = Box::into_raw(handle);
        (*file).pMethods = &raw const METHODS;
        code
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flush_folder: c_int,
) -> c_int {
    unsafe {
        let system = system_vfs(vfs);
        let delete = (*system).xDelete.unwrap();
        let place = path_of(name).and_then(|path| Some((path, disk_of(path)?)));
        let Some((path, disk)) = place else { return delete(system, name, flush_folder) };
        if let Verdict::Fail(code) | Verdict::Partly(code) = disk.ask(Op::Delete) {
            return code;
        }
        let code = delete(system, name, 0);
        if code == ffi::SQLITE_OK {
            disk.deleted(path.file_name().unwrap().to_str().unwrap(), flush_folder != 0);
        }
        code
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        if let Some(disk) = path_of(name).and_then(disk_of)
            && let Verdict::Fail(code) | Verdict::Partly(code) = disk.ask(Op::Access)
        {
            return code;
        }
        let system = system_vfs(vfs);
        ((*system).xAccess.unwrap())(system, name, flags, out)
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let code = system!(file, xClose);
        drop(Box::from_raw((*file.cast::<Opened>()).handle));
        (*file).pMethods = std::ptr::null();
        code
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    bytes: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        match handle(file).disk.ask(Op::Read) {
            Verdict::Go => system!(file, xRead, to, bytes, offset),
            Verdict::Fail(code) | Verdict::Partly(code) => code,
        }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    bytes: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        let handle = handle(file);
        let length = usize::try_from(bytes).unwrap();
        let data = std::slice::from_raw_parts(from.cast::<u8>(), length);
        let at = u64::try_from(offset).unwrap();
        let verdict = handle.disk.ask(Op::Write { file: handle.file, end: at + length as u64 });
        let (length, failed) = match verdict {
            Verdict::Go => (length, None),
            Verdict::Partly(code) => (length / 2, Some(code)),
            Verdict::Fail(code) => return code,
        };
        let code = system!(file, xWrite, from, c_int::try_from(length).unwrap(), offset);
        if code == ffi::SQLITE_OK {
            handle.disk.wrote(handle.file, at, &data[..length]);
        }
        failed.unwrap_or(code)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    unsafe {
        let handle = handle(file);
        if let Verdict::Fail(code) | Verdict::Partly(code) = handle.disk.ask(Op::Truncate) {
            return code;
        }
        let code = system!(file, xTruncate, size);
        if code == ffi::SQLITE_OK {
            handle.disk.truncated(handle.file, u64::try_from(size).unwrap());
        }
        code
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    let handle = unsafe { handle(file) };
    match handle.disk.ask(Op::Sync) {
        Verdict::Go => {
            handle.disk.synced(handle.file);
            ffi::SQLITE_OK
        }
        Verdict::Fail(code) | Verdict::Partly(code) => {
            handle.disk.not_synced(handle.file);
            code
        }
    }
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        match handle(file).disk.ask(Op::Size) {
            Verdict::Go => system!(file, xFileSize, size),
            Verdict::Fail(code) | Verdict::Partly(code) => code,
        }
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe {
        match handle(file).disk.ask(Op::Lock) {
            Verdict::Go => system!(file, xLock, level),
            Verdict::Fail(code) | Verdict::Partly(code) => code,
        }
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { system!(file, xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    unsafe { system!(file, xCheckReservedLock, out) }
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    what: c_int,
    argument: *mut c_void,
) -> c_int {
    unsafe { system!(file, xFileControl, what, argument) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { system!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { system!(file, xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    unsafe {
        match handle(file).disk.ask(Op::Share { extend: extend != 0 }) {
            Verdict::Go => system!(file, xShmMap, region, bytes, extend, out),
            Verdict::Fail(code) | Verdict::Partly(code) => {
                *out = std::ptr::null_mut();
                code
            }
        }
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    many: c_int,
    flags: c_int,
) -> c_int {
    unsafe { system!(file, xShmLock, offset, many, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe { system!(file, xShmBarrier) }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    unsafe { system!(file, xShmUnmap, delete) }
}
