//! Members and coordinators that die, pause, are fenced and come back.

use std::time::Duration;

use thalweg_client::{CommitError, ErrorCode, GroupEvent, Offset};

use crate::members::{GROUP, Member, broker, quick, shared, subscribed, tally, until};
use crate::support::{create, numbered, publish, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_dies_is_replaced_and_what_it_had_not_committed_is_read_again() {
    let mut fixture = broker();
    let client = fixture.client();
    create(&client, "events", 2, &[]).await;
    let producer = client.producer().build().await.unwrap();
    // Its runtime ends without a word: nothing is committed, nobody leaves.
    let address = fixture.address();
    let dead = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let id = runtime.block_on(async {
            let client =
                thalweg_client::Client::builder().bootstrap(address).client_name("dies").build();
            let builder = subscribed(&client.unwrap(), &["events"]);
            let builder = builder.session_timeout(Duration::from_secs(1));
            let consumer = builder.build().await.unwrap();
            until("being assigned", async || consumer.assignment().len() == 2).await;
            let id = consumer.member_id().unwrap();
            std::mem::forget(consumer);
            id
        });
        runtime.shutdown_background();
        id
    });
    let dead = tokio::task::spawn_blocking(|| dead.join().unwrap()).await.unwrap();
    for partition in 0..2 {
        publish(&producer, "events", partition, &numbered(&format!("{partition}-"), 10)).await;
    }
    let one = Member::start(subscribed(&client, &["events"])).await;
    shared(&[&one], &[2]).await;
    until("reading everything", async || tally(&[&one]).len() == 20).await;
    let described = client.admin().describe_group(GROUP).await.unwrap();
    assert!(described.members.iter().all(|member| member.member != dead));
    one.close().await;
    assert!(fixture.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_that_comes_back_in_its_session_has_its_partitions_and_nobody_else_notices()
{
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 4, &[]).await;
    let other = Member::start(subscribed(&client, &["events"])).await;
    let one = Member::start(subscribed(&client, &["events"]).instance("one")).await;
    shared(&[&other, &one], &[2, 2]).await;
    let (had, events) = (one.owned(), other.seen.lock().unwrap().events.len());
    one.close().await;
    let described = client.admin().describe_group(GROUP).await.unwrap();
    assert_eq!(described.members.len(), 2, "it is only away");
    let again = Member::start(subscribed(&client, &["events"]).instance("one")).await;
    shared(&[&other, &again], &[2, 2]).await;
    assert_eq!(again.owned(), had);
    assert_eq!(other.seen.lock().unwrap().events.len(), events, "nobody else noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombies_commit_is_refused_and_it_joins_anew() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 0, &numbered("v", 5)).await;
    let mut zombie = subscribed(&client, &["events"]).manual_commit().build().await.unwrap();
    within(zombie.next()).await.unwrap().unwrap();
    let id = zombie.member_id().unwrap();
    // Somebody speaks in its name: for the coordinator it has left.
    leave_for(&broker.address(), &id).await;
    let error = within(zombie.commit()).await.unwrap_err();
    assert!(matches!(error, CommitError::NotMember { .. }), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::UnknownMember));
    assert_eq!(zombie.committed("events", 0).await.unwrap(), None);
    // A new life reads the same again.
    let record = within(zombie.next()).await.unwrap().unwrap();
    assert_eq!(record.offset, Offset::ZERO);
    assert_ne!(zombie.member_id().unwrap(), id);
    within(zombie.commit()).await.unwrap();
}

/// Says in a member's name that it leaves.
async fn leave_for(address: &str, member: &str) {
    use thalweg_protocol::MemberEpoch;
    use thalweg_protocol::frame::request_frame;
    use thalweg_protocol::native::{
        Api, GroupHeartbeatRequest, HandshakeRequest, PREFACE, Purpose, Request, RequestHeader,
        Tags,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    fn frame<R: Request>(request: &R) -> Vec<u8> {
        let api = R::API.number();
        let header = RequestHeader {
            api,
            version: 0,
            correlation: u32::from(api),
            timeout_ms: 30_000,
            tags: Tags::default(),
        };
        request_frame(&header, request).concat()
    }
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(&PREFACE).await.unwrap();
    let handshake = HandshakeRequest {
        client_name: "somebody".into(),
        client_version: String::new(),
        purpose: Purpose::Control,
        features: Vec::new(),
    };
    stream.write_all(&frame(&handshake)).await.unwrap();
    let leave = GroupHeartbeatRequest {
        group: GROUP.to_owned(),
        member: member.to_owned(),
        instance: None,
        epoch: MemberEpoch::LEAVE,
        session_timeout_ms: 0,
        drain_timeout_ms: 0,
        subscription: None,
        assignor: None,
        owned: None,
    };
    assert_eq!(GroupHeartbeatRequest::API, Api::GroupHeartbeat);
    stream.write_all(&frame(&leave)).await.unwrap();
    for _ in 0..2 {
        let length = within(stream.read_u32()).await.unwrap();
        let mut body = vec![0; usize::try_from(length).unwrap()];
        within(stream.read_exact(&mut body)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_coordinator_knows_members_and_offsets() {
    let mut broker = broker();
    let address = broker.address();
    let client = broker.client();
    create(&client, "events", 4, &[]).await;
    let producer = client.producer().build().await.unwrap();
    for partition in 0..4 {
        publish(&producer, "events", partition, &numbered(&format!("a{partition}-"), 10)).await;
    }
    let builder = || subscribed(&client, &["events"]).session_timeout(Duration::from_secs(30));
    let one = Member::start(builder()).await;
    let two = Member::start(builder()).await;
    shared(&[&one, &two], &[2, 2]).await;
    until("reading everything", async || tally(&[&one, &two]).len() == 40).await;
    let before = [one.owned(), two.owned()];
    assert!(broker.stop());
    broker.restart_with(|config| {
        quick(&mut config.groups);
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        config.listeners = vec![thalweg_broker::config::Listener::at(
            thalweg_broker::config::Address::new("127.0.0.1", port),
        )];
    });
    for partition in 0..4 {
        publish(&producer, "events", partition, &numbered(&format!("b{partition}-"), 10)).await;
    }
    until("reading on", async || tally(&[&one, &two]).len() == 80).await;
    assert_eq!([one.owned(), two.owned()], before, "nobody lost or moved anything");
    let described = client.admin().describe_group(GROUP).await.unwrap();
    assert_eq!(described.members.len(), 2);
    assert!(described.members.iter().any(|member| member.member == one.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_work_on_a_record_does_not_end_the_membership_until_the_guard_says_so() {
    let broker = broker();
    let client = broker.client();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 0, &numbered("v", 3)).await;
    let events = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tells = events.clone();
    let mut consumer = subscribed(&client, &["events"])
        .session_timeout(Duration::from_secs(3))
        .max_poll_interval(Duration::from_secs(7))
        .on_group_event(move |event| tells.lock().unwrap().push(event.clone()))
        .build()
        .await
        .unwrap();
    within(consumer.next()).await.unwrap().unwrap();
    let id = consumer.member_id().unwrap();
    // Nobody asks for a record: first for longer than a session, then for longer than the guard allows.
    until("the guard", async || {
        let overdue = |event: &GroupEvent| matches!(event, GroupEvent::PollOverdue { .. });
        let lost = |event: &GroupEvent| matches!(event, GroupEvent::Lost { .. });
        let events = events.lock().unwrap();
        let is_over = events.iter().any(overdue);
        assert!(is_over || !events.iter().any(lost), "{events:?}");
        is_over
    })
    .await;
    until("leaving", async || {
        client.admin().describe_group(GROUP).await.unwrap().members.is_empty()
    })
    .await;
    let record = within(consumer.next()).await.unwrap().unwrap();
    assert_ne!(consumer.member_id().unwrap(), id, "another life");
    assert_eq!(record.offset, Offset::ZERO, "what was in hand comes again");
}
