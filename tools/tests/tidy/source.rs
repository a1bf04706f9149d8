//! Reads the workspace's own files, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file: its path from the root of the workspace, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether the file is test code as a whole.
    pub(crate) fn is_test(&self) -> bool {
        let path = &self.path;
        path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.starts_with("benches/")
            || path.contains("/examples/")
            || path.ends_with("_test.rs")
            || path.ends_with("/suite.rs")
    }

    /// The lines that ship: without what follows the test module.
    pub(crate) fn shipped(&self) -> &str {
        let cut = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        &self.text[..cut]
    }
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tools lies in the workspace").to_owned()
}

/// The packages' Rust files.
pub(crate) fn all() -> Vec<Source> {
    let packages = ["protocol", "broker", "client", "tools", "benches"];
    packages.iter().flat_map(|package| files(&workspace().join(package))).collect()
}

/// The Rust files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<Source> {
    read(folder, &["rs"])
}

/// Everything that people read: sources, docs, scripts, settings.
pub(crate) fn texts() -> Vec<Source> {
    let root = workspace();
    let mut found = Vec::new();
    let folders = ["protocol", "broker", "client", "tools", "benches", "docs", "config", "scripts"];
    for folder in folders {
        found.extend(read(&root.join(folder), &["rs", "md", "toml", "sh", "hex", "txt"]));
    }
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "Makefile",
        "Cargo.toml",
    ] {
        if let Ok(text) = fs::read_to_string(root.join(file)) {
            found.push(Source { path: file.to_owned(), text });
        }
    }
    found
}

fn read(folder: &Path, extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                found.extend(read(&path, extensions));
            }
        } else if path.extension().is_some_and(|end| extensions.iter().any(|e| end == *e)) {
            let text = fs::read_to_string(&path).expect("sources are readable text");
            let from_root = path.strip_prefix(workspace()).expect("below the root");
            found.push(Source { path: from_root.display().to_string(), text });
        }
    }
    found
}
