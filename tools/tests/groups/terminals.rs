//! Three terminals: members share the partitions, closing one moves its partition, and the figures are right.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ask::{describe, owners, until};
use crate::member::Member;
use crate::support::Broker;
use crate::{EVENTS, broker_with_earthquakes, publish};

/// Sessions that no test outlives: what moves has been let go of.
const LONG: [&str; 4] = ["--session-timeout", "10min", "--format", "%p %o %T"];

/// Asks until each of these members owns as many partitions as it should.
fn until_owned(broker: &Broker, group: &str, shares: &[(&str, usize)]) -> Value {
    let asked = until(&format!("{shares:?}"), || {
        let described = describe(broker, group);
        let owners = owners(&described);
        let has = |id: &str| owners.iter().flatten().filter(|owner| *owner == id).count();
        let is_so = shares.iter().all(|(id, count)| has(id) == *count);
        (described["state"] == "stable" && is_so).then_some(described)
    });
    asked.0
}

/// Partition, offset and timestamp of each line.
fn lines(member: &Member) -> Vec<[i64; 3]> {
    let said = member.said();
    let numbers = |line: &String| -> [i64; 3] {
        let words: Vec<i64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        words.try_into().unwrap()
    };
    said.out.iter().map(numbers).collect()
}

#[test]
fn members_share_hand_over_and_are_counted_right() {
    let (_folder, broker) = broker_with_earthquakes();
    let first = Member::start(&broker, "earthquakes", "g", &LONG);
    first.wait_for("all events", |said| said.out.len() == EVENTS);

    let second = Member::start(&broker, "earthquakes", "g", &LONG);
    let mut third = Member::start(&broker, "earthquakes", "g", &LONG);
    let ids = [first.id(), second.id(), third.id()];
    until_owned(&broker, "g", &[(&ids[0], 1), (&ids[1], 1), (&ids[2], 1)]);
    publish(&broker);
    until("all is read again", || {
        let read: usize = [&first, &second, &third].map(|it| it.said().out.len()).iter().sum();
        // A process asked in between gives the others time.
        describe(&broker, "g");
        (read >= 2 * EVENTS).then_some(())
    });

    // SIGINT: its partition has a new owner though its session goes on for minutes.
    assert_eq!(third.interrupt().code(), Some(0), "{:?}", third.said().err);
    let described = describe(&broker, "g");
    assert!(!described.to_string().contains(&ids[2]), "it has left: {described}");
    let ((), waited) = until("its partition has a new owner", || {
        (owners(&describe(&broker, "g")).iter().flatten().count() == 3).then_some(())
    });
    eprintln!("the partition of a member that left had a new owner {waited:?} after its end");

    // Nobody was killed: each record was read once.
    let all: Vec<[i64; 3]> = [&first, &second, &third].into_iter().flat_map(lines).collect();
    let places: BTreeSet<[i64; 3]> = all.iter().copied().collect();
    assert_eq!((all.len(), places.len()), (2 * EVENTS, 2 * EVENTS));
    drop_clean([first, second]);
    by_hand(&broker, &places);
}

fn drop_clean(members: [Member; 2]) {
    for mut member in members {
        assert_eq!(member.interrupt().code(), Some(0), "{:?}", member.said().err);
    }
}

/// What `group describe` says is what a count says: of the lines that were read, and of those that were not.
fn by_hand(broker: &Broker, read: &BTreeSet<[i64; 3]>) {
    publish(broker);
    let all = broker.run(&["consume", "earthquakes", "--format", "%p %o %T"]).good().stdout;
    let all: BTreeSet<[i64; 3]> = all
        .lines()
        .map(|line| {
            let words: Vec<i64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            words.try_into().unwrap()
        })
        .collect();
    let unread: Vec<[i64; 3]> = all.difference(read).copied().collect();
    assert_eq!(unread.len(), EVENTS);
    let described = describe(broker, "g");
    assert_eq!(
        (&described["state"], described["members"].as_array().unwrap().len()),
        (&"empty".into(), 0)
    );
    assert_eq!(described["lag_records"], EVENTS);
    let mut clocks = BTreeSet::new();
    for it in described["partitions"].as_array().unwrap() {
        let partition = it["partition"].as_i64().unwrap();
        let count = |lines: &mut dyn Iterator<Item = &[i64; 3]>| {
            i64::try_from(lines.filter(|line| line[0] == partition).count()).unwrap()
        };
        assert_eq!(it["committed"], count(&mut read.iter()), "{it}");
        assert_eq!(it["log_end"], count(&mut all.iter()), "{it}");
        assert_eq!(it["lag_records"], count(&mut unread.iter()), "{it}");
        // The age of the next record, by its timestamp: all partitions were asked at one moment.
        let next = unread.iter().find(|line| line[0] == partition).unwrap();
        clocks.insert(it["lag_ms"].as_i64().unwrap() + next[2]);
    }
    assert_eq!(clocks.len(), 1, "ages of different moments: {described}");
    let table = broker.run(&["group", "describe", "g"]).good().stdout;
    for expected in ["group g   empty", "BEHIND", "lag 1,707 records"] {
        assert!(table.contains(expected), "{expected:?} is missing: {table}");
    }
}

#[test]
fn without_follow_a_member_ends_at_the_end_and_goes_on_there_later() {
    let (_folder, broker) = broker_with_earthquakes();
    let read = || broker.run(&["consume", "earthquakes", "--group", "g", "--from", "beginning"]);
    assert_eq!(read().good().stdout.lines().count(), EVENTS);
    let nothing = read().good();
    assert!(
        nothing.stdout.is_empty()
            && nothing.stderr.contains("nothing of topic earthquakes was left")
    );
    publish(&broker);
    let again = read().good();
    assert_eq!(
        again.stdout.lines().count(),
        EVENTS,
        "--from counts only where nothing is committed"
    );
    assert!(again.stderr.contains("where the group has committed"), "{}", again.stderr);
    let three = broker.run(&["consume", "earthquakes", "--group", "h", "--count", "3"]).good();
    assert_eq!(three.stdout.lines().count(), 3);
    let described = describe(&broker, "h");
    assert_eq!(described["lag_records"].as_u64().unwrap(), 2 * EVENTS as u64 - 3, "{described}");
}
