//! What was heard and what the keys have chosen: tells what to draw.
//!
//! Reads no clock, asks nobody. After a silence the last figures stay, marked as old.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_client::{DescribedBroker, DescribedGroup};

use super::figures::Figures;
use super::history::History;
use super::pages::{self, Page};
use super::sample::{Heard, Sample};
use super::unknown;

/// What can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Topics,
    Groups,
    Slowest,
    Brokers,
    Topic(String),
    Group(String),
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Back,
    Escape,
    Tab,
    Up,
    Down,
}

/// All that the view needs.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) figures: Figures,
    pub(super) place: Place,
    /// Typed text that a row must contain.
    pub(super) filter: String,
    pub(super) is_typing: bool,
    /// The column that sorts, and whether the order is turned round.
    pub(super) sort: (usize, bool),
    /// The row that was chosen with the arrows, by its name: it stays chosen wherever new figures put it.
    chosen: Option<String>,
    pub(super) has_quit: bool,
    /// When the figures were fresh.
    pub(super) heard_at: Option<Duration>,
    pub(super) silence: Option<String>,
    /// Said when not all groups are there.
    pub(super) groups_unknown: Vec<String>,
    shows_internal: bool,
    history: History,
    brokers: BTreeMap<i32, DescribedBroker>,
    groups: Vec<DescribedGroup>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            figures: Figures::default(),
            place: Place::Topics,
            filter: String::new(),
            is_typing: false,
            sort: (2, false),
            chosen: None,
            has_quit: false,
            heard_at: None,
            silence: None,
            groups_unknown: Vec::new(),
            shows_internal: false,
            history: History::default(),
            brokers: BTreeMap::new(),
            groups: Vec::new(),
        }
    }

    /// Takes in how a round ended.
    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Sample(sample) => self.take(*sample),
            Heard::Silence { reason } => {
                self.silence = Some(reason);
                self.history.clear();
            }
        }
    }

    fn take(&mut self, mut sample: Sample) {
        self.history.add(&sample);
        let brokers = sample.cluster.brokers.iter();
        self.brokers.extend(brokers.map(|it| (it.id.get(), it.clone())));
        self.groups_unknown = match &sample.groups {
            Err(reason) => vec![format!("groups are not known: {reason}")],
            Ok(_) => unknown::lines(std::mem::take(&mut sample.groups_unknown)),
        };
        if let Ok(groups) = &mut sample.groups {
            self.groups = std::mem::take(groups);
        }
        self.figures = Figures::of(&sample, &self.groups, &self.brokers, &self.history);
        (self.heard_at, self.silence) = (Some(sample.at), None);
    }

    /// The table of the place, filtered and sorted; above it the members when it is a group's.
    pub(super) fn page(&self) -> Page {
        let mut page = match &self.place {
            Place::Topics => pages::topics(&self.figures, self.shows_internal),
            Place::Groups => pages::groups(&self.figures),
            Place::Slowest => pages::followed(self.figures.groups.iter()),
            Place::Brokers => pages::brokers(&self.figures),
            Place::Group(name) => {
                pages::followed(self.figures.groups.iter().filter(|it| it.group == *name))
            }
            Place::Topic(name) => {
                let topic = self.figures.topics.iter().find(|it| it.topic == *name);
                topic.map_or_else(|| pages::followed(std::iter::empty()), pages::partitions)
            }
        };
        page.rows.retain(|(name, _)| name.contains(&self.filter));
        let (column, is_turned) = self.sort;
        page.rows.sort_by(|(_, a), (_, b)| {
            let order = a.get(column).map(|it| &it.key).cmp(&b.get(column).map(|it| &it.key));
            let largest_first = page.columns.get(column).is_some_and(|it| it.is_number());
            if largest_first == is_turned { order } else { order.reverse() }
        });
        page
    }

    /// The members of the group that is looked at.
    pub(super) fn members(&self) -> Option<Page> {
        let Place::Group(name) = &self.place else { return None };
        self.figures.groups.iter().find(|it| it.group == *name).map(pages::members)
    }

    /// Does what a key means.
    pub(super) fn press(&mut self, key: Key) {
        if self.is_typing {
            return self.type_filter(key);
        }
        match key {
            Key::Char('q') => self.has_quit = true,
            Key::Char('1') => self.go(Place::Topics, 2),
            Key::Char('2') => self.go(Place::Groups, 3),
            Key::Char('3') => self.go(Place::Slowest, 4),
            Key::Char('4') => self.go(Place::Brokers, 3),
            Key::Tab => self.press(Key::Char(self.next_page())),
            Key::Char('s') => {
                self.sort.0 = (self.sort.0 + 1) % self.page().columns.len().max(1);
            }
            Key::Char('r') => self.sort.1 = !self.sort.1,
            Key::Char('i') => self.shows_internal = !self.shows_internal,
            Key::Char('/') => self.is_typing = true,
            Key::Up | Key::Char('k') => self.choose(|at| at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.choose(|at| at + 1),
            Key::Enter => self.drill(),
            Key::Back | Key::Escape => self.leave(),
            Key::Char(_) => {}
        }
    }

    /// Which row of the page is chosen: the first, as long as nobody has chosen another.
    pub(super) fn selected(&self, page: &Page) -> usize {
        let is_chosen = |(name, _): &(String, _)| Some(name) == self.chosen.as_ref();
        page.rows.iter().position(is_chosen).unwrap_or(0)
    }

    fn choose(&mut self, step: impl Fn(usize) -> usize) {
        let page = self.page();
        let at = step(self.selected(&page)).min(page.rows.len().saturating_sub(1));
        self.chosen = page.rows.into_iter().nth(at).map(|(name, _)| name);
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Char(char) => self.filter.push(char),
            Key::Back => drop(self.filter.pop()),
            Key::Enter => self.is_typing = false,
            Key::Escape => (self.filter, self.is_typing) = (String::new(), false),
            Key::Tab | Key::Up | Key::Down => {}
        }
        self.chosen = None;
    }

    fn go(&mut self, place: Place, column: usize) {
        (self.place, self.sort, self.chosen) = (place, (column, false), None);
        self.filter.clear();
    }

    const fn next_page(&self) -> char {
        match self.place {
            Place::Topics | Place::Topic(_) => '2',
            Place::Groups | Place::Group(_) => '3',
            Place::Slowest => '4',
            Place::Brokers => '1',
        }
    }

    fn drill(&mut self) {
        let page = self.page();
        let selected = self.selected(&page);
        let Some((name, cells)) = page.rows.into_iter().nth(selected) else { return };
        match self.place {
            Place::Topics => self.go(Place::Topic(name), 6),
            Place::Groups => self.go(Place::Group(name), 4),
            Place::Slowest => {
                let group = cells.into_iter().next().map(|cell| cell.text).unwrap_or_default();
                self.go(Place::Group(group), 4);
            }
            Place::Brokers | Place::Topic(_) | Place::Group(_) => {}
        }
    }

    fn leave(&mut self) {
        match self.place {
            Place::Topic(_) => self.go(Place::Topics, 2),
            Place::Group(_) => self.go(Place::Groups, 3),
            _ => self.filter.clear(),
        }
    }
}
