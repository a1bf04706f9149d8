//! What a broker shows of its groups: no longer than they are there.

use thalweg_broker::base::Millis;
use thalweg_client::{CommitOffset, Offset};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::members::{GROUP, quick, until};
use crate::support::{Fixture, create, numbered, publish, within};

/// The series of the group, as a scrape finds them.
async fn series(broker: &Fixture) -> Vec<String> {
    let address = broker.broker().http_address().unwrap();
    let scrape = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (text, label) = (within(scrape).await, format!("group=\"{GROUP}\""));
    text.lines().filter(|line| line.contains(&label)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_series_of_a_group_end_with_its_topics_and_with_itself() {
    let broker = Fixture::start_with(|config| {
        quick(&mut config.groups);
        config.groups.lag_interval_ms = Millis::new(20);
    });
    let client = broker.client();
    let admin = client.admin();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "events", 0, &numbered("v", 5)).await;
    let offset = CommitOffset::new("events", 0, Offset::new(2));
    admin.commit_group_offsets(GROUP, [offset]).await.unwrap();
    let lag = "thalweg_group_lag_records{group=\"g\",topic=\"events\",partition=\"0\"} 3";
    until("the lag is shown", async || series(&broker).await.iter().any(|line| line == lag)).await;

    admin.delete_topic("events").await.unwrap();
    let is_lag = |line: &String| line.starts_with("thalweg_group_lag");
    until("the lag ends", async || !series(&broker).await.iter().any(is_lag)).await;
    assert!(!series(&broker).await.is_empty(), "the group is still there");

    admin.delete_group(GROUP).await.unwrap();
    until("the group ends", async || series(&broker).await.is_empty()).await;
}
