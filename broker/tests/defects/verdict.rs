//! Runs a scenario twice: it must pass without its defect and fail with it.

use std::panic::{self, AssertUnwindSafe};
use std::process::Command;

use thalweg_storage::defects::{Defect, plant};

/// What is wrong, in words.
pub type Verdict = Result<(), String>;

/// Set for a child process that runs one scenario.
const CHILD: &str = "DEFECTS_CHILD";

/// How a child says that its scenario failed as it should.
const CAUGHT: i32 = 42;

/// Fails unless the condition holds; the scenario says why.
pub fn demand(holds: bool, wrong: impl Into<String>) -> Verdict {
    if holds { Ok(()) } else { Err(wrong.into()) }
}

/// An assertion of the code under test catches a defect as well as the scenario's own words.
fn verdict_of(scenario: fn() -> Verdict) -> Verdict {
    panic::catch_unwind(AssertUnwindSafe(scenario)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map_or("an assertion", String::as_str);
        Err(text.to_owned())
    })
}

/// For a defect that lies on the thread of the caller.
pub fn assert_caught(defect: Defect, scenario: fn() -> Verdict) {
    scenario().unwrap_or_else(|wrong| panic!("without a defect: {wrong}"));
    let _planted = plant(defect);
    let wrong = verdict_of(scenario).expect_err(defect.name());
    eprintln!("{defect}: caught: {wrong}");
}

/// For a defect that lies in the threads of a broker; `test` is the calling test's full name.
pub fn assert_caught_in_process(defect: Defect, test: &str, scenario: fn() -> Verdict) {
    if std::env::var_os(CHILD).is_some() {
        if let Err(wrong) = verdict_of(scenario) {
            eprintln!("{defect}: caught: {wrong}");
            std::process::exit(CAUGHT);
        }
        return;
    }
    scenario().unwrap_or_else(|wrong| panic!("without a defect: {wrong}"));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env("THALWEG_DEFECT", defect.name())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(CAUGHT), "{defect} was not caught:\n{said}");
    eprintln!("{}", said.lines().filter(|line| line.contains("caught:")).collect::<String>());
}
