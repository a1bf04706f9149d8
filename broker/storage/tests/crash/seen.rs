//! What happened in a run besides the disk's own faults.

use crate::lives::seen;

seen! {
    appended, appended_during_sync, repeated, gaps_refused, refused_full, synced, rolled, cut,
    records_deleted, segments_expired, checkpoints, clean_stops, restarts, restarts_after_clean_stop,
    restarts_after_kill, crashed_while_starting, crashed_in_a_sync, crashed_in_a_write, offline,
    prepared, rolled_into_prepared, tails_lost, unsynced_tails_kept, torn_tails_cut, bad_ranges, spoiled_one, spoiled_more, fenced_by_damage,
}
