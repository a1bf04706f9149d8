//! Commits: what is committed, when, by whom, and what a reset may do.

use std::time::Duration;

use thalweg_client::{
    CommitError, CommitOffset, ErrorCode, Event, GroupEvent, Offset, ResetTo, StartAt,
};

use crate::members::{GROUP, Member, broker, shared, subscribed, until};
use crate::support::{create, numbered, publish, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_hand_is_not_committed_until_the_next_call() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 0, &numbered("v", 5)).await;
    let builder = subscribed(&client, &["events"]).auto_commit(Duration::from_millis(20));
    let mut consumer = builder.build().await.unwrap();
    for _ in 0..3 {
        within(consumer.next()).await.unwrap().unwrap();
    }
    until("committing the first two", async || {
        let committed = consumer.committed("events", 0).await.unwrap();
        committed.is_some_and(|one| one.offset == Offset::new(2))
    })
    .await;
    assert_eq!(consumer.position("events", 0), Some(Offset::new(3)));
    // Dropped, not closed: the third record is still in hand.
    drop(consumer);
    until("leaving", async || {
        client.admin().describe_group(GROUP).await.unwrap().members.is_empty()
    })
    .await;
    let mut consumer = subscribed(&client, &["events"]).build().await.unwrap();
    let record = within(consumer.next()).await.unwrap().unwrap();
    assert_eq!(record.offset, Offset::new(2), "it comes again");
    within(consumer.close()).await.unwrap();
    let mut consumer = subscribed(&client, &["events"]).build().await.unwrap();
    let record = within(consumer.next()).await.unwrap().unwrap();
    assert_eq!(record.offset, Offset::new(3), "closing is a call that follows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explicit_commits_keep_their_notes_and_say_what_was_refused() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 2, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 0, &numbered("v", 5)).await;
    let mut consumer = subscribed(&client, &["events"]).manual_commit().build().await.unwrap();
    let first = within(consumer.next()).await.unwrap().unwrap();
    let second = within(consumer.next()).await.unwrap().unwrap();
    within(consumer.commit_records([&second, &first])).await.unwrap();
    let committed = within(consumer.committed("events", 0)).await.unwrap().unwrap();
    assert_eq!(committed.offset, Offset::new(2));
    assert_eq!(committed.leader_epoch, second.leader_epoch);
    let note = CommitOffset::after(&first).metadata("half way");
    within(consumer.commit_offsets([note])).await.unwrap();
    let committed = within(consumer.committed("events", 0)).await.unwrap().unwrap();
    assert_eq!((committed.offset, committed.metadata.as_str()), (Offset::new(1), "half way"));
    within(consumer.commit()).await.unwrap();
    let committed = within(consumer.committed("events", 0)).await.unwrap().unwrap();
    assert_eq!((committed.offset, committed.metadata.as_str()), (Offset::new(2), ""));

    let beyond = CommitOffset::new("events", 0, Offset::new(99));
    let good = CommitOffset::new("events", 1, Offset::new(0));
    let error = within(consumer.commit_offsets([beyond, good])).await.unwrap_err();
    let CommitError::Partitions { failed, of: 2, .. } = &error else { panic!("{error}") };
    assert_eq!((failed.len(), failed[0].code), (1, ErrorCode::OffsetBeyondEnd), "{error}");
    let long = CommitOffset::new("events", 0, Offset::new(1)).metadata("x".repeat(5000));
    let error = within(consumer.commit_offsets([long])).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OffsetMetadataTooLarge), "{error}");
    assert!(within(consumer.committed("nosuch", 0)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_committed_the_policy_says_where_to_begin() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 0, &numbered("old-", 5)).await;
    let builder = subscribed(&client, &["events"]).start_at(StartAt::Committed);
    let mut consumer = builder.build().await.unwrap();
    let error = within(consumer.next()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("has committed nothing"), "{error}");
    consumer.seek("events", 0, StartAt::Offset(Offset::new(4))).await.unwrap();
    let record = within(consumer.next()).await.unwrap().unwrap();
    assert_eq!(record.offset, Offset::new(4));
    within(consumer.close()).await.unwrap();

    client.admin().delete_group(GROUP).await.unwrap();
    let mut consumer =
        subscribed(&client, &["events"]).start_at(StartAt::Latest).build().await.unwrap();
    until("being assigned", async || !consumer.assignment().is_empty()).await;
    publish(&producer, "events", 0, &numbered("new-", 1)).await;
    let record = within(consumer.next()).await.unwrap().unwrap();
    assert_eq!(record.offset, Offset::new(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_without_a_membership_keeps_its_offsets_under_a_groups_name() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 0, &numbered("v", 5)).await;
    let builder = || client.consumer().group(GROUP).topic("events", StartAt::Earliest);
    let mut consumer = builder().build().await.unwrap();
    for _ in 0..3 {
        within(consumer.next()).await.unwrap().unwrap();
    }
    within(consumer.close()).await.unwrap();
    let mut consumer = builder().build().await.unwrap();
    assert_eq!(within(consumer.next()).await.unwrap().unwrap().offset, Offset::new(3));
    consumer.seek("events", 0, StartAt::Committed).await.unwrap();
    assert_eq!(within(consumer.next()).await.unwrap().unwrap().offset, Offset::new(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_refused_while_members_are_active_and_names_them() {
    let broker = broker();
    let client = broker.client();
    let admin = client.admin();
    create(&client, "events", 2, &[]).await;
    let producer = client.producer().build().await.unwrap();
    for partition in 0..2 {
        publish(&producer, "events", partition, &numbered("v", 10)).await;
    }
    let member = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&member], &[2]).await;
    until("reading", async || member.count() == 20).await;
    let to = ResetTo::At(StartAt::Earliest);
    let planned = admin.plan_group_reset(GROUP, "events", None, to).await.unwrap();
    let offsets = || planned.iter().map(CommitOffset::from);
    let error = admin.commit_group_offsets(GROUP, offsets()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::GroupNotEmpty));
    assert!(error.to_string().contains(&member.id), "{error}");
    let error = admin.delete_group(GROUP).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::GroupNotEmpty));
    member.close().await;

    let planned = admin.plan_group_reset(GROUP, "events", None, ResetTo::By(-3)).await.unwrap();
    let plan: Vec<_> = planned.iter().map(|one| (one.before, one.after)).collect();
    assert_eq!(plan, [(Some(Offset::new(10)), Offset::new(7)); 2]);
    admin.commit_group_offsets(GROUP, planned.iter().map(CommitOffset::from)).await.unwrap();
    let offsets = admin.group_offsets(GROUP).await.unwrap();
    assert!(offsets.iter().all(|one| one.offset == Offset::new(7)), "{offsets:?}");
    let described = admin.describe_group(GROUP).await.unwrap();
    assert!(described.offsets[0].partitions.iter().all(|one| one.lag_records == 3));
    admin.delete_group_offsets(GROUP, "events", [0]).await.unwrap();
    assert_eq!(admin.group_offsets(GROUP).await.unwrap().len(), 1);
    let listed = admin.list_groups(&[]).await.unwrap().groups;
    assert_eq!((listed.len(), listed[0].group.as_str()), (1, GROUP));
    admin.delete_group(GROUP).await.unwrap();
    assert!(admin.list_groups(&[]).await.unwrap().groups.is_empty());
    let described = admin.describe_groups(&[GROUP, "other"]).await.unwrap();
    let unknown = |one: &thalweg_client::DescribedGroup| {
        one.error.as_ref().is_some_and(|error| error.code == ErrorCode::UnknownGroup)
    };
    assert!(described.len() == 2 && described.iter().all(unknown), "{described:?}");
}

/// More names than the queues of all shards have places: each is answered, and none is refused because of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_about_very_many_groups_asks_about_some_at_a_time() {
    let broker = broker();
    let client = broker.client();
    let names: Vec<String> = (0..40_000).map(|number| format!("nobody-{number}")).collect();
    let described = within(client.admin().describe_groups(&names)).await.unwrap();
    assert_eq!(described.len(), names.len());
    for (group, name) in described.iter().zip(&names) {
        let code = group.error.as_ref().map(|error| error.code);
        assert_eq!((&group.group, code), (name, Some(ErrorCode::UnknownGroup)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_collected_can_be_committed_before_a_partition_is_let_go() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 2, &[]).await;
    let producer = client.producer().build().await.unwrap();
    for partition in 0..2 {
        publish(&producer, "events", partition, &numbered("v", 10)).await;
    }
    let mut one = subscribed(&client, &["events"]).manual_commit().build().await.unwrap();
    let mut collected = 0;
    while collected < 20 {
        if let Event::Record(_) = within(one.next_event()).await.unwrap().unwrap() {
            collected += 1;
        }
    }
    // The second member joins, and gets nothing before the first has flushed and asked again.
    let joining = tokio::spawn(subscribed(&client, &["events"]).build());
    let revoked = loop {
        let event = within(one.next_event()).await.unwrap().unwrap();
        if let Event::Group(GroupEvent::Revoking { partitions, .. }) = event {
            break partitions;
        }
    };
    let two = within(joining).await.unwrap().unwrap();
    assert_eq!((revoked.len(), two.assignment().len()), (1, 0));
    within(one.commit()).await.unwrap();
    assert!(two.assignment().is_empty(), "the first has not asked again");
    let asking = tokio::spawn(async move {
        loop {
            if one.next_event().await.is_none() {
                break;
            }
        }
    });
    until("handing over", async || two.assignment() == revoked).await;
    let at = &revoked[0];
    let committed = two.committed(at.topic.as_str(), at.partition).await.unwrap().unwrap();
    assert_eq!(committed.offset, Offset::new(10));
    asking.abort();
}
