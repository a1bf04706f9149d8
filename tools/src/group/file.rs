//! Offsets as a file: CSV with one line per partition, `topic,partition,offset`, below a headline.
//!
//! A file without the headline is read, too, and names may stand in quotes: so files that Kafka's own tool wrote can be
//! read here, and the other way round.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use thalweg_client::{Offset, PartitionIndex};

use crate::failure::Failure;

const HEADLINE: &str = "topic,partition,offset";

/// More lines than any group has partitions.
const LINES_MAX: usize = 1_000_000;

/// An offset for each partition.
pub(super) type Offsets = BTreeMap<(String, PartitionIndex), Offset>;

/// Writes the file; `-` is standard output.
pub(super) fn write(path: &Path, offsets: &Offsets) -> Result<(), Failure> {
    let text = print(offsets);
    if path == Path::new("-") {
        return Ok(std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?);
    }
    std::fs::write(path, text)
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}

fn print(offsets: &Offsets) -> String {
    let mut text = format!("{HEADLINE}\n");
    for ((topic, partition), offset) in offsets {
        // Names of topics hold no comma and no quote.
        _ = writeln!(text, "{topic},{partition},{offset}");
    }
    text
}

/// Reads the file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Offsets, Failure> {
    let read = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text =
        read.map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    parse(&text).map_err(|problem| Failure::failed(format!("{}: {problem}", path.display())))
}

fn parse(text: &str) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    for (index, line) in text.lines().enumerate().take(LINES_MAX) {
        let line = line.trim();
        if line.is_empty() || line == HEADLINE {
            continue;
        }
        let number = index + 1;
        let ((topic, partition), offset) =
            row(line).map_err(|problem| format!("line {number}: {problem}"))?;
        let named = format!("partition {partition} of topic {topic}");
        if offsets.insert((topic, partition), offset).is_some() {
            return Err(format!("line {number}: {named} stands in an earlier line already"));
        }
    }
    if offsets.is_empty() {
        return Err(format!("holds no offset; write {HEADLINE} and a line such as events,0,4711"));
    }
    Ok(offsets)
}

fn row(line: &str) -> Result<((String, PartitionIndex), Offset), String> {
    let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
    let &[topic, partition, offset] = cells.as_slice() else {
        return Err(format!("{line:?} has {} cells instead of {HEADLINE}", cells.len()));
    };
    if topic.is_empty() {
        return Err(format!("{line:?} names no topic"));
    }
    let partition = match partition.parse::<i32>() {
        Ok(number @ 0..) => PartitionIndex::new(number),
        _ => return Err(format!("{partition:?} is no partition: possible are 0, 1, 2 and so on")),
    };
    let offset = match offset.parse::<i64>() {
        Ok(number @ 0..) => Offset::new(number),
        _ => return Err(format!("{offset:?} is no offset: possible are 0, 1, 2 and so on")),
    };
    Ok(((topic.to_owned(), partition), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_also_without_its_headline_and_with_quotes() {
        let at = |topic: &str, partition| (topic.to_owned(), PartitionIndex::new(partition));
        let offsets = Offsets::from([
            (at("a.b-c_d", 0), Offset::new(7)),
            (at("a.b-c_d", 11), Offset::new(0)),
            (at("z", 2), Offset::new(i64::MAX)),
        ]);
        let text = print(&offsets);
        assert_eq!(parse(&text), Ok(offsets.clone()));
        let bare = text.replace(HEADLINE, "").replace("z,", "\"z\",");
        assert_eq!(parse(&bare), Ok(offsets));
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, expected) in [
            ("", "holds no offset"),
            ("topic,partition,offset\n", "holds no offset"),
            ("topic,partition,offset\na,0", "line 2: \"a,0\" has 2 cells"),
            ("a,0,1\na,0,2", "line 2: partition 0 of topic a stands in an earlier line"),
            ("a,-1,1", "line 1: \"-1\" is no partition"),
            ("a,0,latest", "line 1: \"latest\" is no offset"),
            (",0,1", "line 1: \",0,1\" names no topic"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
