//! The data folder of `dev`: what a newcomer needs, made when it is missing and never overwritten.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::CliError;
use crate::clock::{OsEntropy, secret_token};
use crate::config::{Config, Secrets, environment};
use crate::webhook::Secret;

const EXAMPLE_CONFIG: &str = include_str!("../../../config/dispatchyard.toml");
const EXAMPLE_WORKFLOW: &str = include_str!("../../../config/workflows/demo.yml");
/// The variable in which the example configuration looks for the secret of its source.
const SECRET_VARIABLE: &str = "DISPATCHYARD_GITHUB_SECRET";

/// The folder, with all that is in it.
#[derive(Debug)]
pub(super) struct Home {
    folder: PathBuf,
}

impl Home {
    /// Makes what is missing.
    pub(super) fn prepare(folder: &Path) -> Result<Self, CliError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| CliError::File { path, source }
        };
        let workflows = folder.join("workflows");
        std::fs::create_dir_all(&workflows).map_err(fail(&workflows))?;
        let folder = std::path::absolute(folder).map_err(fail(folder))?;
        let home = Self { folder };
        write_new(&home.config_file(), EXAMPLE_CONFIG, 0o644)?;
        write_new(&home.folder.join("workflows/demo.yml"), EXAMPLE_WORKFLOW, 0o644)?;
        write_new(&home.secret_file(), &secret_token("hook", &mut OsEntropy), 0o600)?;
        write_new(&home.token_file(), &secret_token("dev", &mut OsEntropy), 0o600)?;
        Ok(home)
    }

    /// The configuration in the folder, on loopback and without tokens, with the secret of the
    /// folder where the environment has none.
    pub(super) fn config(&self, listen: SocketAddr) -> Result<(Config, Secrets), CliError> {
        let mut config = Config::load(&self.config_file(), environment())?;
        config.server.listen = listen;
        config.server.data_dir.clone_from(&self.folder);
        let own = self.own_secret()?;
        let secrets = config.load_secrets(|name| {
            let set = std::env::var(name).ok();
            set.or_else(|| (name == SECRET_VARIABLE).then(|| own.clone()))
        })?;
        // Nobody else can reach it, so nobody has to log in.
        let secrets =
            Secrets { sources: secrets.sources, warnings: secrets.warnings, ..Secrets::default() };
        Ok((config, secrets))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.folder.join("dispatchyard.toml")
    }

    pub(super) fn secret_file(&self) -> PathBuf {
        self.folder.join("github-secret")
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.folder.join("runner-token")
    }

    /// The secret that example deliveries are signed with.
    pub(super) fn secret(&self) -> Result<Secret, CliError> {
        let text = match std::env::var(SECRET_VARIABLE) {
            Ok(set) => set,
            Err(_) => self.own_secret()?,
        };
        Secret::from_text(text.as_bytes()).map(|it| it.secret).map_err(|error| CliError::Usage {
            message: error.to_string(),
            hint: format!("remove {}: a new one is made", self.secret_file().display()),
        })
    }

    fn own_secret(&self) -> Result<String, CliError> {
        crate::cli::global::read_text(&self.secret_file())
    }
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    let fail = |source| CliError::File { path: path.to_owned(), source };
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    match opened {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(fail),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(fail(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_folder_has_a_configuration_that_loads_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::prepare(&folder.path().join("data")).unwrap();
        let (config, secrets) = home.config("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(config.triggers.len(), 2);
        assert_eq!(secrets.sources["github"].len(), 1);
        assert!(crate::app::check_rules(&config).is_ok());
        let first = home.secret().unwrap();
        let again = Home::prepare(home.folder()).unwrap();
        assert_eq!(again.secret().unwrap(), first);
    }
}
