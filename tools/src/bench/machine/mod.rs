//! What this machine can do: the controls that a run's figures are shares of.
//!
//! Owns small loops that do the least that could be done: one copies memory, one writes a file, one syncs it, one
//! streams over loopback, one echoes, one only looks whether the cores go on, and the bare produce loop takes batches from a socket, checks and stores them.
//! Never uses a broker, and of the client nothing but its encoder.

mod bare_loop;
mod command;
mod control;
mod copy;
mod describe;
mod disk;
mod echo;
mod expected;
mod fresh;
mod pauses;
mod segments;
mod stream;
mod waits;

pub(super) use command::MachineArgs;
pub(super) use control::Control;
pub(super) use describe::Machine;
pub(super) use disk::warm_memory;
pub(super) use echo::synced_echo;
pub(super) use pauses::Pauses;
pub(super) use waits::Waits;
