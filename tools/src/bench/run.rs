//! One run from its broker to its report.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::machine::{self, Control, Machine, Pauses};
use super::options::WorkloadArgs;
use super::payload::Payload;
use super::phase::Stage;
use super::plan::Plan;
use super::progress::Progress;
use super::report::{Controls, Measured, Report};
use super::target::Target;
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
        machine::warm_memory(folder.path(), plan.bytes_expected()).await?;
    }
    let mut target = Target::open(args, folder.path()).await?;
    let stage = Stage { target: &mut target, plan: &mut plan, payload: &payload, progress };
    let phase = match stage.measure().await {
        Ok(phase) => phase,
        Err(failure) => return Err(target.explain(failure)),
    };
    target.end()?;
    let machine = Machine::describe(folder.path(), plan.durability);
    let measured = Measured { plan: &plan, phase, machine };
    let controls = if plan.control {
        progress.phase("measuring the machine");
        controls(&measured, &payload, &folder).await?
    } else {
        Controls::none("the control was left out by --no-control")
    };
    progress.finish();
    let report = measured.report(controls);
    let closed = folder.close();
    closed
        .map_err(|error| Failure::failed(format!("cannot remove a temporary folder: {error}")))?;
    Ok(report)
}

/// What the machine can do: first whether its cores go on, as soon after the run as can be; then with new memory, while the
/// run's files still hold theirs; then without them.
async fn controls(
    measured: &Measured<'_>,
    payload: &Payload,
    folder: &TempDir,
) -> Result<Controls, Failure> {
    let pauses = Pauses::after(measured.plan, measured.phase.outcome.time).await;
    let fresh = made(folder, "fresh")?;
    let fresh = Control::measure_fresh(measured, payload, &fresh).await;
    for written in ["data", "fresh"] {
        let written = folder.path().join(written);
        if written.exists() {
            std::fs::remove_dir_all(&written).map_err(|e| cannot("empty", &written, &e))?;
        }
    }
    let control = made(folder, "control")?;
    Ok(Controls { control: Control::measure(measured, payload, &control).await, fresh, pauses })
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

fn made(folder: &TempDir, name: &str) -> Result<PathBuf, Failure> {
    let made = folder.path().join(name);
    std::fs::create_dir(&made).map_err(|error| cannot("make", &made, &error))?;
    Ok(made)
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot {what} {}: {error}", path.display()))
}
