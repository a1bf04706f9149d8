//! One run from its broker to its report.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::machine::{self, Control, Machine};
use super::options::WorkloadArgs;
use super::outcome::Outcome;
use super::payload::Payload;
use super::plan::{Plan, Workload};
use super::process::own_cpu;
use super::progress::Progress;
use super::report::{Measured, Report};
use super::target::{Target, Used};
use super::write::Writers;
use crate::failure::Failure;

/// Carries out a plan against a broker, and then measures what the machine can do.
pub(super) async fn run(
    args: &WorkloadArgs,
    mut plan: Plan,
    progress: &Progress,
) -> Result<Report, Failure> {
    let payload = Payload::new(&plan.payload, plan.record_bytes)
        .map_err(|error| Failure::failed(format!("--payload: {error}")))?;
    let folder = folder(args.data_dir.as_deref())?;
    if plan.control {
        progress.phase("warming the memory");
        machine::warm_memory(folder.path()).await?;
    }
    let mut target = Target::open(args, folder.path()).await?;
    let phase = match measure(&mut target, &mut plan, &payload, progress).await {
        Ok(phase) => phase,
        Err(failure) => return Err(target.explain(failure)),
    };
    target.end()?;
    let machine = Machine::describe(folder.path(), plan.durability);
    let measured = Measured {
        plan: &plan,
        outcome: phase.outcome,
        latency_of: phase.latency_of,
        broker: phase.broker,
        client_cpu_seconds: phase.client_cpu_seconds,
        machine,
    };
    let control = if plan.control {
        progress.phase("measuring the machine");
        let folder = fresh(&folder)?;
        Control::measure(&measured, &payload, &folder).await
    } else {
        Err("the control was left out by --no-control".to_owned())
    };
    progress.finish();
    let report = measured.report(control);
    let closed = folder.close();
    closed
        .map_err(|error| Failure::failed(format!("cannot remove a temporary folder: {error}")))?;
    Ok(report)
}

/// What was measured between two readings of the CPU times.
struct Phase {
    outcome: Outcome,
    latency_of: &'static str,
    broker: Used,
    client_cpu_seconds: Option<f64>,
}

async fn measure(
    target: &mut Target,
    plan: &mut Plan,
    payload: &Payload,
    progress: &Progress,
) -> Result<Phase, Failure> {
    target.make_topic(plan).await?;
    let phase = match plan.workload {
        Workload::Produce => produce(target, plan, payload, progress).await,
        _ => Err(Failure::usage("this workload is not there yet")),
    }?;
    target.remove_topic(plan).await?;
    Ok(phase)
}

async fn produce(
    target: &Target,
    plan: &Plan,
    payload: &Payload,
    progress: &Progress,
) -> Result<Phase, Failure> {
    let mut writers = Writers::new(plan, target, payload).await?;
    let warming = progress.count("warming up", writers.sent());
    writers.run(plan.warm_up).await?;
    drop(warming);
    let before = (target.read().await?, own_cpu());
    let counting = progress.count("writing", writers.sent());
    let outcome = writers.run(plan.limit).await?;
    drop(counting);
    let after = (target.read().await?, own_cpu());
    Ok(Phase {
        outcome,
        latency_of: "from sending a record to its acknowledgement",
        broker: after.0.since(before.0),
        client_cpu_seconds: after
            .1
            .zip(before.1)
            .map(|(now, then)| now.saturating_sub(then).as_secs_f64()),
    })
}

/// A temporary folder: on the disk of `place`, or else on that of the folder that this runs in.
pub(super) fn folder(place: Option<&Path>) -> Result<TempDir, Failure> {
    let place = place.map_or_else(usual_place, Path::to_owned);
    let made = tempfile::Builder::new().prefix("thalweg-bench-").tempdir_in(&place);
    made.map_err(|error| {
        Failure::failed(format!("cannot make a folder in {}: {error}", place.display()))
    })
}

/// The folder for temporary files, unless that is another disk, which may be no disk at all.
fn usual_place() -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let here = PathBuf::from(".");
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    let temporary = std::env::temp_dir();
    if device(&temporary) == device(&here) { temporary } else { here }
}

/// Takes the broker's data away, whose pages would still be written while the control runs, and makes a folder for
/// the control.
fn fresh(folder: &TempDir) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::failed(format!("cannot empty {}: {error}", path.display()))
    };
    let data = folder.path().join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data).map_err(|error| failed(&data, error))?;
    }
    let control = folder.path().join("control");
    std::fs::create_dir(&control).map_err(|error| failed(&control, error))?;
    Ok(control)
}
