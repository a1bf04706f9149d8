//! What happened in a run, so that a run in which one thing never did fails.

use std::ops::AddAssign;

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
    appended, synced, rolled, cut, records_deleted, epochs, runs, runs_of_several_passes, exchanged,
    records_removed, tombstones_removed, tombstones_missing, stopped, interrupted, during_a_run,
    crashed_in_a_run, exchanges_finished, producers_rebuilt, slices_held, killed, clean_stops, offline,
    merged, holes, empty_batches,
}
