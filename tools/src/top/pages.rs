//! Figures as tables: which columns a page has, and what stands in a row.

use std::time::Duration;

use super::figures::{Figures, Followed, Group, Topic};
use super::rate::{Rate, short};
use crate::values;

/// What a table sorts a cell by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number(i64),
    Text(String),
}

/// One cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) key: Key,
}

/// A column's headline, how wide it is (0: what is left over), and whether it holds numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: u16,
}

impl Column {
    /// Numbers stand to the right, and the largest come first.
    pub(super) const fn is_number(self) -> bool {
        self.width > 0
    }
}

/// One table; a row's first part names it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<(String, Vec<Cell>)>,
}

fn page(columns: &[(&'static str, u16)]) -> Page {
    let columns = columns.iter().map(|&(head, width)| Column { head, width }).collect();
    Page { columns, rows: Vec::new() }
}

fn text(text: &str) -> Cell {
    Cell { text: text.to_owned(), key: Key::Text(text.to_owned()) }
}

fn number(number: impl TryInto<i64>) -> Cell {
    let number = number.try_into().unwrap_or(i64::MAX);
    Cell { text: short(number), key: Key::Number(number) }
}

fn maybe<T: Copy>(value: Option<T>, cell: impl Fn(T) -> Cell) -> Cell {
    value.map_or_else(|| Cell { text: "-".to_owned(), key: Key::Number(i64::MIN) }, cell)
}

fn size(bytes: impl TryInto<u64>) -> Cell {
    let bytes = bytes.try_into().unwrap_or(0);
    let key = Key::Number(i64::try_from(bytes).unwrap_or(i64::MAX));
    Cell { text: values::size(bytes), key }
}

fn rate(text: impl Fn(Rate) -> String) -> impl Fn(Rate) -> Cell {
    move |rate| Cell { text: text(rate), key: Key::Number(rate.tenths()) }
}

fn behind(ms: i64) -> Cell {
    let age = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    Cell { text: values::age(age), key: Key::Number(ms) }
}

/// Brokers with their disks.
pub(super) fn brokers(figures: &Figures) -> Page {
    let mut page = page(&[
        ("id", 4),
        ("address", 0),
        ("state", 0),
        ("rec/s", 7),
        ("leaders", 7),
        ("replicas", 8),
        ("free", 8),
    ]);
    page.rows.extend(figures.brokers.iter().map(|it| {
        let state = if it.is_gone { "gone" } else { it.trouble.as_deref().unwrap_or("up") };
        let cells = vec![
            number(it.id),
            text(&it.address),
            text(state),
            maybe(it.records_per_second, rate(Rate::records)),
            number(it.leaders),
            number(it.replicas),
            size(it.free_bytes),
        ];
        (it.id.to_string(), cells)
    }));
    page
}

/// Topics with their rates; the brokers' own only if asked for.
pub(super) fn topics(figures: &Figures, with_internal: bool) -> Page {
    let mut page = page(&[
        ("topic", 0),
        ("partitions", 10),
        ("rec/s", 7),
        ("bytes/s", 9),
        ("records", 8),
        ("size", 8),
    ]);
    let shown = figures.topics.iter().filter(|it| with_internal || !it.internal);
    page.rows.extend(shown.map(|it| {
        let cells = vec![
            text(&it.topic),
            number(it.partitions.len()),
            maybe(it.records_per_second, rate(Rate::records)),
            maybe(it.bytes_per_second, rate(Rate::bytes)),
            number(it.records),
            size(it.bytes),
        ];
        (it.topic.clone(), cells)
    }));
    page
}

/// The partitions of one topic.
pub(super) fn partitions(topic: &Topic) -> Page {
    let mut page = page(&[
        ("part", 5),
        ("leader", 6),
        ("epoch", 5),
        ("in sync", 7),
        ("start", 8),
        ("end", 8),
        ("rec/s", 7),
        ("bytes/s", 9),
        ("size", 8),
    ]);
    page.rows.extend(topic.partitions.iter().map(|it| {
        let in_sync = format!("{}/{}", it.in_sync, it.replicas);
        let cells = vec![
            number(it.partition),
            number(it.leader),
            number(it.leader_epoch),
            text(&in_sync),
            number(it.log_start),
            number(it.high_watermark),
            maybe(it.records_per_second, rate(Rate::records)),
            maybe(it.bytes_per_second, rate(Rate::bytes)),
            size(it.bytes),
        ];
        (it.partition.to_string(), cells)
    }));
    page
}

/// Groups with their lag.
pub(super) fn groups(figures: &Figures) -> Page {
    let mut page = page(&[
        ("group", 0),
        ("state", 0),
        ("members", 7),
        ("lag", 7),
        ("behind", 8),
        ("trend/s", 8),
        ("commits/min", 11),
    ]);
    page.rows.extend(figures.groups.iter().map(|it| {
        let cells = vec![
            text(&it.group),
            text(it.state),
            number(it.members.len()),
            maybe(it.lag_records, number),
            maybe(it.lag_ms, behind),
            maybe(it.lag_trend, rate(Rate::signed)),
            number(it.commits_per_minute),
        ];
        (it.group.clone(), cells)
    }));
    page
}

/// The members of one group.
pub(super) fn members(group: &Group) -> Page {
    let mut page = page(&[
        ("member", 0),
        ("client", 0),
        ("host", 0),
        ("epoch", 5),
        ("heartbeat", 9),
        ("owns", 5),
        ("shall", 5),
    ]);
    page.rows.extend(group.members.iter().map(|it| {
        let cells = vec![
            text(&it.member),
            text(&it.client),
            text(&it.host),
            number(it.epoch),
            behind(i64::try_from(it.heartbeat_age_ms).unwrap_or(i64::MAX)),
            number(it.partitions_owned),
            number(it.partitions_target),
        ];
        (it.member.clone(), cells)
    }));
    page
}

/// The partitions of one group, or of all of them.
pub(super) fn followed<'a>(groups: impl Iterator<Item = &'a Group>) -> Page {
    let mut page = page(&[
        ("group", 0),
        ("topic", 0),
        ("part", 5),
        ("lag", 7),
        ("behind", 8),
        ("trend/s", 8),
        ("owner", 0),
    ]);
    for group in groups {
        page.rows.extend(group.partitions.iter().map(|it: &Followed| {
            let cells = vec![
                text(&group.group),
                text(&it.topic),
                number(it.partition),
                maybe(it.lag_records, number),
                maybe(it.lag_ms, behind),
                maybe(it.lag_trend, rate(Rate::signed)),
                text(it.owner.as_deref().unwrap_or("-")),
            ];
            (format!("{}/{}/{}", group.group, it.topic, it.partition), cells)
        }));
    }
    page
}
