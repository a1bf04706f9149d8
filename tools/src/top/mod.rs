//! `thalweg top`: what the cluster does, live: brokers, topics by rate, groups by lag, the slowest partitions.
//!
//! Owns the figures of a moment ([`figures`]), what the keys have chosen ([`model`]) and the screen. Figures and model
//! are pure: they are told samples, keys and the time. `poll` asks the brokers, `terminal` draws and hears keys.
//! Never changes anything in the cluster, and leaves the terminal as it was, however it ends.

mod command;
mod figures;
mod history;
mod model;
mod once;
mod pages;
mod poll;
mod rate;
mod sample;
mod terminal;
#[cfg(test)]
mod tests;
mod unknown;
mod view;

pub(crate) use command::TopArgs;
