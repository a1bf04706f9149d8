//! `docs/native-protocol.md` says what the code does: messages, fields, numbers, errors, hexadecimal blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use thalweg_protocol::codec::{ELEMENTS_MAX, varint};
use thalweg_protocol::frame::HANDSHAKE_BYTES_MAX;
use thalweg_protocol::murmur2::murmur2;
use thalweg_protocol::native::{Api, Request};
use thalweg_protocol::{ErrorCode, Retry, TopicName};

use crate::vectors;
use crate::whole::by_api;

fn document() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/native-protocol.md");
    fs::read_to_string(path).unwrap()
}

/// The fields of one struct in the sources: name and Rust type.
type Fields = Vec<(String, String)>;

/// Every message and part of one, as the sources declare them.
fn declared() -> BTreeMap<String, Fields> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/native");
    let mut structs = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            declared_in(&fs::read_to_string(path).unwrap(), &mut structs);
        }
    }
    structs
}

fn declared_in(source: &str, structs: &mut BTreeMap<String, Fields>) {
    let mut open: Option<(String, Fields)> = None;
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub struct ") {
            let Some((name, rest)) = rest.split_once(" {") else { continue };
            open = Some((name.to_owned(), Vec::new()));
            if rest != "}" {
                continue;
            }
        } else if let (Some(rest), Some((_, fields))) = (line.strip_prefix("pub "), &mut open) {
            if let Some((name, kind)) = rest.trim_end_matches(',').split_once(": ") {
                fields.push((name.to_owned(), kind.to_owned()));
            }
            continue;
        } else if line != "}" {
            continue;
        }
        structs.extend(open.take());
    }
}

/// How a Rust type is called in the document, and the struct whose fields are listed below it.
fn wire_type(kind: &str) -> (String, Option<String>) {
    let inside = |outer: &str| {
        kind.strip_prefix(outer)?.strip_prefix('<')?.strip_suffix('>').map(str::to_owned)
    };
    if let Some(inner) = inside("Option") {
        let (name, below) = wire_type(&inner);
        return (format!("{name}?"), below);
    }
    if let Some(inner) = inside("Vec") {
        return match wire_type(&inner) {
            (_, Some(below)) => ("[ ]".to_owned(), Some(below)),
            (name, None) => (format!("[{name}]"), None),
        };
    }
    let name = match kind {
        "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "bool" => kind,
        "String" => "text",
        "Bytes" => "bytes",
        "TopicId" | "DirectoryId" | "ClusterId" => "uuid",
        "BrokerEpoch" | "Offset" | "ProducerId" | "TimestampMs" | "OffsetQuery" => "i64",
        "BrokerId" | "GroupEpoch" | "LeaderEpoch" | "MemberEpoch" | "PartitionIndex" => "i32",
        "ProducerEpoch" => "i16",
        "ErrorCode" => "u16",
        "Acks" => "i8",
        "Purpose" | "ConfigSource" | "GroupKind" | "GroupState" => "u8",
        part => return ("{ }".to_owned(), Some(part.to_owned())),
    };
    (name.to_owned(), None)
}

/// The rows of a message's drawing: depth, field, type.
fn expected_rows(
    structs: &BTreeMap<String, Fields>,
    name: &str,
    depth: usize,
) -> Vec<(usize, String, String)> {
    let fields = structs.get(name).unwrap_or_else(|| panic!("no struct {name} in the sources"));
    let mut rows = Vec::new();
    for (field, kind) in fields {
        let (kind, below) = wire_type(kind);
        rows.push((depth, field.clone(), kind));
        if let Some(below) = below {
            rows.extend(expected_rows(structs, &below, depth + 1));
        }
    }
    rows
}

/// The rows of the drawing under the heading of message `name`.
fn drawn_rows(document: &str, name: &str) -> Vec<(usize, String, String)> {
    let heading = format!("\n#### {name}\n");
    let (_, rest) = document.split_once(&heading).unwrap_or_else(|| panic!("no {name}"));
    let (_, rest) = rest.split_once("```text\n").unwrap();
    let (drawing, _) = rest.split_once("```").unwrap();
    drawing.lines().filter_map(drawn_row).collect()
}

/// One row; none for the second line of a meaning.
fn drawn_row(line: &str) -> Option<(usize, String, String)> {
    let depth = line.len() - line.trim_start().len();
    if depth > 20 || line.starts_with('(') {
        return None;
    }
    let (field, rest) = line.trim_start().split_once(' ').unwrap();
    // `[ ]` and `{ }` hold a blank; a type is followed by at least one more.
    let kind = rest.trim_start().split("  ").next().unwrap();
    let kind = kind.split(" 1 ").next().unwrap().trim();
    Some((depth / 2, field.to_owned(), kind.to_owned()))
}

fn message_names<R: Request>() -> [&'static str; 2] {
    [std::any::type_name::<R>(), std::any::type_name::<R::Response>()]
        .map(|path| path.rsplit("::").next().unwrap())
}

#[test]
fn every_message_is_drawn_field_by_field_as_the_sources_declare_it() {
    let (document, structs) = (document(), declared());
    for api in Api::ALL {
        for name in by_api!(api, message_names()) {
            let expected = expected_rows(&structs, name, 0);
            assert_eq!(drawn_rows(&document, name), expected, "{name}");
        }
    }
}

#[test]
fn every_request_stands_under_its_number_with_its_versions_and_vectors() {
    let document = document();
    for api in Api::ALL {
        let (number, name, range) = (api.number(), format!("{api:?}"), api.range());
        assert_eq!((range.version_min, range.version_max), (0, 0), "draw the new version");
        for wanted in [
            format!("\n### {number} · {name} (version 0)\n"),
            format!("\n| {number} | {name} | "),
            format!("Vector: `{}_request.hex`", api.name()),
            format!("Vector: `{}_response.hex`", api.name()),
        ] {
            assert_eq!(document.matches(&wanted).count(), 1, "{wanted:?}");
        }
    }
}

#[test]
fn the_table_of_errors_is_that_of_the_code() {
    let class = |code: &ErrorCode| match code.retry() {
        Retry::Later => "later",
        Retry::AfterRefresh => "after refresh",
        Retry::SameSequence => "same sequence",
        Retry::Never => "never",
    };
    let expected: Vec<String> = ErrorCode::ALL
        .iter()
        .map(|code| format!("{} | `{code:?}` | {}", code.number(), class(code)))
        .collect();
    let document = document();
    let (_, table) =
        document.split_once("| code | name | retry | means |\n|---|---|---|---|\n").unwrap();
    let found: Vec<String> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let (row, means) = line.trim_matches(['|', ' ']).rsplit_once(" | ").unwrap();
            assert!(means.len() > 10, "{line}");
            row.to_owned()
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_hexadecimal_block_is_the_vector_that_it_names() {
    let document = document();
    let mut shown = BTreeSet::new();
    for block in document.split("```text\n# ").skip(1) {
        let (name, rest) = block.split_once(".hex\n").unwrap();
        let (lines, _) = rest.split_once("```").unwrap();
        let mut bytes = Vec::new();
        for line in lines.lines() {
            let (position, row) = line.split_once("  ").unwrap();
            assert_eq!(usize::from_str_radix(position, 16).unwrap(), bytes.len(), "{name}");
            bytes.extend(row.split(' ').map(|pair| u8::from_str_radix(pair, 16).unwrap()));
        }
        assert_eq!(bytes, vectors::named(name).bytes, "{name}");
        shown.insert(name.to_owned());
    }
    assert!(shown.len() >= 11, "{shown:?}");
}

#[test]
fn every_vector_is_named() {
    let document = document();
    for vector in vectors::all() {
        assert!(document.contains(&format!("{}.hex", vector.name)), "{}", vector.name);
    }
}

#[test]
fn links_within_the_document_lead_somewhere() {
    let document = document();
    let anchors: BTreeSet<String> = document
        .lines()
        .filter_map(|line| {
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
        })
        .map(|heading| heading.to_lowercase().replace(',', "").replace(' ', "-"))
        .collect();
    let links: Vec<&str> =
        document.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(links.len() > 12);
    for link in links {
        assert!(anchors.contains(link), "#{link}");
    }
}

#[test]
fn the_fixed_limits_are_those_of_the_code() {
    let document = document();
    let grouped = |number: usize| {
        let digits = number.to_string();
        let groups: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| str::from_utf8(group).unwrap())
            .collect();
        groups.join(",")
    };
    for wanted in [
        format!("| elements of all lists in one frame | {} |", grouped(ELEMENTS_MAX)),
        format!(
            "| frame before the handshake is answered | {} bytes |",
            grouped(HANDSHAKE_BYTES_MAX)
        ),
        format!("| a topic's name | 1 to {} of", TopicName::CHARS_MAX),
    ] {
        assert!(document.contains(&wanted), "{wanted}");
    }
}

/// The rows of the table whose first line is `head`, cell by cell.
fn table(document: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rest) = document.split_once(head).unwrap_or_else(|| panic!("no table {head}"));
    rest.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    text.split(' ').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn the_hashes_of_keys_are_those_of_the_code() {
    let rows = table(&document(), "| key (text or hex) |");
    assert_eq!(rows.len(), 7);
    for row in rows {
        let cell = row[0].trim_matches('`');
        let key = match cell.strip_prefix('"') {
            Some(text) => text.trim_end_matches('"').as_bytes().to_vec(),
            None => hex(cell),
        };
        let hash = murmur2(&key);
        assert_eq!(hash.to_string(), row[1], "{cell}");
        for (partitions, cell) in [(3, &row[2]), (12, &row[3])] {
            assert_eq!(((hash & 0x7fff_ffff) % partitions).to_string(), *cell, "{row:?}");
        }
    }
}

#[test]
fn the_varints_are_those_of_the_code() {
    let rows = table(&document(), "| number | bytes | | number | bytes |");
    assert_eq!(rows.len(), 4);
    for pair in rows.iter().flat_map(|row| [&row[0..2], &row[3..5]]) {
        let number: i32 = pair[0].parse().unwrap();
        let mut bytes = [0; 10];
        let length = varint::put_i64(&mut bytes, i64::from(number));
        assert_eq!(bytes[..length], hex(pair[1].trim_matches('`')), "{number}");
    }
}
