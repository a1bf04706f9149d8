//! What happened on a simulated disk, so that a test whose planned fault never happened can fail.

use std::ops::AddAssign;

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident,)+) => {
        /// Counts since the disk was made; they survive crashes. A page is 512 B or 4 KiB, as the crash chose.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct SimStats { $($(#[$doc])* pub $field: u64,)+ }

        impl AddAssign for SimStats {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

counters! {
    /// Power cuts.
    crashes,
    /// Ends of the process that left the page cache.
    kills,
    /// Dirty pages that a crash kept.
    pages_kept,
    /// Dirty pages that a crash dropped.
    pages_dropped,
    /// Kept pages of which a crash kept only the first bytes.
    pages_torn,
    /// Files of which a crash dropped the whole change of length.
    lengths_dropped,
    /// Files that a crash left at a length between the synced and the live one.
    lengths_between,
    /// Changes of names that a crash kept.
    entries_kept,
    /// Changes of names that a crash dropped.
    entries_dropped,
    /// Syncs of files that succeeded.
    file_syncs,
    /// Syncs of folders that succeeded.
    folder_syncs,
    /// Syncs that failed as planned.
    syncs_failed,
    /// 512 B sectors that a failed sync marked clean without writing them.
    sectors_lost_by_failed_sync,
    /// Of those, the ones that a kill dropped from the page cache too.
    sectors_evicted,
    /// Writes that succeeded.
    writes,
    /// Writes that failed as planned, at any byte.
    writes_failed,
    /// Writes and preallocations refused for want of space.
    refused_as_full,
    /// Of those, the writes: a part of each was written.
    writes_cut_as_full,
    /// Lists that failed as planned.
    lists_failed,
    /// Removals that failed as planned.
    removals_failed,
    /// Bits flipped.
    bits_flipped,
}
