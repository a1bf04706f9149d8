//! What is wrong with a setting: its name, its value, where it came from, and what is allowed.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a setting's value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// An option of the command line, as it was written.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "option {flag}"),
        }
    }
}

/// One thing that is wrong with the broker's configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser says.
        message: String,
    },
    /// No setting has this name.
    #[error("{origin}: there is no setting {key:?}{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// The name.
        key: String,
        /// Where it was written.
        origin: Origin,
        /// The known name that comes closest.
        nearest: Option<String>,
    },
    /// The value has the wrong type, or lies outside of what is allowed.
    #[error("{origin}: {key} cannot be {found}; allowed is {allowed}")]
    Value {
        /// The setting.
        key: String,
        /// Where the value was written.
        origin: Origin,
        /// The value.
        found: String,
        /// What is allowed, in words.
        allowed: String,
    },
    /// A `--set` without `=`.
    #[error("option --set {0:?}: write it as key=value")]
    Pair(String),
    /// Two settings contradict each other.
    #[error("{0}")]
    Together(String),
}

/// Everything that is wrong with the broker's configuration, in the order in which it was found.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Why settings of a topic are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicConfigError {
    /// No topic setting has this name.
    #[error("there is no topic setting {key:?}{}", did_you_mean(*nearest))]
    Unknown {
        /// The name.
        key: String,
        /// The known name that comes closest.
        nearest: Option<&'static str>,
    },
    /// The value has the wrong type, or lies outside of what is allowed.
    #[error("{key} cannot be {found}; allowed is {allowed}")]
    Value {
        /// The setting.
        key: &'static str,
        /// The value.
        found: String,
        /// What is allowed, in words.
        allowed: String,
    },
    /// The same setting is given twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// Two settings contradict each other.
    #[error("{0}")]
    Together(String),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}
