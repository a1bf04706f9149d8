//! The golden files of all packages.

use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("the package lies in the workspace")
}

pub(super) fn folder(path: &str) -> PathBuf {
    workspace().join(path)
}

/// The contents of all files below `path` whose path ends in `end`.
pub(super) fn files(path: &str, end: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    gather(&folder(path), end, &mut found);
    assert!(!found.is_empty(), "no golden file below {path} ends in {end}");
    found
}

fn gather(folder: &Path, end: &str, found: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The same inputs in the same order on every machine.
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, end, found);
        } else if path.to_string_lossy().ends_with(end) {
            found.push(fs::read(&path).unwrap());
        }
    }
}

/// The test vectors of the native protocol whose names end in `end`, with their length.
pub(super) fn vectors(end: &str) -> Vec<Vec<u8>> {
    let texts = files("protocol/tests/golden/native", end);
    texts.iter().map(|text| bytes_of(&String::from_utf8_lossy(text))).collect()
}

/// Pairs of hexadecimal digits; what follows a `#` is a comment.
fn bytes_of(text: &str) -> Vec<u8> {
    let codes = text.lines().filter_map(|line| line.split('#').next());
    let pairs = codes.flat_map(str::split_whitespace);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
