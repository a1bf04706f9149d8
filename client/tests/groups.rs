//! Members at a fake coordinator that moves, loads, forgets and fences: what the consumer does then, told from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Cluster, eventually};
use thalweg_client::{
    Client, CommitError, Consumer, ConsumerBuilder, ErrorCode, GroupEvent, Offset, Record, StartAt,
};

async fn cluster(brokers: usize, partitions: usize, records: usize) -> (Cluster, Client) {
    let cluster = Cluster::start(brokers).await;
    cluster.create("events", partitions);
    let client = Client::builder().bootstrap(cluster.address(0)).build().unwrap();
    let producer = client.producer().build().await.unwrap();
    for number in 0..records {
        let partition = i32::try_from(number % partitions).unwrap();
        let value = number.to_string();
        let record = Record::to("events").partition(partition).value(&value);
        producer.send(record).await.unwrap().await.unwrap();
    }
    (cluster, client)
}

fn subscribed(client: &Client) -> ConsumerBuilder {
    client.consumer().group("g").subscribe(["events"]).auto_commit(Duration::from_millis(30))
}

async fn next(consumer: &mut Consumer) -> i64 {
    let next = tokio::time::timeout(Duration::from_secs(20), consumer.next());
    next.await.unwrap().unwrap().unwrap().offset.get()
}

fn committed(cluster: &Cluster) -> Vec<i64> {
    cluster.state().groups.offsets.values().map(|(offset, _, _)| *offset).collect()
}

#[tokio::test]
async fn a_coordinator_that_loads_is_waited_for_and_one_that_moves_is_found_again() {
    let (cluster, client) = cluster(2, 1, 3).await;
    cluster.state().groups.loading = 3;
    let mut consumer = subscribed(&client).build().await.unwrap();
    let id = consumer.member_id();
    assert_eq!(next(&mut consumer).await, 0);
    cluster.state().groups.coordinator = 1;
    assert_eq!([next(&mut consumer).await, next(&mut consumer).await], [1, 2]);
    eventually("committing at the new one", || committed(&cluster) == [2]).await;
    assert_eq!(consumer.member_id(), id, "the membership goes on");
    consumer.close().await.unwrap();
    assert_eq!(committed(&cluster), [3]);
    assert!(cluster.state().groups.members.is_empty(), "it has left");
}

/// One shard that nobody serves used to keep all groups from being listed.
#[tokio::test]
async fn groups_that_cannot_be_listed_are_named_beside_those_that_can() {
    let (cluster, client) = cluster(1, 1, 0).await;
    let listed = async |codes: &[ErrorCode]| {
        cluster.state().groups.unlisted = codes.to_vec();
        let listing = client.admin().list_groups(&[]).await.unwrap();
        assert_eq!(listing.groups[0].group, "g");
        listing.missing.first().map(|it| (it.shard.get(), it.error.code))
    };
    assert_eq!(listed(&[]).await, None);
    assert_eq!(listed(&[ErrorCode::CoordinatorLoading; 3]).await, None, "asked again");
    assert_eq!(listed(&[ErrorCode::Internal]).await, Some((7, ErrorCode::Internal)));
    assert!(cluster.state().groups.unlisted.is_empty(), "asked once");
}

#[tokio::test]
async fn a_list_that_stays_incomplete_is_given_at_the_deadline() {
    let cluster = Cluster::start(1).await;
    cluster.state().groups.unlisted = vec![ErrorCode::CoordinatorLoading; 10_000];
    let client =
        Client::builder().bootstrap(cluster.address(0)).api_timeout(Duration::from_secs(1));
    let listing = client.build().unwrap().admin().list_groups(&[]).await.unwrap();
    assert_eq!(listing.groups[0].group, "g");
    assert_eq!(listing.missing[0].error.code, ErrorCode::CoordinatorLoading);
    assert!(cluster.state().groups.unlisted.len() < 9_999, "asked again until then");
}

#[tokio::test]
async fn a_fenced_member_hears_that_it_lost_its_partitions_and_joins_with_a_new_name() {
    let (cluster, client) = cluster(1, 1, 3).await;
    let events: Arc<Mutex<Vec<GroupEvent>>> = Arc::default();
    let tells = events.clone();
    let builder = subscribed(&client).manual_commit();
    let builder = builder.on_group_event(move |event| tells.lock().unwrap().push(event.clone()));
    let mut consumer = builder.build().await.unwrap();
    assert_eq!(next(&mut consumer).await, 0);
    let id = consumer.member_id().unwrap();
    cluster.state().groups.fence(&id);
    let lost = |event: &GroupEvent| matches!(event, GroupEvent::Lost { .. });
    eventually("hearing of it", || events.lock().unwrap().iter().any(lost)).await;
    assert_eq!(next(&mut consumer).await, 0, "nothing was committed");
    assert_ne!(consumer.member_id().unwrap(), id);
    consumer.commit().await.unwrap();
    assert_eq!(committed(&cluster), [1]);
}

#[tokio::test]
async fn a_commit_in_the_name_of_a_fenced_member_fails_and_says_so() {
    let (cluster, client) = cluster(1, 1, 1).await;
    let mut consumer = subscribed(&client).manual_commit().build().await.unwrap();
    next(&mut consumer).await;
    let id = consumer.member_id().unwrap();
    cluster.state().groups.fence(&id);
    // Whoever is first to hear of it, the heartbeat or the commit: it is not committed.
    match consumer.commit().await {
        Err(CommitError::NotMember { .. }) => {}
        Ok(()) => assert_eq!(committed(&cluster), Vec::<i64>::new(), "nothing was left to commit"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn members_hand_over_what_they_have_finished_and_read_nothing_twice() {
    let (cluster, client) = cluster(1, 4, 40).await;
    let mut one = subscribed(&client).build().await.unwrap();
    let mut read = 0;
    while read < 40 {
        next(&mut one).await;
        read += 1;
    }
    let two = subscribed(&client).build().await.unwrap();
    // The question for the next record says that the last one is done; there is no next one.
    let reading = tokio::spawn(async move { one.next().await });
    eventually("sharing", || two.assignment().len() == 2).await;
    let positions: Vec<_> = two
        .assignment()
        .iter()
        .map(|at| two.position(at.topic.as_str(), at.partition).unwrap().get())
        .collect();
    assert_eq!(positions, [10, 10], "what moves was committed before it moved");
    eventually("committing what stays", || committed(&cluster) == [10; 4]).await;
    assert!(!reading.is_finished(), "a record was read twice, or reading failed");
    reading.abort();
}

#[tokio::test]
async fn dropping_the_handle_leaves_in_the_background_and_leaks_no_task() {
    let (cluster, client) = cluster(1, 1, 2).await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mut consumer = subscribed(&client).build().await.unwrap();
    next(&mut consumer).await;
    next(&mut consumer).await;
    drop(consumer);
    eventually("leaving", || cluster.state().groups.members.is_empty()).await;
    assert_eq!(committed(&cluster), [1], "what was in hand is not done");
    eventually("ending", || {
        drop(client.clone());
        let now = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        // The connections are the client's: two at the broker, two here.
        now <= before + 8
    })
    .await;
}

#[tokio::test]
async fn closing_with_nobody_there_ends_within_its_bound() {
    let (cluster, client) = cluster(1, 1, 1).await;
    let mut consumer =
        subscribed(&client).close_timeout(Duration::from_millis(300)).build().await.unwrap();
    next(&mut consumer).await;
    cluster.kill(0);
    let closed = tokio::time::timeout(Duration::from_secs(20), consumer.close()).await.unwrap();
    assert!(closed.is_err(), "{closed:?}");
}

#[tokio::test]
async fn a_stream_with_an_end_ends_when_all_that_is_owned_has_reached_it() {
    let (_cluster, client) = cluster(1, 3, 9).await;
    let mut consumer = subscribed(&client).stop_at_end().build().await.unwrap();
    let mut read = 0;
    while let Some(record) =
        tokio::time::timeout(Duration::from_secs(20), consumer.next()).await.unwrap()
    {
        record.unwrap();
        read += 1;
    }
    assert_eq!(read, 9);
    consumer.close().await.unwrap();
    let mut again = subscribed(&client).stop_at_end().build().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), again.next()).await.unwrap();
    assert!(ended.is_none(), "{ended:?}");
}

#[tokio::test]
async fn seek_pause_and_resume_work_in_a_group() {
    let (_cluster, client) = cluster(1, 1, 5).await;
    let mut consumer = subscribed(&client).build().await.unwrap();
    for expected in 0..3 {
        assert_eq!(next(&mut consumer).await, expected);
    }
    consumer.seek("events", 0, StartAt::Offset(Offset::new(1))).await.unwrap();
    assert_eq!(next(&mut consumer).await, 1);
    consumer.pause("events", 0).unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(50), consumer.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    consumer.resume("events", 0).unwrap();
    assert_eq!(next(&mut consumer).await, 2);
    assert_eq!(consumer.lag()[0].records, Some(2));
}
