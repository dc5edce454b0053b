//! Workflow files: whatever they hold, reading ends soon, with a file or with errors that name a place.

#![no_main]

use dispatchyard::workflow::{File, Policy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(errors) = File::parse("fuzz.yml", text, Policy::default()) {
        assert!(!errors.is_empty(), "a file is refused for nothing");
    }
});
