//! The test vectors, as the manifest lists them.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;

/// What a vector holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Preface,
    Request,
    Response,
    /// An answer that consists of an error.
    ResponseError,
    /// An answer with tagged fields of a later release.
    ResponseNewer,
}

#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The request's number; 0 when the vector belongs to none.
    pub(crate) api: u16,
    /// As on the wire; frames with their length.
    pub(crate) bytes: Bytes,
}

impl Vector {
    /// What follows the length.
    pub(crate) fn frame(&self) -> Bytes {
        self.bytes.slice(4..)
    }
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/native")
}

/// Every vector of the manifest.
pub(crate) fn all() -> Vec<Vector> {
    let manifest = fs::read_to_string(folder().join("manifest.txt")).unwrap();
    let lines = manifest.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(load).collect()
}

/// The vectors that are whole frames.
pub(crate) fn frames() -> Vec<Vector> {
    all().into_iter().filter(|vector| vector.kind != Kind::Preface).collect()
}

pub(crate) fn named(name: &str) -> Vector {
    all().into_iter().find(|vector| vector.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn load(line: &str) -> Vector {
    let mut columns = line.split_whitespace();
    let file = columns.next().unwrap();
    let kind = match columns.next().unwrap() {
        "preface" => Kind::Preface,
        "request" => Kind::Request,
        "response" => Kind::Response,
        "response-error" => Kind::ResponseError,
        "response-newer" => Kind::ResponseNewer,
        other => panic!("{file}: unknown kind {other}"),
    };
    let api = columns.next().unwrap().parse().unwrap();
    let text = fs::read_to_string(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let name = file.strip_suffix(".hex").unwrap().to_owned();
    Vector { bytes: parse(&name, &text), name, kind, api }
}

/// Pairs of hexadecimal digits between blanks; what follows a `#` is a comment.
fn parse(name: &str, text: &str) -> Bytes {
    let codes = text.lines().map(|line| line.split('#').next().unwrap());
    let pairs = codes.flat_map(str::split_whitespace);
    pairs
        .map(|pair| {
            assert_eq!(pair.len(), 2, "{name}: {pair}");
            u8::from_str_radix(pair, 16).unwrap_or_else(|e| panic!("{name}: {pair}: {e}"))
        })
        .collect()
}
