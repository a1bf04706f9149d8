//! Rooms: which may use which, and what their doors hold.

use crate::source::Source;

/// The broker's rooms by row; a room uses itself and the rows above this line's end, never its neighbour.
const ROWS: &[&[&str]] = &[
    &["base"],
    &["config"],
    &["metrics", "transport"],
    &["partition", "cluster"],
    &["replication", "coordinator", "auth"],
    &["api"],
    &["frontend"],
    &["server"],
];

/// Uses across a row that are written down with their reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|rooms| rooms.contains(&room))
}

/// Complaints about uses upward or across a row in `broker/src`.
pub(crate) fn row_order(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let Some(inside) = file.path.strip_prefix("broker/src/") else { continue };
        let Some((room, _)) = inside.split_once('/') else { continue };
        let Some(from) = row(room) else {
            complaints.push(format!("{}: room {room} has no row", file.path));
            continue;
        };
        for used in rooms_used(&file.text) {
            let excepted = EXCEPTIONS.iter().any(|(a, b, _)| *a == room && *b == used);
            if used != room && row(&used).is_some_and(|to| to >= from) && !excepted {
                complaints
                    .push(format!("{}: {room} uses {used}, which is not below it", file.path));
            }
        }
    }
    complaints
}

/// The rooms that a text names after `crate::`, in groups too.
fn rooms_used(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c == '$' || c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String =
            code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        used.push(name);
    }
    used.sort();
    used.dedup();
    used
}

/// Complaints about `mod.rs` files that hold more than docs, attributes, `mod` and `use`.
pub(crate) fn doors(files: &[Source]) -> Vec<String> {
    let doors = files.iter().filter(|file| file.path.ends_with("/mod.rs"));
    // A trait that the whole room implements is its door.
    let doors = doors.filter(|file| !file.path.ends_with("/fs/mod.rs") && !file.is_test());
    doors
        .flat_map(|file| {
            let strange = strange_lines(file.shipped());
            strange.into_iter().map(move |line| format!("{}: a door holds {line:?}", file.path))
        })
        .collect()
}

fn strange_lines(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut strange = Vec::new();
    for line in text.lines() {
        let code = line.trim();
        let opens = code.matches(['{', '[']).count();
        let closes = code.matches(['}', ']']).count();
        let begins = ["//", "#[", "#!", "mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "]
            .iter()
            .chain(&["use ", "pub use ", "pub(crate) use ", "pub(super) use ", "pub(in "])
            .any(|start| code.starts_with(start));
        if depth == 0 && !code.is_empty() && !begins {
            strange.push(code.to_owned());
        }
        if !code.starts_with("//") {
            depth = (depth + opens).saturating_sub(closes);
        }
    }
    strange
}

/// Complaints about files that do not open with a `//!` sentence.
pub(crate) fn opening_docs(files: &[Source]) -> Vec<String> {
    let silent = files.iter().filter(|file| {
        !file.path.ends_with("/tests.rs") && !file.text.trim_start().starts_with("//!")
    });
    silent.map(|file| format!("{}: opens without a sentence on what it is", file.path)).collect()
}

#[test]
fn a_use_upward_or_across_is_seen() {
    let up = Source::sample("broker/src/partition/a.rs", "use crate::api::Failure;");
    let across =
        Source::sample("broker/src/cluster/a.rs", "fn f(p: &crate::partition::Partition) {}");
    let down = Source::sample("broker/src/api/a.rs", "use crate::partition::Partition;");
    let homeless = Source::sample("broker/src/attic/a.rs", "");
    assert_eq!(row_order(&[up, across, down, homeless]).len(), 3);
}

#[test]
fn code_in_a_door_is_seen() {
    let door = "//! Docs.\nmod a;\npub use a::{\n    B,\n};\nfn c() {}\n";
    assert_eq!(strange_lines(door), ["fn c() {}"]);
}

#[test]
fn a_silent_file_is_seen() {
    assert_eq!(opening_docs(&[Source::sample("client/src/a.rs", "fn a() {}")]).len(), 1);
}
