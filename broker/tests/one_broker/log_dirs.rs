//! Log directories: locked, foreign, missing, unwritable.

use thalweg_broker::base::ByteSize;
use thalweg_broker::config::Address;

use crate::support::{Fixture, create, numbered, publish, until};

#[tokio::test]
async fn a_second_broker_on_the_same_folder_is_refused() {
    let fixture = Fixture::start();
    let error = fixture.try_start(|_| {}).map(drop).unwrap_err().to_string();
    assert!(error.contains("data") && error.contains("in use by another process"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_way_out() {
    let fixture = Fixture::start();
    let port = fixture.broker().addresses()[0].port();
    let error = fixture
        .try_start(|config| config.listeners[0].address = Address::new("127.0.0.1", port))
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains(&port.to_string()) && error.contains("another port"), "{error}");
}

#[tokio::test]
async fn a_foreign_folder_is_refused() {
    let mut fixture = Fixture::start();
    assert!(fixture.stop());
    let other_node = fixture.try_start(|config| config.node_id = thalweg_client::BrokerId::new(7));
    let error = other_node.map(drop).unwrap_err().to_string();
    assert!(error.contains('7'), "{error}");
    let stranger = tempfile::tempdir().unwrap();
    std::fs::write(stranger.path().join("holiday.jpg"), b"not a log").unwrap();
    let error = fixture
        .try_start(|config| config.data_dirs = vec![stranger.path().to_owned()])
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains("holiday.jpg"), "{error}");
    assert_eq!(std::fs::read(stranger.path().join("holiday.jpg")).unwrap(), b"not a log");
}

#[tokio::test]
async fn a_missing_partition_folder_is_offline_and_never_made_again() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "two", 2, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "two", 0, &numbered("v", 10)).await;
    drop((producer, client));
    assert!(fixture.stop());
    let folder = std::fs::read_dir(fixture.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-0"))
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    fixture.restart_with(|_| {});
    assert_eq!(fixture.broker().offline_partitions().len(), 1);
    let described = fixture.client().admin().describe_topic("two").await.unwrap();
    let error = described.partitions[0].error.as_ref().unwrap();
    assert!(error.message.contains("missing"), "{error}");
    assert!(described.partitions[1].error.is_none());
    assert!(!folder.exists(), "an unmounted disk must not become an empty partition");
}

#[tokio::test]
async fn partitions_spread_over_log_directories() {
    let fixture = Fixture::start_with(|config| {
        let first = config.data_dirs[0].clone();
        config.data_dirs.push(first.with_file_name("second"));
    });
    create(&fixture.client(), "spread", 10, &[]).await;
    let count = |folder: &str| {
        let entries = std::fs::read_dir(fixture.folder.path().join(folder)).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.unwrap().file_name().to_string_lossy().into_owned()
        };
        // A partition's folder is a UUID, a hyphen and a number.
        entries.map(name).filter(|name| name.len() > 36 && name.matches('-').count() == 5).count()
    };
    assert_eq!((count("data"), count("second")), (5, 5));
}

#[tokio::test]
async fn a_full_disk_refuses_writes_early_and_reads_go_on() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "kept", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "kept", 0, &numbered("v", 10)).await;
    drop((producer, client));
    assert!(fixture.stop());
    // A floor above what any disk has: the directory is read-only from the start.
    fixture.restart_with(|config| config.storage.free_bytes_min = ByteSize::gib(1024 * 1024));
    let client = fixture.client();
    assert_eq!(crate::support::read(&client, "kept", 10).await.len(), 10);
    // It is tried again until its time is over; where the machine stands still for so long, the broker has said nothing.
    let refused = async {
        loop {
            let patience = std::time::Duration::from_millis(500);
            let producer = client.producer().delivery_timeout(patience).build().await.unwrap();
            let record = thalweg_client::Record::to("kept").value("x");
            let receipt = producer.send(record).await.unwrap();
            if receipt.await.unwrap_err().to_string().contains("storage full") {
                return;
            }
        }
    };
    crate::support::within(refused).await;
}

#[tokio::test]
async fn the_folder_of_a_topic_that_was_deleted_goes_at_the_next_start() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "gone", 1, &[]).await;
    let folder = partition_folder(&fixture);
    let copy = fixture.folder.path().join("copy");
    copy_folder(&folder, &copy);
    client.admin().delete_topic("gone").await.unwrap();
    // The topic is gone with the answer, its folder soon after; a stop in between leaves it to the next start.
    until("the folder is still there", || !folder.exists()).await;
    drop(client);
    assert!(fixture.stop());
    // As if the process had died between the metadata's change and the folder's.
    copy_folder(&copy, &folder);
    fixture.restart_with(|_| {});
    assert!(!folder.exists(), "the folder of a deleted topic was kept");
}

#[tokio::test]
async fn a_folder_that_lost_its_data_files_is_offline_and_not_empty() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "emptied", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "emptied", 0, &numbered("v", 10)).await;
    drop((producer, client));
    let folder = partition_folder(&fixture);
    assert!(fixture.stop());
    std::fs::remove_file(folder.join("00000000000000000000.log")).unwrap();
    fixture.restart_with(|_| {});
    let offline = fixture.broker().offline_partitions();
    assert_eq!(offline.len(), 1);
    assert!(offline[0].1.contains("no data file is left"), "{}", offline[0].1);
}

fn partition_folder(fixture: &Fixture) -> std::path::PathBuf {
    let entries = std::fs::read_dir(fixture.data()).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.to_string_lossy().ends_with("-0")).unwrap()
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
