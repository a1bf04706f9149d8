//! What happened in a run besides the disk's own faults.

use std::ops::AddAssign;

/// How often each thing happened in a run, so that a run in which one never did fails.
macro_rules! seen {
    ($($field:ident,)+) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Seen { $(pub(crate) $field: u64,)+ }

        impl Seen {
            /// The names of what never happened.
            pub(crate) fn missing(&self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field),)+];
                all.iter().filter(|(_, times)| *times == 0).map(|(name, _)| *name).collect()
            }
        }

        impl AddAssign for Seen {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

seen! {
    appended, appended_during_sync, repeated, gaps_refused, refused_full, synced, rolled, cut,
    records_deleted, segments_expired, checkpoints, clean_stops, restarts, restarts_after_clean_stop,
    restarts_after_kill, crashed_while_starting, crashed_in_a_sync, crashed_in_a_write, offline,
    prepared, rolled_into_prepared, tails_lost, unsynced_tails_kept, torn_tails_cut, bad_ranges, spoiled_one, spoiled_more, fenced_by_damage,
}
