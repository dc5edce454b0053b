//! What this machine offers: detected once, when the runner starts.

use std::path::Path;

use crate::model::RunnerCapabilities;

use super::RunnerOptions;

/// The socket whose presence means that containers can be started.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// What a runner with these options offers on this machine.
pub(super) fn detect(options: &RunnerOptions) -> RunnerCapabilities {
    let os = std::env::consts::OS;
    let architecture = architecture(std::env::consts::ARCH);
    let given = options.labels.iter().map(String::as_str);
    let actions = options.actions.as_ref().map(|_| "actions");
    let own = ["self-hosted", os, architecture].into_iter().chain(actions);
    let labels = given.chain(own).map(Into::into).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    RunnerCapabilities {
        labels,
        architecture: architecture.into(),
        os: os.into(),
        cpu_cores: u32::try_from(cores).unwrap_or(u32::MAX),
        memory_gb: std::fs::read_to_string("/proc/meminfo").map_or(1, |text| memory_gb(&text)),
        docker_enabled: Path::new(DOCKER_SOCKET).exists(),
        gpu: options.gpu,
        region: options.region.as_deref().map(Into::into),
        zone: options.zone.as_deref().map(Into::into),
        max_parallel_jobs: options.slots,
        ..RunnerCapabilities::default()
    }
    .normalised()
}

/// The host's name, or `runner` where the system does not tell.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "runner".to_owned(),
        name => name.to_owned(),
    }
}

/// The names that `runs-on` labels use.
fn architecture(rust_name: &'static str) -> &'static str {
    match rust_name {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Gigabytes, rounded: firmware keeps a little of an 8 GB machine, which still is one.
fn memory_gb(meminfo: &str) -> u32 {
    const KB_PER_GB: u64 = 1024 * 1024;
    let total_kb = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0);
    u32::try_from((total_kb + KB_PER_GB / 2) / KB_PER_GB).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_rounded_to_whole_gigabytes_and_never_zero() {
        assert_eq!(memory_gb("MemTotal:        8000000 kB\nMemFree: 1 kB"), 8);
        assert_eq!(memory_gb("MemTotal: 300000 kB"), 1);
        assert_eq!(memory_gb("nothing to see"), 1);
    }

    #[test]
    fn a_runner_offers_its_own_labels_and_those_that_every_runner_has() {
        let mut options =
            RunnerOptions::new("http://127.0.0.1:1", std::path::PathBuf::from("t"), "w");
        options.labels = vec!["Fast".into()];
        options.slots = 3;
        let offered = detect(&options);
        for label in ["fast", "self-hosted", std::env::consts::OS, &offered.architecture] {
            assert!(offered.labels.iter().any(|have| **have == *label), "{label}");
        }
        let has_actions =
            |offered: &RunnerCapabilities| offered.labels.iter().any(|label| **label == *"actions");
        assert!(!has_actions(&offered));
        options.actions = Some("carry-out".into());
        assert!(has_actions(&detect(&options)));
        assert_eq!(offered.max_parallel_jobs, 3);
        assert!(offered.cpu_cores >= 1 && offered.memory_gb >= 1);
    }
}
