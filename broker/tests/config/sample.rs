//! The sample file explains every setting and shows its default.

use std::path::{Path, PathBuf};

use thalweg_broker::config::{BrokerConfig, TopicConfig, TopicOverrides};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/broker.toml")
}

/// `BLESS=1` writes the file anew after a setting was added.
#[test]
fn the_sample_file_is_the_table_of_settings() {
    if std::env::var_os("BLESS").is_some() {
        // Renamed into place, since the other tests read it meanwhile.
        let new = path().with_extension("new");
        std::fs::write(&new, BrokerConfig::sample()).unwrap();
        std::fs::rename(new, path()).unwrap();
    }
    let text = std::fs::read_to_string(path()).unwrap();
    assert!(
        text == BrokerConfig::sample(),
        "config/broker.toml is not what the settings say; run this test with BLESS=1 and look at what changes"
    );
}

/// The lines that set something, without what makes them comments.
fn uncommented(text: &str) -> String {
    let is_setting = |line: &str| {
        line.split_once(" = ").is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
        })
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(setting) if is_setting(setting) => setting.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn as_it_stands_the_sample_file_changes_nothing() {
    let text = std::fs::read_to_string(path()).unwrap();
    assert_eq!(BrokerConfig::from_toml(&path(), &text).unwrap(), BrokerConfig::default());
}

#[test]
fn uncommented_the_sample_file_holds_every_setting_with_its_default() {
    let text = uncommented(&std::fs::read_to_string(path()).unwrap());
    let config = BrokerConfig::from_toml(&path(), &text).unwrap();
    let defaults = BrokerConfig::default();
    let topics = config.topic_defaults.clone();
    assert_eq!(BrokerConfig { topic_defaults: TopicOverrides::new(), ..config }, defaults);
    let described = TopicConfig::describe(&TopicOverrides::new(), &TopicOverrides::new());
    assert_eq!(topics.len(), described.len());
    for setting in described {
        assert_eq!(topics[setting.key], setting.value, "{}", setting.key);
    }

    // What is uncommented must be every field: the debug output names them all.
    let shown = format!("{defaults:?}");
    let fields = shown.matches(['{', ',']).count();
    assert!(fields > 30, "{shown}");
    for name in shown.split([' ', '{', ',']).filter_map(|word| word.strip_suffix(':')) {
        let sections = ["limits", "storage", "groups", "log", "metrics", "topic_defaults"];
        let inner = ["address", "advertised", "protocol", "host", "port", "entries"];
        if inner.contains(&name) {
            continue;
        }
        let line =
            if sections.contains(&name) { format!("[{name}]") } else { format!("{name} = ") };
        assert!(text.lines().any(|other| other.starts_with(&line)), "no {line:?}");
    }
}
