//! What the broker does for its logs by itself: room made ready, segments removed.

use std::path::PathBuf;

use crate::metrics::Shown;
use crate::support::{Fixture, create, numbered, publish, until};

impl Fixture {
    /// The files of this name in the folders of partitions.
    fn files_named(&self, name: &str) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.data()).unwrap().map(|entry| entry.unwrap().path());
        folders.map(|folder| folder.join(name)).filter(|file| file.exists()).collect()
    }
}

#[tokio::test]
async fn the_next_segments_file_is_ready_before_it_is_needed() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    let settings = [("segment.bytes", "65536"), ("max.message.bytes", "8192")];
    create(&client, "busy", 1, &settings).await;
    let producer = client.producer().batch_bytes(4_000).build().await.unwrap();
    publish(&producer, "busy", 0, &numbered("a", 1)).await;
    let next = "next-segment.tmp";
    until("no file was made ready", || !fixture.files_named(next).is_empty()).await;
    // A quiet partition has none; a stop leaves none.
    assert_eq!(fixture.files_named(next).len(), 1);
    let large: Vec<String> = numbered(&"x".repeat(1_000), 200);
    publish(&producer, "busy", 0, &large).await;
    let directory = fixture.data().display().to_string();
    let made = format!("thalweg_made_in_append_total{{directory=\"{directory}\"}}");
    assert!(Shown::now(&fixture).await.get(&made) >= 1.0, "the first write reserves its blocks");
    drop((producer, client));
    assert!(fixture.stop());
    assert!(fixture.files_named(next).is_empty());
}

#[tokio::test]
async fn segments_that_were_removed_are_counted() {
    let fixture = Fixture::start();
    let client = fixture.client();
    let settings = [("segment.bytes", "16384"), ("max.message.bytes", "8192")];
    create(&client, "short", 1, &settings).await;
    let producer = client.producer().batch_bytes(4_000).build().await.unwrap();
    publish(&producer, "short", 0, &numbered(&"x".repeat(1_000), 100)).await;
    let logs = || {
        let folders = std::fs::read_dir(fixture.data()).unwrap();
        let files = folders.filter_map(|folder| std::fs::read_dir(folder.unwrap().path()).ok());
        let names = files.flatten().map(|file| file.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|it| it == "log")).count()
    };
    let before = logs();
    assert!(before > 3, "vacuous: {before} segments");
    let end = thalweg_client::Offset::new(100);
    client.admin().delete_records("short", 0, end).await.unwrap();
    let removed = before - logs();
    assert!(removed > 2);
    let directory = fixture.data().display().to_string();
    let series = format!("thalweg_removed_segments_total{{directory=\"{directory}\"}}");
    let shown = Shown::now(&fixture).await.get(&series);
    assert!((shown - f64::from(u32::try_from(removed).unwrap())).abs() < 1e-9, "{shown}");
}
