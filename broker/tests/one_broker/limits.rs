//! Guards: places, deadlines, slow readers, health.

use thalweg_broker::base::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bad_input::Raw;
use crate::support::{Fixture, create, within};

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let fixture = Fixture::start_with(|config| config.limits.connections_per_address_max = 2);
    let first = Raw::open(&fixture).await;
    let _second = Raw::open(&fixture).await;
    Raw::connect(&fixture).await.closed().await;
    drop(first);
    // The place is free again as soon as the broker has seen the end of the first.
    within(async {
        loop {
            let mut raw = Raw::connect(&fixture).await;
            // Until then the broker closes it, before or between any two of these.
            let greeted = raw.stream.write_all(&thalweg_protocol::native::PREFACE).await;
            let handshake = crate::bad_input::request(1, &crate::bad_input::handshake());
            if greeted.is_ok() && raw.try_send(&handshake).await.is_ok() {
                let answer = raw.answer::<thalweg_protocol::native::HandshakeResponse>().await;
                if answer.is_some() {
                    return;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_closed_in_time() {
    let fixture = Fixture::start_with(|config| config.limits.handshake_ms_max = Millis::new(50));
    let mut silent = Raw::connect(&fixture).await;
    silent.closed().await;
    let mut slow = Raw::connect(&fixture).await;
    slow.stream.write_all(b"THL").await.unwrap();
    slow.closed().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let fixture =
        Fixture::start_with(|config| config.limits.connection_idle_ms_max = Millis::new(50));
    Raw::open(&fixture).await.closed().await;
}

/// What the broker answers over HTTP: head and body.
pub async fn http(fixture: &Fixture, path: &str) -> String {
    let address = fixture.broker().http_address().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_directory_without_room_makes_the_broker_not_ready_with_the_reason() {
    let fixture = Fixture::start_with(|config| {
        config.storage.free_bytes_min = thalweg_broker::base::ByteSize::gib(1024 * 1024);
    });
    let answer = http(&fixture, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("read-only"), "{answer}");
}

#[tokio::test]
async fn a_large_frame_that_stalls_gives_its_memory_back() {
    let fixture = Fixture::start_with(|config| {
        config.limits.request_memory_bytes_max = thalweg_broker::base::ByteSize::mib(1);
        config.limits.slow_reader_ms_max = Millis::new(300);
    });
    let client = fixture.client();
    create(&client, "shared", 1, &[]).await;
    let mut staller = Raw::open(&fixture).await;
    staller.stream.write_all(&(1_u32 << 20).to_be_bytes()).await.unwrap();
    staller.stream.write_all(&[0; 10]).await.unwrap();
    // A request of more than the ungranted size needs memory that the staller holds.
    let producer = client.producer().build().await.unwrap();
    let large = "x".repeat(300_000);
    let receipt = producer.send(thalweg_client::Record::to("shared").value(&large)).await.unwrap();
    within(receipt).await.unwrap();
    staller.closed().await;
}
