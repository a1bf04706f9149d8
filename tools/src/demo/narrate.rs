//! The demo's words: nothing of them is printed for programs.

use std::collections::BTreeSet;

use super::events::Event;
use super::read::Seen;
use super::show::Summary;
use crate::clock::Started;
use crate::console::{Console, Paint};
use crate::failure::Failure;
use crate::values::{self, grouped};

/// What it is about.
pub(super) fn title(
    console: &mut Console,
    events: &[Event],
    networks: usize,
) -> Result<(), Failure> {
    if console.is_json() {
        return Ok(());
    }
    let text = console.paint(Paint::Bold, "Thalweg demo");
    let events = grouped(events.len() as u64);
    Ok(console.line(&format!(
        "\n{text}: {events} real earthquakes from {networks} networks, one broker, and a kill in the middle\n"
    ))?)
}

/// One step, with a number.
pub(super) fn step(
    console: &mut Console,
    number: u32,
    name: &str,
    text: &str,
) -> Result<(), Failure> {
    if console.is_json() {
        return Ok(());
    }
    let blank = if number > 1 { "\n" } else { "" };
    let name = console.paint(Paint::Bold, name);
    console.line(&format!("{blank}  {number}  {name}: {text}"))?;
    Ok(console.flush()?)
}

/// A line below a step.
pub(super) fn detail(console: &mut Console, name: &str, text: &str) -> Result<(), Failure> {
    if console.is_json() {
        return Ok(());
    }
    let name = console.paint(Paint::Dim, &format!("{name:<12}"));
    console.line(&format!("     {name} {text}"))?;
    Ok(console.flush()?)
}

/// A claim that was checked.
pub(super) fn good(console: &mut Console, text: &str) -> Result<(), Failure> {
    if console.is_json() {
        return Ok(());
    }
    let mark = console.paint(Paint::Green, "✓");
    Ok(console.line(&format!("     {mark} {text}"))?)
}

/// Says what was checked, if nothing was found.
pub(super) fn verdict(
    console: &mut Console,
    complaints: &[String],
    acknowledged: usize,
    seen: &[Seen],
) -> Result<(), Failure> {
    if !complaints.is_empty() {
        return Ok(());
    }
    let keys: BTreeSet<&str> = seen.iter().map(|one| one.key.as_str()).collect();
    let acknowledged = grouped(acknowledged as u64);
    good(
        console,
        &format!("each of the {acknowledged} acknowledged events is there once, unchanged"),
    )?;
    good(console, &format!("in the order of publishing, for each of the {} networks", keys.len()))?;
    good(console, "at the offsets that the acknowledgements named")
}

/// The last word; an error if anything was found.
pub(super) fn conclude(
    console: &mut Console,
    summary: &Summary,
    started: Started,
) -> Result<(), Failure> {
    let time = values::time(started.elapsed());
    if console.is_json() {
        console.json(summary)?;
    } else if summary.complaints.is_empty() {
        let done =
            console.paint(Paint::Green, "Nothing lost, nothing doubled, nothing out of order");
        console.line(&format!("\n{done}: done in {time}.\n"))?;
    } else {
        for complaint in &summary.complaints {
            let mark = console.paint(Paint::Red, "✗");
            console.line(&format!("     {mark} {complaint}"))?;
        }
    }
    if summary.complaints.is_empty() {
        return Ok(());
    }
    console.flush()?;
    Err(Failure::failed("records that the broker had acknowledged are not there as they should be"))
}
