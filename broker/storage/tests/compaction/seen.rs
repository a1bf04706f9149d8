//! What happened in a run besides the disk's own faults.

use crate::lives::seen;

seen! {
    appended, synced, rolled, cut, records_deleted, epochs, runs, runs_of_several_passes, exchanged,
    records_removed, tombstones_removed, tombstones_missing, stopped, interrupted, during_a_run,
    crashed_in_a_run, exchanges_finished, producers_rebuilt, slices_held, killed, clean_stops, offline,
    merged, holes, empty_batches,
}
