//! Calls and words that belong in few places only.

use crate::source::Source;

/// A text, where it may stand, and why nowhere else.
struct Rule {
    text: &'static str,
    allowed: &'static [&'static str],
    why: &'static str,
}

const CLOCKS: &[&str] = &["broker/src/base/clock.rs", "client/src/clock.rs", "tools/src/clock.rs"];

const RULES: &[Rule] = &[
    Rule { text: "Instant::now()", allowed: CLOCKS, why: "take the time from the package's clock" },
    Rule {
        text: "SystemTime::now()",
        allowed: CLOCKS,
        why: "take the time from the package's clock",
    },
    Rule { text: "thread::sleep(", allowed: &[], why: "wait on a condition with a deadline" },
    Rule { text: "println!(", allowed: &["tools/src/"], why: "libraries log or return" },
    Rule {
        text: "unsafe {",
        allowed: &["broker/storage/src/fs/mmap.rs"],
        why: "one file holds it",
    },
    Rule { text: "unsafe impl", allowed: &[], why: "nothing needs it" },
    Rule {
        text: "openraft::",
        allowed: &["broker/src/cluster/raft/"],
        why: "one room sees the library",
    },
];

/// Complaints about shipped code that uses what it may not.
pub(crate) fn misplaced(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        for (number, line) in file.shipped().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let broken = RULES.iter().filter(|rule| {
                code.contains(rule.text)
                    && !rule.allowed.iter().any(|place| file.path.starts_with(place))
                    // A tokio timer's own moment is not a reading of the clock that decides anything.
                    && !(rule.text == "Instant::now()" && uses_tokio_instant(file))
            });
            complaints.extend(
                broken.map(|rule| {
                    format!("{}:{}: {} ({})", file.path, number + 1, rule.text, rule.why)
                }),
            );
        }
    }
    complaints
}

fn uses_tokio_instant(file: &Source) -> bool {
    file.text.contains("tokio::time::Instant") || file.text.contains("use tokio::time::{Instant")
}

/// Hosts of registries and paths of machines, put together so that this file does not name them.
fn forbidden_places() -> Vec<String> {
    vec![
        ["crates", ".io"].concat(),
        ["npm", "js.org"].concat(),
        ["py", "pi.org"].concat(),
        ["maven", ".org"].concat(),
        ["/ro", "ot/"].concat(),
        ["/wo", "rk/"].concat(),
        ["/ho", "me/"].concat(),
    ]
}

/// Complaints about texts that name a registry's host or a path of a machine.
pub(crate) fn places(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let named = forbidden_places().into_iter().find(|place| line.contains(place.as_str()));
            complaints
                .extend(named.map(|place| format!("{}:{}: names {place}", file.path, number + 1)));
        }
    }
    complaints
}

#[test]
fn a_clock_in_the_wrong_place_is_seen() {
    let wrong = Source::sample("broker/src/api/a.rs", "fn f() { std::time::Instant::now(); }");
    let right = Source::sample("broker/src/base/clock.rs", "fn f() { std::time::Instant::now(); }");
    let test = Source::sample("broker/tests/a/main.rs", "fn f() { std::time::Instant::now(); }");
    assert_eq!(misplaced(&[wrong, right, test]).len(), 1);
}

#[test]
fn unsafe_elsewhere_is_seen() {
    let file = Source::sample("broker/storage/src/fs/os.rs", "fn f() { unsafe { g() } }");
    assert_eq!(misplaced(&[file]).len(), 1);
}

#[test]
fn a_path_of_a_machine_is_seen() {
    let file = Source::sample("docs/a.md", &["run it in /wo", "rk/main"].concat());
    assert_eq!(places(&[file]).len(), 1);
}
