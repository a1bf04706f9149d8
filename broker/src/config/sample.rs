//! The sample file: every setting with its sentence, what it can be, and its default.

use std::fmt::Write;

use super::broker::BrokerConfig;
use super::overlay;
use super::topic::TOPIC_KEYS;

const HEAD: &str = "\
# Every setting of a Thalweg broker, with its default.
#
# A setting is taken from the command line (--set limits.connections_max=500), else from the environment
# (THALWEG_LIMITS__CONNECTIONS_MAX=500: two underscores for a dot), else from this file, else it has the default
# shown here. A name that is not known is refused. Sizes may be written as 65536 or \"64KiB\", times as 1500 or
# \"1500ms\" or \"7d\".
";

const TOPIC_HEAD: &str = "
[topic_defaults]
# Topic settings that hold where a topic has none of its own. In the environment a single underscore stands for
# a dot here: THALWEG_TOPIC_DEFAULTS__RETENTION_MS=86400000.
";

const SECTIONS: &[(&str, &str)] = &[
    ("limits", "Guards against clients that ask for too much."),
    ("storage", "Disks, files and the threads that look after them."),
    ("groups", "Consumer groups and their committed offsets."),
    ("log", "What is logged, and how."),
    ("metrics", "What is counted."),
];

impl BrokerConfig {
    /// The text of `config/broker.toml`: every setting explained, with its default, commented out.
    pub fn sample() -> String {
        let defaults = Self::default();
        let mut text = HEAD.to_owned();
        let mut section = "";
        for key in overlay::keys() {
            if key.section != section {
                section = key.section;
                let about = SECTIONS.iter().find(|(name, _)| *name == section);
                let about = about.map(|(_, about)| *about).unwrap_or_default();
                push(&mut text, &format!("\n[{section}]\n# {about}\n"));
            }
            let doc: Vec<&str> = key.doc.to_vec();
            let shown = defaults.shown_at(&key);
            let shown = if shown.is_empty() { "\"\"".to_owned() } else { shown };
            entry(&mut text, &doc, &key.allowed.words(), key.name, &shown);
        }
        text.push_str(TOPIC_HEAD);
        for key in TOPIC_KEYS {
            let value = (key.default)();
            let plain = value.parse::<f64>().is_ok() || value == "true" || value == "false";
            let shown = if plain { value } else { format!("{value:?}") };
            entry(&mut text, key.doc, key.allowed, key.name, &shown);
        }
        text
    }
}

fn entry(text: &mut String, doc: &[&str], allowed: &str, name: &str, shown: &str) {
    text.push('\n');
    for line in doc {
        push(text, &format!("# {}\n", line.trim()));
    }
    push(text, &format!("# Allowed: {allowed}.\n# {name} = {shown}\n"));
}

fn push(text: &mut String, part: &str) {
    // Writing to a String cannot fail.
    let _ = text.write_str(part);
}
