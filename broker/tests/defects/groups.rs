//! The coordinator around its pure core: what it says while it loads, and when a commit is answered.

use std::sync::Arc;
use std::time::Duration;

use thalweg_broker::base::{Readiness, SystemClock, Tasks};
use thalweg_broker::config::BrokerConfig;
use thalweg_broker::coordinator::{Coordinator, CoordinatorOptions, FetchOffsets, Request};
use thalweg_broker::metrics::Metrics;
use thalweg_broker::partition::Table;
use thalweg_client::CommitOffset;
use thalweg_protocol::{ErrorCode, MemberEpoch, Offset};
use thalweg_storage::defects::Defect;
use thalweg_storage::fs::sim::{Crash, Survivors};
use tokio::time::timeout;

use crate::machine::{Machine, REFUSED_AFTER, TOPIC};
use crate::metadata::metadata;
use crate::verdict::{Verdict, assert_caught, assert_caught_in_process, demand};

const PATIENCE: Duration = Duration::from_secs(20);

/// The metadata says that the shards are led here, and their logs are never opened: they load for ever.
#[test]
fn while_a_shard_is_loading_nobody_hears_that_there_is_no_offset() {
    fn scenario() -> Verdict {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = Arc::new(BrokerConfig::default());
            let broker = config.node_id;
            let metadata = metadata(broker, PATIENCE).await;
            let metrics = Metrics::new(&config);
            let here = tokio::runtime::Handle::current();
            let coordinator = Coordinator::start(CoordinatorOptions {
                table: Arc::new(Table::new(broker, Vec::new())),
                config,
                metadata,
                clock: Arc::new(SystemClock::new()),
                control: here.clone(),
                data: here,
                tasks: Tasks::new(|_| {}),
                readiness: Readiness::new(),
                metrics: Arc::clone(&metrics.coordinator),
                series: Arc::clone(&metrics.groups),
            });
            let fetch = FetchOffsets {
                group: "g".to_owned(),
                member: String::new(),
                epoch: MemberEpoch::NONE,
                partitions: None,
            };
            let answer = coordinator.ask(Request::FetchOffsets(fetch), PATIENCE).await;
            let is_loading =
                answer.as_ref().is_err_and(|e| e.code() == ErrorCode::CoordinatorLoading);
            demand(is_loading, format!("a shard that is loading said {answer:?}"))
        })
    }
    assert_caught(Defect::AnswerWhileLoading, scenario);
}

#[test]
fn a_commit_that_was_answered_survives_a_power_cut_at_its_sync() {
    fn scenario() -> Verdict {
        let mut machine = Machine::start();
        machine.create_topic(1, &[]);
        machine.publish(0, "one");
        machine.publish(0, "two");
        let commit = |offset| {
            let admin = machine.client().admin();
            machine.spawn(async move {
                let offset = CommitOffset::new(TOPIC, 0, Offset::new(offset));
                admin.commit_group_offsets("g", [offset]).await.is_ok()
            })
        };
        demand(machine.run(commit(1)).unwrap(), "vacuous: nothing can be committed")?;
        machine.disk.crash_at_sync(1);
        let mut committing = commit(2);
        Machine::until("vacuous: nothing was synced", || machine.disk.is_down());
        let answer = machine.run(async { timeout(REFUSED_AFTER, &mut committing).await });
        committing.abort();
        let answered = answer.is_ok_and(Result::unwrap);
        machine.lose_power(Crash::seeded(1).leaving(Survivors::Nothing));
        machine.start_broker();
        let client = machine.client();
        let admin = client.admin();
        let found = machine.run(async { admin.group_offsets("g").await }).unwrap();
        let offset = found.first().map_or(-1, |one| one.offset.get());
        demand(offset >= 1, format!("the first commit is gone: {offset}"))?;
        demand(!answered || offset == 2, format!("2 was answered, {offset} is there"))
    }
    let test = "groups::a_commit_that_was_answered_survives_a_power_cut_at_its_sync";
    assert_caught_in_process(Defect::AckCommitEarly, test, scenario);
}
