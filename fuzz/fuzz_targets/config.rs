//! Configurations: whatever they hold, reading ends, with a configuration that can be shown or with errors.

#![no_main]

use std::path::Path;

use dispatchyard::app::check_rules;
use dispatchyard::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::from_text(Path::new("/nonexistent/fuzz.toml"), text, []) {
        Ok(config) => {
            let _ = (config.effective(), config.warnings(), check_rules(&config));
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
