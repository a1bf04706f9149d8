use super::*;

fn table(entries: &[(i32, i64)]) -> EpochTable {
    let mut table = EpochTable::new();
    for &(epoch, start) in entries {
        assert_eq!(table.assign(LeaderEpoch::new(epoch), Offset::new(start)), Ok(true));
    }
    table
}

fn pairs(table: &EpochTable) -> Vec<(i32, i64)> {
    table.entries().iter().map(|entry| (entry.epoch.get(), entry.start.get())).collect()
}

fn end(table: &EpochTable, wanted: i32, log_end: i64) -> Option<(i32, i64)> {
    table
        .epoch_end(LeaderEpoch::new(wanted), Offset::new(log_end))
        .map(|found| (found.epoch.get(), found.end.get()))
}

#[test]
fn an_epoch_gets_its_entry_with_its_first_batch_only() {
    let mut table = table(&[(0, 0), (3, 7)]);
    assert_eq!(table.assign(LeaderEpoch::new(3), Offset::new(9)), Ok(false));
    assert_eq!(pairs(&table), [(0, 0), (3, 7)]);
}

#[test]
fn an_older_epoch_or_an_earlier_offset_is_refused() {
    let mut table = table(&[(0, 0), (3, 7)]);
    let error = table.assign(LeaderEpoch::new(2), Offset::new(9)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "leader epoch 2 at offset 9 does not follow epoch 3, which began at offset 7"
    );
    assert!(table.assign(LeaderEpoch::new(4), Offset::new(6)).is_err());
}

#[test]
fn an_epoch_without_records_gives_way_to_the_next() {
    let mut table = table(&[(0, 0), (3, 7)]);
    assert_eq!(table.assign(LeaderEpoch::new(4), Offset::new(7)), Ok(true));
    assert_eq!(pairs(&table), [(0, 0), (4, 7)]);
}

#[test]
fn the_end_of_an_epoch_is_where_the_next_begins() {
    let table = table(&[(1, 0), (3, 7), (4, 12)]);
    assert_eq!(end(&table, 1, 15), Some((1, 7)));
    assert_eq!(end(&table, 2, 15), Some((1, 7)), "an epoch that we never had");
    assert_eq!(end(&table, 3, 15), Some((3, 12)));
    assert_eq!(end(&table, 4, 15), Some((4, 15)), "the latest ends with the log");
    assert_eq!(end(&table, 9, 15), Some((4, 15)), "later than all");
    assert_eq!(end(&table, 0, 15), Some((0, 0)), "earlier than all");
    assert_eq!(end(&EpochTable::new(), 4, 15), None);
}

#[test]
fn the_epoch_of_an_offset_is_the_last_that_began_at_or_below_it() {
    let table = table(&[(1, 2), (3, 7)]);
    let at = |offset| table.epoch_at(Offset::new(offset)).map(LeaderEpoch::get);
    assert_eq!([at(1), at(2), at(6), at(7), at(99)], [None, Some(1), Some(1), Some(3), Some(3)]);
}

#[test]
fn truncation_forgets_epochs_at_and_above_the_cut() {
    let mut cut = table(&[(1, 0), (3, 7), (4, 12)]);
    assert!(!cut.truncate_to(Offset::new(13)));
    assert!(cut.truncate_to(Offset::new(12)));
    assert_eq!(pairs(&cut), [(1, 0), (3, 7)]);
    assert!(cut.truncate_to(Offset::ZERO));
    assert_eq!(pairs(&cut), []);
}

#[test]
fn trimming_moves_the_covering_epoch_to_the_log_start() {
    let mut trimmed = table(&[(1, 0), (3, 7), (4, 12)]);
    assert!(!trimmed.trim_below(Offset::ZERO));
    assert!(trimmed.trim_below(Offset::new(9)));
    assert_eq!(pairs(&trimmed), [(3, 9), (4, 12)]);
    assert!(trimmed.trim_below(Offset::new(12)));
    assert_eq!(pairs(&trimmed), [(4, 12)]);
    assert!(trimmed.trim_below(Offset::new(99)), "the last epoch outlives its records");
    assert_eq!(pairs(&trimmed), [(4, 99)]);
}

#[test]
fn the_file_reads_back() {
    for entries in [&[][..], &[(0, 0)], &[(1, 0), (3, 7), (i32::MAX, i64::MAX)]] {
        let table = table(entries);
        assert_eq!(EpochTable::decode(table.encode().as_bytes()), Ok(table));
    }
    assert_eq!(table(&[(1, 0), (3, 7)]).encode(), "0\n2\n1 0\n3 7\n");
}

#[test]
fn a_damaged_file_says_which_line() {
    let error = |text: &[u8]| EpochTable::decode(text).unwrap_err().to_string();
    assert!(error(b"").contains("line 1 should be version 0"));
    assert!(error(b"1\n0\n").contains("line 1 should be version 0, it is \"1\""));
    assert!(error(b"0\nx\n").contains("line 2"));
    assert!(error(b"0\n2\n1 0\n").contains("2 entries announced, 1 found"));
    assert!(error(b"0\n0\n1 0\n").contains("0 entries announced, 1 found"));
    assert!(error(b"0\n1\n1 -4\n").contains("line 3"));
    assert!(error(b"0\n2\n3 7\n3 8\n").contains("line 4"));
    assert!(error(b"0\n2\n3 7\n4 7\n").contains("line 4"));
}

/// The seven ways in which two histories can part, after KIP-279 and its TLA+ description: the follower asks
/// for its last epoch, cuts at the lesser of the answer and its own end of the answered epoch,
/// and asks again until the histories match.
#[test]
fn repeated_lookups_find_the_last_shared_record_in_every_history() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..20_000 {
        // A shared history, then each side alone; each record is its epoch, and sides never share an
        // epoch that they wrote apart.
        let mut shared: Vec<i32> = Vec::new();
        let mut epoch = 0;
        for _ in 0..random.usize(0..6) {
            epoch += i32::from(random.bool());
            shared.push(epoch);
        }
        let (mut leader, mut follower) = (shared.clone(), shared.clone());
        for step in 0..random.i32(0..8) {
            let side = if random.bool() { &mut leader } else { &mut follower };
            for _ in 0..random.usize(1..4) {
                side.push(epoch + 1 + step);
            }
        }
        // The leader leads with the largest epoch.
        leader.push(epoch + 20);
        let from = |log: &[i32]| {
            let mut table = EpochTable::new();
            for (at, epoch) in log.iter().enumerate() {
                let at = Offset::new(i64::try_from(at).unwrap());
                table.assign(LeaderEpoch::new(*epoch), at).unwrap();
            }
            (table, i64::try_from(log.len()).unwrap())
        };
        let (ours, our_end) = from(&leader);
        let mut questions = 0;
        loop {
            let (theirs, their_end) = from(&follower);
            let Some(last) = theirs.latest() else { break };
            questions += 1;
            assert!(questions < 20, "round {round} does not end: {leader:?} {follower:?}");
            let answer = ours.epoch_end(last, Offset::new(our_end)).unwrap();
            let own = theirs.epoch_end(answer.epoch, Offset::new(their_end)).unwrap();
            let cut = answer.end.min(own.end);
            if cut.get() == their_end && answer.epoch == last {
                break;
            }
            follower.truncate(usize::try_from(cut.get()).unwrap());
        }
        assert_eq!(follower, leader[..follower.len()], "round {round}");
        assert!(follower.len() >= shared.len(), "round {round}: shared records were cut");
    }
}
