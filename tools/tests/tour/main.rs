//! Proves that the five-minute tour of the README works line by line: every `$ ` line of every `console` block that
//! is marked `<!-- tour -->` is run by one shell, in order, in an empty folder, on free ports; each must succeed and
//! print something.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::{free_ports, thalweg};

/// The lines of the marked blocks that begin with `$ `.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "<!-- tour -->" {
            continue;
        }
        assert_eq!(lines.next(), Some("```console"), "a tour's mark stands before a console block");
        let block = lines.by_ref().take_while(|line| *line != "```");
        commands.extend(block.filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)));
    }
    commands
}

/// One shell script that stops at the first failure and separates the outputs.
fn script(commands: &[String], http: u16) -> String {
    let mut script = "set -e -o pipefail\n".to_owned();
    for (number, command) in commands.iter().enumerate() {
        let command = command.replace("127.0.0.1:9644", &format!("127.0.0.1:{http}"));
        // A broker's own log would end up in the outputs of later commands.
        let command = match command.strip_suffix(" &") {
            Some(begun) => format!("{begun} > broker.log 2>&1 &"),
            None => command,
        };
        script.extend(["echo '### ", &number.to_string(), "'\n", &command, "\n"]);
    }
    script + "echo '### end'\n"
}

/// Kills what the script has left running, should it fail.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody is left in it after a good run.
        _ = kill_process_group(self.0, Signal::KILL);
    }
}

#[test]
fn every_line_of_the_tour_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let commands = commands(&readme);
    assert!(commands.len() >= 10, "the README has lost its tour: {commands:?}");

    let folder = tempfile::tempdir().unwrap();
    symlink(root.join("tools"), folder.path().join("tools")).unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(thalweg().get_program(), bin.join("thalweg")).unwrap();
    let [listen, http] = free_ports();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script(&commands, http)])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("THALWEG_LISTENERS", format!("127.0.0.1:{listen}"))
        .env("THALWEG_HTTP_ADDRESS", format!("127.0.0.1:{http}"))
        .env("THALWEG_STORAGE__FREE_BYTES_MIN", "1MiB")
        .env("THALWEG_BROKER", format!("127.0.0.1:{listen}"))
        .process_group(0)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::fs::File::create(folder.path().join("errors")).unwrap())
        .spawn()
        .map(|child| (Group(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()), child))
        .map(|(group, child)| (child.wait_with_output().unwrap(), group))
        .unwrap()
        .0;
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = std::fs::read_to_string(folder.path().join("errors")).unwrap();
    let log = std::fs::read_to_string(folder.path().join("broker.log")).unwrap_or_default();
    assert!(output.status.success(), "{text}\n--- errors\n{errors}\n--- broker\n{log}");
    let parts: Vec<&str> = text.split("### ").skip(1).collect();
    assert_eq!(parts.len(), commands.len() + 1, "{text}");
    for (command, part) in commands.iter().zip(parts) {
        let printed = part.lines().skip(1).any(|line| !line.trim().is_empty());
        let prints = [
            "thalweg consume",
            "thalweg group",
            "thalweg topic",
            "thalweg cluster",
            "thalweg log",
            "curl",
        ];
        let expected = prints.iter().any(|start| command.starts_with(start));
        assert!(printed || !expected, "{command} printed nothing:\n{text}\n{errors}");
    }
}

#[test]
fn a_readme_without_marks_has_no_tour() {
    assert!(commands("```console\n$ thalweg serve\n```\n").is_empty());
    assert!(commands("<!-- tour: setup -->\n```console\n$ cargo build\n```\n").is_empty());
    assert_eq!(commands("<!-- tour -->\n```console\n$ a\nout\n$ b\n```\n$ c\n"), ["a", "b"]);
}
