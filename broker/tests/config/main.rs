//! That a broker takes exactly the settings that it should, and says well why it does not take others.
//!
//! Files are real ones in a temporary folder; environment and options are handed in as the binary does. The
//! sample file in `config/` is compared with the tables of settings, and then read back with every line
//! uncommented.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod bad_input;
mod overlay;
mod sample;
mod topics;

use std::path::PathBuf;

use tempfile::TempDir;
use thalweg_broker::config::{BrokerConfig, Sources};

/// A configuration file in a folder of its own.
struct File {
    folder: TempDir,
}

impl File {
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broker.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("broker.toml")
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What is wrong, line by line, with the folder of the file cut off.
fn errors(sources: &Sources) -> Vec<String> {
    let text = BrokerConfig::load(sources).unwrap_err().to_string();
    let short = |line: &str| match line.split_once("broker.toml:") {
        Some((_, rest)) => format!("broker.toml:{rest}"),
        None => line.to_owned(),
    };
    text.lines().map(short).collect()
}
