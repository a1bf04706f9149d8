//! Batches that inflate to much: checked apart from the connections, one at a time, and in their place all the same.

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use thalweg_protocol::batch::{BatchBuilder, Compression};
use thalweg_protocol::native::{Acks, ProduceResponse};
use thalweg_protocol::{ErrorCode, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicId};

use crate::bad_input::{Raw, good_batch, produce, request};
use crate::support::{Fixture, create, within};

/// One record of so many bytes, nearly all of them zeros: some hundred of them become one.
fn zeros(bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::Gzip, 1 << 30);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut value = vec![0; bytes];
    value.iter_mut().step_by(1_024).for_each(|byte| *byte = rng.u8(..));
    builder.try_append(TimestampMs::new(1), None, Some(&value), &[]).unwrap();
    builder.build(ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE)
}

async fn topic(fixture: &Fixture, name: &str) -> TopicId {
    let client = fixture.client();
    create(&client, name, 1, &[]).await;
    client.admin().describe_topic(name).await.unwrap().id
}

#[tokio::test]
async fn a_large_batch_keeps_its_place_before_what_came_behind_it() {
    let fixture = Fixture::start();
    let topic = topic(&fixture, "large").await;
    let mut raw = Raw::open(&fixture).await;
    for round in 0..3 {
        raw.send(&request(1, &produce(topic, Acks::All, zeros(20 << 20)))).await;
        raw.send(&request(2, &produce(topic, Acks::All, good_batch()))).await;
        let mut offsets = [0; 2];
        for _ in 0..2 {
            let (header, answer) = raw.answer::<ProduceResponse>().await.unwrap();
            let partition = answer.unwrap().topics.remove(0).partitions.remove(0);
            assert_eq!(partition.error, None);
            offsets[usize::try_from(header.correlation).unwrap() - 1] = partition.base_offset.get();
        }
        assert_eq!(offsets, [round * 3, round * 3 + 1]);
    }
}

#[tokio::test]
async fn a_large_batch_without_an_answer_is_stored_and_a_bad_one_closes() {
    let fixture = Fixture::start();
    let topic = topic(&fixture, "silent").await;
    let mut raw = Raw::open(&fixture).await;
    raw.send(&request(1, &produce(topic, Acks::None, zeros(20 << 20)))).await;
    raw.send(&request(2, &produce(topic, Acks::All, good_batch()))).await;
    let (_, answer) = raw.answer::<ProduceResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics[0].partitions[0].base_offset.get(), 1);
    // More than a batch may inflate to.
    raw.send(&request(3, &produce(topic, Acks::None, zeros(40 << 20)))).await;
    raw.closed().await;
}

#[tokio::test]
async fn a_bomb_is_told_what_it_may_inflate_to() {
    let fixture = Fixture::start();
    let topic = topic(&fixture, "bombed").await;
    let mut raw = Raw::open(&fixture).await;
    raw.send(&request(1, &produce(topic, Acks::All, zeros(40 << 20)))).await;
    let (_, answer) = raw.answer::<ProduceResponse>().await.unwrap();
    let error = answer.unwrap().topics[0].partitions[0].error.clone().unwrap();
    assert_eq!(error.code, ErrorCode::BatchTooLarge, "{error}");
    assert!(error.message.contains("33554432"), "{error}");
}

/// Nobody waits without bound: with as many waiting as may, the next one hears so at once, and small batches go on.
#[tokio::test]
async fn too_many_large_batches_at_once_are_refused() {
    let fixture = Fixture::start();
    let topic = topic(&fixture, "flooded").await;
    let bomb = zeros(30 << 20);
    let mut attackers = Vec::new();
    for _ in 0..320 {
        attackers.push(Raw::open(&fixture).await);
    }
    // All at once: opened one by one they would leave the thread time to work some off.
    for raw in &mut attackers {
        raw.send(&request(1, &produce(topic, Acks::All, bomb.clone()))).await;
    }
    let mut small = Raw::open(&fixture).await;
    small.send(&request(2, &produce(topic, Acks::All, good_batch()))).await;
    let (_, answer) = small.answer::<ProduceResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics[0].partitions[0].error, None);
    // Any of them: which one came last to the broker is for its threads to say.
    let answers = attackers.iter_mut().map(Raw::answer::<ProduceResponse>);
    let mut answers: FuturesUnordered<_> = answers.collect();
    let refused = async {
        loop {
            let (_, answer) = answers.next().await.flatten().expect("nobody was refused");
            if let Some(error) = answer.unwrap().topics[0].partitions[0].error.clone() {
                return error;
            }
        }
    };
    let error = within(refused).await;
    assert_eq!(error.code, ErrorCode::Overloaded, "{error}");
    assert!(error.message.contains("256 batches"), "{error}");
}
