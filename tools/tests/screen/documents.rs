//! The screens in docs/operating.md are real ones: captured here while records come and two members read them. `BLESS=1`
//! puts the new ones there; else those that stand there must look the same, but for their numbers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ask::until;
use crate::members;
use crate::support::Broker;
use crate::terminal::Terminal;

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md")
}

/// The lines between the marks of a screen.
fn marks(name: &str) -> (String, &'static str) {
    (format!("<!-- screen: {name} -->\n```text\n"), "```\n")
}

fn shown(text: &str, name: &str) -> String {
    let (begin, end) = marks(name);
    let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no screen {name}"));
    rest.split_once(end).unwrap().0.to_owned()
}

/// Without lines that are empty, and the spaces at the ends of the others.
fn compact(screen: &str) -> String {
    let lines = screen.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The words of each line, numbers with their units, and the ids of members, as one sign.
fn shape(screen: &str) -> Vec<Vec<&str>> {
    let mut lines: Vec<_> = screen.lines().map(words).collect();
    // Rows are sorted by their numbers.
    lines.sort();
    lines
}

fn words(line: &str) -> Vec<&str> {
    const UNITS: [&str; 9] = ["B", "KiB", "MiB", "GiB", "B/s", "KiB/s", "MiB/s", "ms", "s"];
    line.split_whitespace().filter(|word| !UNITS.contains(word)).map(sign).collect()
}

/// What a word is whatever the numbers: which partitions stand behind a topic's name is chance, too.
fn sign(word: &str) -> &str {
    let unsigned = word.trim_start_matches(['+', '-']);
    let is_id = word.len() == 8 && word.chars().all(|one| one.is_ascii_hexdigit());
    if is_id || unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return "#";
    }
    word.split_once(':').map_or(word, |(name, _)| name)
}

/// Whether this is the screen of the document: one that is still being drawn, or of a group that is not at rest yet, is
/// not. With `BLESS=1` any is.
fn is_shown(name: &str, screen: &str) -> bool {
    let text = std::fs::read_to_string(document()).unwrap();
    std::env::var_os("BLESS").is_some() || shape(&shown(&text, name)) == shape(&compact(screen))
}

fn check(name: &str, screen: &str) {
    let screen = compact(screen);
    let text = std::fs::read_to_string(document()).unwrap();
    let before = shown(&text, name);
    if std::env::var_os("BLESS").is_some() {
        let (begin, end) = marks(name);
        let (old, new) = (format!("{begin}{before}{end}"), format!("{begin}{screen}{end}"));
        std::fs::write(document(), text.replace(&old, &new)).unwrap();
        return;
    }
    assert_eq!(shape(&before), shape(&screen), "BLESS=1 takes over the new screen:\n{screen}");
}

/// Ends the publishing, also when a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Publishes a little, again and again, until told to end.
fn publish(broker: &Broker, has_ended: &AtomicBool) {
    let lines = "an event of a few words\n".repeat(500);
    while !has_ended.load(Ordering::Relaxed) {
        broker.run_with(&["produce", "quakes"], lines.as_bytes()).good();
    }
}

#[test]
fn the_screens_in_the_documents_are_real() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    for (topic, partitions) in [("quakes", "4"), ("alarms", "1")] {
        broker.run(&["topic", "create", topic, "--partitions", partitions]).good();
    }
    broker.run_with(&["produce", "alarms"], b"one\ntwo\n").good();
    let _members = members(&broker);
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends = Ends(&has_ended);
        scope.spawn(|| publish(&broker, &has_ended));
        let mut top = Terminal::start(&mut broker.command(&["top"]));
        let topics = top.until("rates, as in the document (BLESS=1 takes over others)", |screen| {
            let busy = |line: &str| {
                line.starts_with("quakes") && !line.contains(" 0.0 ") && !line.contains(" - ")
            };
            screen.lines().any(busy) && is_shown("topics", screen)
        });
        top.press("2");
        let groups = top.until("the group, as in the document", |screen| {
            let told = |line: &str| line.starts_with("readers") && !line.contains(" - ");
            screen.lines().any(told) && is_shown("groups", screen)
        });
        top.press("\r");
        let group = top.until("owners, as in the document", |screen| {
            let rows =
                screen.lines().filter(|line| line.starts_with("readers")).collect::<Vec<_>>();
            let owned =
                |name: &str| rows.iter().filter(|row| row.trim_end().ends_with(name)).count() == 2;
            let told = rows.iter().all(|row| !row.contains(" - "));
            owned("north") && owned("south") && told && is_shown("group", screen)
        });
        let command = ["group", "describe", "readers"];
        let (described, _) = until("a group at rest, as in the document", || {
            let described = broker.run(&command).good().stdout;
            let is_at_rest = described.contains("stable") && !described.contains("->");
            let described = format!("$ thalweg {}\n{described}", command.join(" "));
            (is_at_rest && is_shown("describe", &described)).then_some(described)
        });
        check("describe", &described);
        check("topics", &topics);
        check("groups", &groups);
        check("group", &group);
    });
}
