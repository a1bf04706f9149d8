//! Members that come, go and grow: who owns what, and that nothing is read twice or missed.

use thalweg_client::{AlterTopic, GroupEvent, GroupState};

use crate::members::{GROUP, Member, broker, shared, subscribed, tally, until};
use crate::support::{create, numbered, publish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_share_and_go_on_without_the_one_that_leaves() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 6, &[]).await;
    let producer = client.producer().build().await.unwrap();
    for partition in 0..6 {
        publish(&producer, "events", partition, &numbered(&format!("a{partition}-"), 20)).await;
    }

    let one = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one], &[6]).await;
    let two = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one, &two], &[3, 3]).await;
    let three = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one, &two, &three], &[2, 2, 2]).await;
    for partition in 0..6 {
        publish(&producer, "events", partition, &numbered(&format!("b{partition}-"), 20)).await;
    }
    until("reading everything", async || tally(&[&one, &two, &three]).len() == 240).await;

    // Who has what is known to the members first, and then to the coordinator.
    until("being stable", async || {
        let described = client.admin().describe_group(GROUP).await.unwrap();
        described.state == GroupState::Stable
    })
    .await;
    let described = client.admin().describe_group(GROUP).await.unwrap();
    assert_eq!(described.members.len(), 3);
    assert!(described.members.iter().all(|member| member.client_name == "test"));
    assert!(described.members.iter().all(|member| member.host.starts_with("127.0.0.1")));
    assert!(described.members.iter().any(|member| member.member == one.id));

    // Who leaves has committed what it read, so nothing is read twice.
    let tally_before = tally(&[&one, &two, &three]);
    assert!(tally_before.values().all(|count| *count == 1), "{tally_before:?}");
    let taken = three.owned();
    three.close().await;
    shared(&[&one, &two], &[3, 3]).await;
    for partition in 0..6 {
        publish(&producer, "events", partition, &numbered(&format!("c{partition}-"), 20)).await;
    }
    until("reading what came later", async || {
        tally(&[&one, &two]).keys().filter(|value| value.starts_with('c')).count() == 120
    })
    .await;
    assert!(tally(&[&one, &two]).values().all(|count| *count == 1));
    // What both had, they kept: nobody was asked to let go of anything when a member left.
    for member in [&one, &two] {
        let seen = member.seen.lock().unwrap();
        let revoked = seen.events.iter().filter(|e| matches!(e, GroupEvent::Revoking { .. }));
        assert!(revoked.count() <= 2, "{:?}", seen.events);
        assert_eq!(seen.errors, Vec::<String>::new());
    }
    assert!(one.owned().union(&two.owned()).any(|at| taken.contains(at)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_partition_is_not_let_go_and_read_on_while_others_move() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 4, &[]).await;
    let one = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one], &[4]).await;
    let two = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one, &two], &[2, 2]).await;
    let kept = one.owned();
    let three = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one, &two, &three], &[1, 1, 2]).await;
    let still = one.owned();
    assert!(still.is_subset(&kept), "{still:?} of {kept:?}");
    let seen = one.seen.lock().unwrap();
    let assigned = seen.events.iter().filter_map(|event| match event {
        GroupEvent::Assigned { partitions } => Some(partitions.len()),
        _ => None,
    });
    assert_eq!(assigned.sum::<usize>(), 4, "each was assigned once: {:?}", seen.events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_grows_is_noticed_and_what_was_written_meanwhile_is_read() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 1, &[]).await;
    let one = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one], &[1]).await;
    client.admin().alter_topic(AlterTopic::new("events").partitions(3)).await.unwrap();
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 2, &numbered("new-", 5)).await;
    shared(&[&one], &[3]).await;
    until("reading the new partition", async || one.count() == 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_matches_topics_that_come_later_and_no_internal_one() {
    let broker = broker();
    let client = broker.client();
    create(&client, "log.one", 1, &[]).await;
    let builder = client.consumer().group(GROUP).subscribe_pattern(r"log\..*|__.*");
    let one = Member::start(builder).await;
    shared(&[&one], &[1]).await;
    create(&client, "log.two", 2, &[]).await;
    create(&client, "other", 2, &[]).await;
    shared(&[&one], &[3]).await;
    let topics: Vec<_> = one.owned().into_iter().map(|at| at.topic.to_string()).collect();
    assert_eq!(topics, ["log.one", "log.two", "log.two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_goes_away_without_an_error() {
    let broker = broker();
    let client = broker.client();
    create(&client, "here", 1, &[]).await;
    create(&client, "gone", 1, &[]).await;
    let one = Member::start(subscribed(&client, &["here", "gone"])).await;
    shared(&[&one], &[2]).await;
    client.admin().delete_topic("gone").await.unwrap();
    shared(&[&one], &[1]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "here", 0, &numbered("still-", 3)).await;
    until("reading on", async || one.count() == 3).await;
    assert_eq!(one.seen.lock().unwrap().errors, Vec::<String>::new());
}
