//! From defaults, file, environment and command line to one configuration: the later wins.
//!
//! Owns the order, the names that each source uses, and the list of everything that is wrong.

use std::path::{Path, PathBuf};

use super::broker::{BrokerConfig, Limits, LogConfig, MetricsConfig, StorageConfig};
use super::error::{ConfigError, ConfigErrors, Origin};
use super::groups::GroupsConfig;
use super::nearest::nearest;
use super::setting::{Key, Raw, Refused, Section, Written};
use super::topic::TOPIC_KEYS;
use super::{file, validate};

/// The environment's variables that set something begin with this.
const PREFIX: &str = "THALWEG_";

/// Variables of the command line, which are no settings of the broker.
const VARIABLES_OF_TOOLS: &[&str] = &["THALWEG_BROKER", "THALWEG_CONFIG", "THALWEG_OUTPUT"];

/// The section whose names are the topics' own.
const TOPIC_DEFAULTS: &str = "topic_defaults";

/// Where a broker's settings are written. Nothing is read before [`BrokerConfig::load`].
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    flags: Vec<Flag>,
}

#[derive(Clone, Debug)]
enum Flag {
    /// `--set key=value`.
    Set(String),
    /// An option of its own, such as `--listen`, with the setting that it stands for.
    Named { name: String, key: String, value: String },
}

impl Sources {
    /// Nothing but the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a TOML file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// With the environment's variables; those that do not begin with `THALWEG_` are ignored.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// With one `--set key=value`.
    #[must_use]
    pub fn set(mut self, pair: impl Into<String>) -> Self {
        self.flags.push(Flag::Set(pair.into()));
        self
    }

    /// With an option that stands for a setting: `flag("--listen", "listeners", "127.0.0.1:0")`.
    #[must_use]
    pub fn flag(
        mut self,
        name: impl Into<String>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let (name, key, value) = (name.into(), key.into(), value.into());
        self.flags.push(Flag::Named { name, key, value });
        self
    }

    /// All that is written, in the order in which it is applied.
    fn written(&self, errors: &mut Vec<ConfigError>) -> Vec<Written> {
        let mut all = Vec::new();
        if let Some(path) = &self.file {
            match file::read(path) {
                Ok(settings) => all.extend(settings),
                Err(error) => errors.push(error),
            }
        }
        all.extend(self.environment.iter().filter_map(|(name, value)| variable(name, value)));
        for flag in &self.flags {
            match option(flag) {
                Ok(written) => all.push(written),
                Err(error) => errors.push(error),
            }
        }
        all
    }
}

fn variable(name: &str, value: &str) -> Option<Written> {
    let rest = name.strip_prefix(PREFIX)?;
    if VARIABLES_OF_TOOLS.contains(&name) {
        return None;
    }
    // A topic's setting has dots where a variable can have single underscores only.
    let key = match rest.strip_prefix("TOPIC_DEFAULTS__") {
        Some(topic) => {
            format!("{TOPIC_DEFAULTS}.{}", topic.to_ascii_lowercase().replace('_', "."))
        }
        None => rest.to_ascii_lowercase().replace("__", "."),
    };
    // `__` as well as `_` stands for a dot there.
    let key = if key.starts_with(TOPIC_DEFAULTS) { key.replace("..", ".") } else { key };
    let origin = Origin::Environment(name.to_owned());
    Some(Written { key, raw: Raw::Loose(value.to_owned()), origin })
}

fn option(flag: &Flag) -> Result<Written, ConfigError> {
    let (key, value, text) = match flag {
        Flag::Set(pair) => {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| ConfigError::Pair(pair.clone()))?;
            (key.trim(), value, format!("--set {pair}"))
        }
        Flag::Named { name, key, value } => (key.as_str(), value.as_str(), name.clone()),
    };
    let raw = Raw::Loose(value.to_owned());
    Ok(Written { key: key.to_owned(), raw, origin: Origin::Flag(text) })
}

impl BrokerConfig {
    /// Defaults, then the file, then the environment, then the command line: the later wins. The error
    /// lists everything that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let written = sources.written(&mut errors);
        Self::build(&written, errors)
    }

    /// The settings of a file's text, over the defaults; `path` is only named in messages.
    pub fn from_toml(path: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let written = file::parse(path, text).map_err(|error| ConfigErrors(vec![error]))?;
        Self::build(&written, Vec::new())
    }

    fn build(written: &[Written], mut errors: Vec<ConfigError>) -> Result<Self, ConfigErrors> {
        let mut config = Self::default();
        for setting in written {
            if let Err(refused) = config.put(&setting.key, &setting.raw) {
                errors.push(explain(setting, refused));
            }
        }
        if errors.is_empty() {
            errors.extend(validate::broker(&config).into_iter().map(ConfigError::Together));
        }
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }

    fn put(&mut self, key: &str, raw: &Raw) -> Result<(), Refused> {
        match key.split_once('.') {
            None => self.set(key, raw),
            Some(("limits", name)) => self.limits.set(name, raw),
            Some(("storage", name)) => self.storage.set(name, raw),
            Some(("groups", name)) => self.groups.set(name, raw),
            Some(("log", name)) => self.log.set(name, raw),
            Some(("metrics", name)) => self.metrics.set(name, raw),
            Some((TOPIC_DEFAULTS, name)) => self.topic_defaults.set(name, raw),
            Some(_) => Err(Refused::Unknown),
        }
    }

    /// The value of a setting as TOML writes it; empty when it is not set.
    pub(super) fn shown_at(&self, key: &Key) -> String {
        let shown = match key.section {
            "" => self.shown(key.name),
            "limits" => self.limits.shown(key.name),
            "storage" => self.storage.shown(key.name),
            "groups" => self.groups.shown(key.name),
            "log" => self.log.shown(key.name),
            "metrics" => self.metrics.shown(key.name),
            _ => None,
        };
        shown.unwrap_or_default()
    }
}

/// Every setting but the topics', in the order of the sample file.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = BrokerConfig::keys();
    keys.extend(Limits::keys());
    keys.extend(StorageConfig::keys());
    keys.extend(GroupsConfig::keys());
    keys.extend(LogConfig::keys());
    keys.extend(MetricsConfig::keys());
    keys
}

fn explain(setting: &Written, refused: Refused) -> ConfigError {
    let Written { key, raw, origin } = setting.clone();
    match refused {
        Refused::Unknown => {
            let topics = TOPIC_KEYS.iter().map(|key| format!("{TOPIC_DEFAULTS}.{}", key.name));
            let known: Vec<String> = keys().iter().map(Key::path).chain(topics).collect();
            let nearest = nearest(&key, known.iter().map(String::as_str)).map(str::to_owned);
            ConfigError::Unknown { key, origin, nearest }
        }
        Refused::Value(allowed) => ConfigError::Value { key, origin, found: raw.shown(), allowed },
        Refused::Within { key: inner, line, nearest } => {
            let origin = match origin {
                Origin::File { path, .. } => Origin::File { path, line },
                other => other,
            };
            ConfigError::Unknown { key: format!("{key}.{inner}"), origin, nearest }
        }
    }
}
