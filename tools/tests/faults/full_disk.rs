//! A file system that is really full: writes are refused with a typed error, reads and deletes go on, and writing
//! resumes by itself.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use thalweg_client::Client;

use crate::did_not_run;
use crate::image::Image;
use crate::support::{Broker, say, thalweg};
use crate::traffic::{
    Ledger, client, create, holds, impatient, publish, publish_many, read, runtime,
};

/// What must never be lost, and is read all the time.
const KEPT: &str = "kept";

/// What takes the room, and is deleted.
const LARGE: &str = "large";

/// A promise to whoever has made room, and twenty times of what it takes: no measure of speed.
const RESUME_MAX: Duration = Duration::from_secs(5);

fn serve(data: &Path, log: &Path) -> Broker {
    let mut command = thalweg();
    command
        .args(["serve", "--output", "json", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(["--set", "storage.free_bytes_min=4MiB", "--data-dir"])
        .arg(data);
    Broker::spawn(&mut command, log)
}

/// Writes until the file system takes nothing more; what it said then.
fn stuff(path: &Path) -> io::Error {
    let mut file = File::create(path).unwrap();
    let (mut piece, mut last) = (vec![1; 1 << 20], None);
    loop {
        match file.write_all(&piece).and_then(|()| file.sync_data()) {
            Ok(()) => {}
            Err(error) if piece.len() > 1 => {
                piece.truncate(piece.len() / 2);
                last = Some(error);
            }
            Err(error) => return last.unwrap_or(error),
        }
    }
}

/// Publishes to the large topic until the broker refuses and says why. A machine that stands still may let a record's time
/// pass before the broker has said anything.
async fn fill(client: &Client) {
    let producer = impatient(client).await;
    let value = vec![5; 500_000];
    let mut last = None;
    for _ in 0..2_000 {
        if let Err(error) = publish(&producer, LARGE, 0, &value, &mut Ledger::new()).await {
            if format!("{error:?}").contains("storage full") {
                return;
            }
            last = Some(error);
        }
    }
    panic!("vacuous: a gigabyte went into 192 MiB: {last:?}");
}

/// A record for which there is no room: refused until its producer gives up, with the reason.
async fn refused(client: &Client) {
    let mut told = Vec::new();
    for _ in 0..20 {
        let producer = impatient(client).await;
        let sent = publish(&producer, KEPT, 0, b"no room", &mut Ledger::new()).await;
        told.push(format!("{:?}", sent.unwrap_err()));
        if told.iter().any(|error| error.contains("storage full")) {
            return;
        }
    }
    panic!("nobody said that the storage is full: {told:?}");
}

/// Waits until a record is acknowledged again; how long that took.
async fn resumes(client: &Client, ledger: &mut Ledger) -> Duration {
    let began = Instant::now();
    let producer = client.producer().linger(Duration::ZERO).build().await.unwrap();
    publish(&producer, KEPT, 0, b"room again", ledger).await.unwrap();
    began.elapsed()
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_resumes_by_itself() {
    let image = match Image::create() {
        Ok(image) => image,
        Err(reason) => return did_not_run("full disk", &reason),
    };
    let log = image.beside("broker");
    let mut broker = serve(&image.mount_point().join("data"), &log);
    let (runtime, mut ledger) = (runtime(), Ledger::new());
    let client = client(&broker);
    runtime.block_on(async {
        create(&client, KEPT, 1, &[]).await;
        create(&client, LARGE, 1, &[("segment.bytes", "8388608")]).await;
        publish_many(&client, KEPT, 0, 500, 1_000, &mut ledger).await;
    });

    // First by the broker's own records, to the floor that it keeps free.
    runtime.block_on(fill(&client));
    broker.metrics_until("it is not ready", |now| now.sum("thalweg_ready", "") < 0.5);
    assert_eq!(broker.get("/readyz").0, 503);
    holds(&runtime.block_on(read(&client, KEPT, false)), &ledger);

    // Then to the last block, by somebody else, while it is asked and told to delete.
    let filler = image.mount_point().join("filler");
    let said = stuff(&filler);
    assert_eq!(said.kind(), io::ErrorKind::StorageFull, "vacuous: {said}");
    runtime.block_on(refused(&client));
    holds(&runtime.block_on(read(&client, KEPT, false)), &ledger);
    runtime.block_on(client.admin().delete_topic(LARGE)).unwrap();
    let took = runtime.block_on(resumes(&client, &mut ledger));
    assert!(took < RESUME_MAX, "writing resumed after {took:?} only");
    broker.metrics_until("it is ready again", |now| now.sum("thalweg_ready", "") > 0.5);

    std::fs::remove_file(filler).unwrap();
    let found = runtime.block_on(read(&client, KEPT, false));
    holds(&found, &ledger);
    assert!(broker.is_up());
    assert_eq!(broker.stop(), 0, "{}", broker.log());
    drop(client);
    // And over a restart.
    let broker = serve(&image.mount_point().join("data"), &log);
    let again = runtime.block_on(read(&crate::traffic::client(&broker), KEPT, false));
    holds(&again, &ledger);
    say(&format!(
        "FAULTS full disk: {said}; {} records kept and read throughout, writing resumed {} ms after the delete",
        ledger.len(),
        took.as_millis()
    ));
}
