//! Draws the model: what is wrong first, then one table, then the keys.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

use super::model::{Model, Place};
use super::pages::{Column, Page};
use super::rate::Rate;
use crate::values;

/// Between two columns.
const SPACING: u16 = 2;

/// A name of which less is shown tells nothing.
const NAME_WIDTH_MIN: u16 = 10;

const HELP: &str =
    "q quit  1-4 page  ↑↓ Enter open  Esc back  s sort  r turn  / filter  i internal";

/// Draws everything.
pub(super) fn draw(model: &Model, now: Duration, frame: &mut Frame<'_>) {
    let members = model.members();
    let above = members.as_ref().map_or(0, |page| {
        u16::try_from(page.rows.len()).unwrap_or(u16::MAX).saturating_add(2).min(8)
    });
    let condition = condition(model, now, frame.area().width);
    let lines = u16::try_from(condition.len()).unwrap_or(u16::MAX);
    let [head, state, tabs, top, body, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lines),
        Constraint::Length(1),
        Constraint::Length(above),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(model), head);
    frame.render_widget(Paragraph::new(condition), state);
    frame.render_widget(place(model), tabs);
    if let Some(members) = members {
        table(model, &members, None, top, frame);
    }
    let page = model.page();
    table(model, &page, Some(model.selected(&page)), body, frame);
    let text = if model.is_typing {
        format!("filter: {}_   Enter keeps it, Esc drops it", model.filter)
    } else {
        HELP.to_owned()
    };
    frame.render_widget(Line::styled(text, Modifier::DIM), help);
}

fn headline(model: &Model) -> Line<'static> {
    let it = &model.figures;
    let rate = |rate: Option<Rate>, text: fn(Rate) -> String| rate.map_or("-".to_owned(), text);
    Line::from(format!(
        "thalweg top   {}  {}  {}   {} rec/s  {}/s",
        counted(it.brokers.iter().filter(|broker| !broker.is_gone).count(), "broker"),
        counted(it.topics.len(), "topic"),
        counted(it.groups.len(), "group"),
        rate(it.records_per_second(), Rate::records),
        rate(it.bytes_per_second(), Rate::bytes),
    ))
    .style(Modifier::BOLD)
}

fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// What a person must know before reading the figures, each on a line.
fn condition(model: &Model, now: Duration, width: u16) -> Vec<Line<'static>> {
    let it = &model.figures;
    let (leaderless, under) = (it.partitions_leaderless, it.partitions_under_replicated);
    let mut wrong = Vec::new();
    match (&model.silence, model.heard_at) {
        (Some(reason), Some(at)) => {
            let age = values::age(now.saturating_sub(at));
            wrong.push(format!("NO ANSWER, figures are {age} old: {reason}"));
        }
        (Some(reason), None) => wrong.push(format!("NO ANSWER yet: {reason}")),
        (None, None) => return vec![Line::from("connecting")],
        (None, Some(_)) => {
            if leaderless + under > 0 {
                wrong.push(format!(
                    "partitions: {leaderless} without a leader, {under} under-replicated"
                ));
            }
            wrong.extend_from_slice(&model.groups_unknown);
        }
    }
    if wrong.is_empty() {
        let green = Style::new().fg(Color::Green);
        return vec![Line::styled("all partitions are led and in sync", green)];
    }
    let red = Style::new().fg(Color::Red);
    wrong.iter().map(|text| Line::styled(cut(text, usize::from(width)), red)).collect()
}

fn place(model: &Model) -> Line<'static> {
    let name = match &model.place {
        Place::Topics => "[1 topics]  2 groups   3 slowest   4 brokers ".to_owned(),
        Place::Groups => " 1 topics  [2 groups]  3 slowest   4 brokers ".to_owned(),
        Place::Slowest => " 1 topics   2 groups  [3 slowest]  4 brokers ".to_owned(),
        Place::Brokers => " 1 topics   2 groups   3 slowest  [4 brokers]".to_owned(),
        Place::Topic(name) => format!("topic {name}"),
        Place::Group(name) => format!("group {name}"),
    };
    let filter =
        if model.filter.is_empty() { String::new() } else { format!("   filter {}", model.filter) };
    Line::from(format!("{name}{filter}"))
}

fn table(model: &Model, page: &Page, chosen: Option<usize>, area: Rect, frame: &mut Frame<'_>) {
    let shown = fitting(page, area.width);
    let widths = page.columns.iter().take(shown).map(|it| match it.width {
        0 => Constraint::Fill(1),
        width => Constraint::Length(width),
    });
    let areas = Layout::horizontal(widths.clone()).spacing(SPACING).split(area);
    let room = |column: usize| areas.get(column).map_or(0, |area| usize::from(area.width));
    let heads = page.columns.iter().take(shown).enumerate().map(|(at, it)| {
        let is_sorted = chosen.is_some() && at == model.sort.0;
        let style = if is_sorted { Modifier::REVERSED } else { Modifier::BOLD };
        aligned(&it.head.to_uppercase(), it.is_number(), room(at)).style(style)
    });
    let rows = page.rows.iter().map(|(_, cells)| {
        Row::new(cells.iter().take(shown).enumerate().map(|(at, cell)| {
            let is_number = page.columns.get(at).is_some_and(|it| it.is_number());
            aligned(&cell.text, is_number, room(at))
        }))
    });
    let style = if model.silence.is_some() { Modifier::DIM } else { Modifier::empty() };
    let table = Table::new(rows, widths)
        .header(Row::new(heads))
        .column_spacing(SPACING)
        .style(style)
        .row_highlight_style(Modifier::REVERSED);
    let chosen = chosen.filter(|_| !page.rows.is_empty());
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
}

/// How many columns have room: in a narrow window the last ones are left out, so that the others can be read.
fn fitting(page: &Page, width: u16) -> usize {
    let mut left = width;
    let fits = |column: &&Column| {
        let needed = if column.width == 0 { NAME_WIDTH_MIN } else { column.width };
        let has_room = left >= needed;
        left = left.saturating_sub(needed + SPACING);
        has_room
    };
    page.columns.iter().take_while(fits).count().max(1)
}

fn aligned(text: &str, is_number: bool, room: usize) -> Cell<'static> {
    let line = Line::from(cut(text, room));
    Cell::from(if is_number { line.right_aligned() } else { line })
}

/// Text that does not fit says so.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room || room == 0 {
        return text.to_owned();
    }
    text.chars().take(room - 1).chain(['…']).collect()
}
