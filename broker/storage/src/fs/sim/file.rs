//! One open file of the simulated disk, and its maps.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;

use super::super::file_system::{File, Map};
use super::super::resident::would_wait;
use super::disk::SimDisk;
use super::folder::NodeId;
use super::state::{Node, State, down};

#[derive(Clone, Debug)]
pub(super) struct SimFile {
    open: Arc<Open>,
}

/// Lives as long as the file or one of its maps does; until then the file keeps its blocks.
#[derive(Debug)]
struct Open {
    disk: SimDisk,
    node: NodeId,
    generation: u64,
    /// On a cold disk: somebody has waited for a read of it.
    is_warm: AtomicBool,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, node: NodeId, generation: u64) -> Self {
        let open = Arc::new(Open { disk, node, generation, is_warm: AtomicBool::new(false) });
        Self { open }
    }

    fn write(&self, state: &mut State, position: usize, parts: &[&[u8]]) -> io::Result<()> {
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        state.writes += 1;
        let crashes = state.plan.crash_at_write == Some(state.writes);
        let fails = state.plan.failing_writes.remove(&state.writes);
        let reach = state.reach(self.open.node, position + wanted)?;
        let mut room = reach.saturating_sub(position);
        if crashes || fails {
            room = room.min(state.rng.usize(0..=wanted));
        }
        let content = state.content(self.open.node)?;
        let mut at = position;
        for part in parts {
            let part = &part[..part.len().min(position + room - at)];
            if !part.is_empty() {
                content.write(at, part);
                at += part.len();
            }
        }
        state.is_down |= crashes;
        state.stats.writes_failed += u64::from(fails);
        match () {
            () if crashes => Err(down()),
            () if fails => Err(io::Error::other("planned failure of a write")),
            () if room < wanted => {
                state.stats.refused_as_full += 1;
                state.stats.writes_cut_as_full += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            () => {
                state.stats.writes += 1;
                Ok(())
            }
        }
    }
}

impl Open {
    fn running(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.running()?;
        if state.generation == self.generation {
            Ok(state)
        } else {
            Err(io::Error::other("the file was opened before the crash"))
        }
    }
}

impl Open {
    /// On a cold disk the first read has to wait; the test may hold it there.
    fn wait_if_cold(&self) -> io::Result<()> {
        let state = self.running()?;
        let waits = state.is_cold && !self.is_warm.load(Ordering::Relaxed);
        let hook = state.plan.during_cold_read.clone().filter(|_| waits);
        drop(state);
        if let Some(hook) = hook {
            hook();
        }
        self.is_warm.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.running()?;
        let live = state.content(self.node)?.live();
        let start = in_memory(position)?.min(live.len());
        let read = buffer.len().min(live.len() - start);
        buffer[..read].copy_from_slice(&live[start..start + read]);
        Ok(read)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.generation == self.generation
            && let Some(Node::File { opened, .. }) = state.nodes.get_mut(&self.node)
        {
            *opened -= 1;
        }
    }
}

impl File for SimFile {
    fn write_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut state = self.open.running()?;
        self.write(&mut state, in_memory(position)?, parts)
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.open.wait_if_cold()?;
        self.open.read(position, buffer)
    }

    fn read_now(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.open.running()?.is_cold && !self.open.is_warm.load(Ordering::Relaxed) {
            return Err(would_wait());
        }
        self.open.read(position, buffer)
    }

    fn forget(&self, _position: u64, _bytes: u64) {
        self.open.is_warm.store(false, Ordering::Relaxed);
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.open.running()?;
        let live = state.content(self.open.node)?.live();
        u64::try_from(live.len()).map_err(io::Error::other)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.open.running()?;
        state.content(self.open.node)?.set_length(in_memory(bytes)?);
        Ok(())
    }

    fn preallocate(&self, end: u64) -> io::Result<()> {
        let end = in_memory(end)?;
        let mut state = self.open.running()?;
        if state.reach(self.open.node, end)? < end {
            state.stats.refused_as_full += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.content(self.open.node)?.reserve(end);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.open.running()?;
        let succeeds = state.meet_sync()?;
        let hook = state.plan.during_sync.clone();
        let flight = state.content(self.open.node)?.begin_sync();
        drop(state);
        if let Some(hook) = hook {
            hook();
        }
        let mut state = self.open.running()?;
        let state = &mut *state;
        let Some(Node::File { content, .. }) = state.nodes.get_mut(&self.open.node) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if succeeds {
            content.land(&flight);
            state.stats.file_syncs += 1;
            Ok(())
        } else {
            content.lose(&flight, &mut state.stats);
            Err(io::Error::other("planned failure of a sync"))
        }
    }

    fn map(&self, bytes: usize) -> io::Result<Arc<dyn Map>> {
        let is_warm = !self.open.running()?.is_cold;
        Ok(Arc::new(SimMap { file: self.clone(), bytes, is_warm: AtomicBool::new(is_warm) }))
    }
}

#[derive(Debug)]
struct SimMap {
    file: SimFile,
    bytes: usize,
    is_warm: AtomicBool,
}

impl SimMap {
    fn assert_within(&self, position: usize, bytes: usize) {
        assert!(
            position.checked_add(bytes).is_some_and(|end| end <= self.bytes),
            "range of {bytes} bytes at {position} is past the end of a map of {} bytes",
            self.bytes
        );
    }

    fn copy(&self, position: usize, bytes: usize) -> io::Result<Vec<u8>> {
        self.assert_within(position, bytes);
        let mut state = self.file.open.running()?;
        let live = state.content(self.file.open.node)?.live();
        let found = live.get(position..position + bytes);
        found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Map for SimMap {
    /// A copy of the live bytes. Where the real map would be a signal, past the file's end, this panics.
    fn slice(self: Arc<Self>, position: usize, bytes: usize) -> Bytes {
        let copy = self.copy(position, bytes);
        Bytes::from(copy.expect("a slice lies below the file's end and is taken before a crash"))
    }

    fn is_resident(&self, position: usize, bytes: usize) -> bool {
        self.assert_within(position, bytes);
        self.is_warm.load(Ordering::Relaxed)
    }

    fn populate(&self, position: usize, bytes: usize) -> io::Result<()> {
        self.file.open.wait_if_cold()?;
        self.copy(position, bytes)?;
        self.is_warm.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn in_memory(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(io::Error::other)
}
