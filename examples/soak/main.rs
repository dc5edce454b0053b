//! Plays long worlds with the real scheduler under virtual time and writes what was seen into
//! `docs/scheduling.md` and `docs/figures`.
//!
//! ```sh
//! cargo run --release --example soak -- docs
//! ```
//!
//! The prose of the page stays as it is; what stands between `<!-- soak: NAME -->` and
//! `<!-- soak end -->` is written anew. The same program gives the same figures on every machine.
//! `tests/sim/fleets.rs` plays shorter forms of the same worlds and holds them to their bounds.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

mod chart;
#[expect(dead_code, reason = "the simulator has more uses for it")]
#[path = "../../tests/sim/dice.rs"]
mod dice;
mod experiments;
mod page;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned()));
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to write the page: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> Result<(), String> {
    let page = folder.join("scheduling.md");
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = std::fs::read_to_string(&page).map_err(|error| told(&page, error))?;
    let (blocks, figures) = page::all();
    for block in blocks {
        text = filled(&text, &block)?;
    }
    let figures_folder = folder.join("figures");
    std::fs::create_dir_all(&figures_folder).map_err(|error| told(&figures_folder, error))?;
    let figures = figures.into_iter().map(|it| (figures_folder.join(it.file), it.chart.svg()));
    for (path, text) in figures.chain([(page, text)]) {
        std::fs::write(&path, text).map_err(|error| told(&path, error))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The page with another text between the marks of a block.
fn filled(page: &str, block: &page::Block) -> Result<String, String> {
    let (begin, end) = (format!("<!-- soak: {} -->", block.name), "<!-- soak end -->");
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}\n{}\n{end}{after}", block.text))
    });
    parts.ok_or_else(|| format!("the page has no `{begin}` that ends with `{end}`"))
}
