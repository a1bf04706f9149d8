//! Request and reply over two topics: the reply carries the request's id in a header.
//!
//! `cargo run -p thalweg-client --example request_reply -- 127.0.0.1:9092`

use std::io::Write;

use thalweg_client::{Client, NewTopic, Producer, Record, StartAt};

const REQUESTS: &str = "example-requests";
const REPLIES: &str = "example-replies";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = std::env::args().nth(1).unwrap_or("127.0.0.1:9092".to_owned());
    let client = Client::builder().bootstrap(broker).client_name("request-reply").build()?;
    let admin = client.admin();
    for topic in [REQUESTS, REPLIES] {
        admin.create_topic(NewTopic::new(topic).partitions(1)).await?;
    }

    // Who answers reads from where the topic ends now, so that it sees each request once.
    let requests = client.consumer().topic(REQUESTS, StartAt::Latest).build().await?;
    let producer = client.producer().build().await?;
    let service = tokio::spawn(serve(requests, producer.clone()));

    // Who asks begins to listen before it asks.
    let mut replies = client.consumer().topic(REPLIES, StartAt::Latest).build().await?;
    let question = Record::to(REQUESTS).key("7").value("how deep is the river?");
    let asked = producer.send(question).await?.await?;
    while let Some(reply) = replies.next().await {
        let reply = reply?;
        let id = reply.headers.last("request").flatten();
        if id == Some(asked.offset.to_string().as_bytes()) {
            let value = reply.value.unwrap_or_default();
            writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(&value))?;
            break;
        }
    }
    service.abort();
    for topic in [REQUESTS, REPLIES] {
        admin.delete_topic(topic).await?;
    }
    Ok(())
}

/// Answers each request in capitals.
async fn serve(
    mut requests: thalweg_client::Consumer,
    producer: Producer,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    while let Some(request) = requests.next().await {
        let request = request?;
        let id = request.offset.to_string();
        let value = request.value.unwrap_or_default().to_ascii_uppercase();
        let reply = Record::to(REPLIES).header("request", &id).value(&value);
        producer.send(reply).await?.await?;
    }
    Ok(())
}
