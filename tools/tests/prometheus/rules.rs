//! The rules and the scrape file, judged by `promtool`; and that no alert goes untried.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::queries::of_alerts;
use crate::support::run;
use crate::{program, project};

/// Has `promtool` do this in a folder.
fn promtool(folder: &Path, args: &[&str]) -> Option<(i32, String)> {
    let tool = program("promtool")?;
    let ran = run(Command::new(tool).args(args).current_dir(folder), b"");
    Some((ran.code, format!("{}{}", ran.stdout, ran.stderr)))
}

#[test]
fn the_scrape_file_and_the_rules_are_what_prometheus_reads() {
    let folder = project().join("config/prometheus");
    let Some((code, said)) = promtool(&folder, &["check", "config", "prometheus.yml"]) else {
        return;
    };
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("{} rules found", of_alerts().len())), "{said}");
}

#[test]
fn every_alert_rings_when_it_shall_and_is_silent_when_not() {
    let folder = project().join("config/prometheus");
    let tests = fs::read_to_string(folder.join("alerts.test.yml")).unwrap();
    for (alert, _) in of_alerts() {
        for kind in ["is silent", "rings"] {
            assert!(
                tests.contains(&format!("- name: {alert} {kind}\n")),
                "{alert}: not tried: {kind}"
            );
        }
    }
    let Some((code, said)) = promtool(&folder, &["test", "rules", "alerts.test.yml"]) else {
        return;
    };
    assert_eq!(code, 0, "{said}");
}

/// The judge must see what is wrong, or its silence says nothing.
#[test]
fn an_alert_that_rings_too_late_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["alerts.yml", "alerts.test.yml"] {
        let text = fs::read_to_string(project().join("config/prometheus").join(file)).unwrap();
        let text = text.replace("thalweg_task_panics_total > 0", "thalweg_task_panics_total > 1");
        fs::write(folder.path().join(file), text).unwrap();
    }
    let Some((code, said)) = promtool(folder.path(), &["test", "rules", "alerts.test.yml"]) else {
        return;
    };
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("ThalwegTaskPanicked rings"), "{said}");
}
