//! The faults that a test has planned, each by the number of the call that meets it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Runs while a sync is under way, without any lock of the disk.
pub(super) type Hook = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
pub(super) struct Plan {
    pub(super) failing_syncs: BTreeSet<u64>,
    pub(super) failing_writes: BTreeSet<u64>,
    pub(super) crash_at_sync: Option<u64>,
    pub(super) crash_at_write: Option<u64>,
    pub(super) failing_lists: u64,
    pub(super) failing_removals: u64,
    pub(super) during_sync: Option<Hook>,
    pub(super) during_cold_read: Option<Hook>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("failing_syncs", &self.failing_syncs)
            .field("failing_writes", &self.failing_writes)
            .field("crash_at_sync", &self.crash_at_sync)
            .field("crash_at_write", &self.crash_at_write)
            .field("failing_lists", &self.failing_lists)
            .field("failing_removals", &self.failing_removals)
            .finish_non_exhaustive()
    }
}
