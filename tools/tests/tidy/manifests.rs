//! What the packages' manifests must say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Each package and those of ours that it may depend on.
const ORDER: &[(&str, &str, &[&str])] = &[
    ("thalweg-protocol", "protocol", &[]),
    ("thalweg-storage", "broker/storage", &["thalweg-protocol"]),
    ("thalweg-broker", "broker", &["thalweg-protocol", "thalweg-storage"]),
    ("thalweg-client", "client", &["thalweg-protocol"]),
    (
        "thalweg",
        "tools",
        &["thalweg-protocol", "thalweg-storage", "thalweg-broker", "thalweg-client"],
    ),
];

/// Complaints about packages that depend on one above them.
pub(crate) fn package_order(root: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, folder, allowed) in ORDER {
        let manifest =
            fs::read_to_string(root.join(folder).join("Cargo.toml")).expect("a manifest");
        complaints.extend(forbidden(name, &manifest, allowed));
    }
    complaints
}

fn forbidden(name: &str, manifest: &str, allowed: &[&str]) -> Vec<String> {
    let shipped = section(manifest, "[dependencies]");
    let ours = shipped.keys().filter(|key| key.starts_with("thalweg"));
    ours.filter(|key| !allowed.contains(&key.as_str()))
        .map(|key| format!("{name} depends on {key}, which stands above it"))
        .collect()
}

/// Complaints where the lints of the packages with unsafe code differ from the workspace's, but for `unsafe_code`.
pub(crate) fn repeated_lints(root: &Path) -> Vec<String> {
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("a manifest");
    let workspace = read("Cargo.toml");
    let of = |folder| differences(&workspace, folder, &read(&format!("{folder}/Cargo.toml")));
    ["broker/storage", "benches"].into_iter().flat_map(of).collect()
}

fn differences(workspace: &str, folder: &str, manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for table in ["rust", "clippy"] {
        let mut theirs = section(workspace, &format!("[workspace.lints.{table}]"));
        let mut ours = section(manifest, &format!("[lints.{table}]"));
        if theirs.is_empty() {
            complaints.push(format!("the workspace has no lints.{table}"));
        }
        theirs.remove("unsafe_code");
        if ours.remove("unsafe_code").is_some_and(|level| level != "\"deny\"") {
            complaints.push(format!("{folder} must deny unsafe_code"));
        }
        if theirs != ours {
            complaints.push(format!("lints.{table} of {folder} differ from the workspace's"));
        }
    }
    complaints
}

/// The `key = value` lines of one table.
fn section(manifest: &str, header: &str) -> BTreeMap<String, String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != header).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| {
            let key = key.trim().trim_end_matches(".workspace");
            (key.to_owned(), value.trim().to_owned())
        })
        .collect()
}

#[test]
fn a_dependency_upward_is_seen() {
    let manifest = "[dependencies]\nthalweg-broker.workspace = true\nbytes.workspace = true\n";
    assert_eq!(forbidden("thalweg-client", manifest, &["thalweg-protocol"]).len(), 1);
}

#[test]
fn a_missing_lint_is_seen() {
    let workspace = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[workspace.lints.clippy]\npanic = \"deny\"\n";
    let storage = "[lints.rust]\nunsafe_code = \"deny\"\n[lints.clippy]\n";
    assert_eq!(differences(workspace, "storage", storage).len(), 1);
}
