//! An ext4 file system in a file, mounted through a loop device; unmounted and removed whatever happens.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use thalweg_shutdown::cut_power;

/// Enough for a cycle, and made in an instant.
const BYTES: u64 = 192 * 1024 * 1024;

/// A mounted image.
pub struct Image {
    folder: TempDir,
    is_mounted: bool,
}

impl Image {
    /// Makes the image and mounts it; the error says what this machine does not have.
    pub fn create() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting needs root".to_owned());
        }
        let folder =
            tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let mut image = Self { folder, is_mounted: false };
        let said = |error: io::Error| format!("no image: {error}");
        std::fs::File::create(image.file()).and_then(|file| file.set_len(BYTES)).map_err(said)?;
        std::fs::create_dir(image.mount_point()).map_err(said)?;
        run("mkfs.ext4", &["-q", "-F"], &[&image.file()])?;
        image.mount()?;
        Ok(image)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Where the file system is mounted.
    pub fn mount_point(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// A place beside the file system, which no power cut reaches.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mount(&mut self) -> Result<(), String> {
        run("mount", &["-o", "loop"], &[&self.file(), &self.mount_point()])?;
        self.is_mounted = true;
        Ok(())
    }

    /// What the journal has not committed is gone, and every access fails from here on.
    pub fn cut_power(&self) -> io::Result<()> {
        cut_power(&self.mount_point())
    }

    /// Mounts again as after the cut: the page cache is dropped, the journal replayed. Nobody may use it.
    pub fn power_on(&mut self) -> Result<(), String> {
        run("umount", &[], &[&self.mount_point()])?;
        self.is_mounted = false;
        self.mount()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.is_mounted && run("umount", &[], &[&self.mount_point()]).is_err() {
            // Somebody still has a file open: it goes with the last of them.
            let lazily = run("umount", &["-l"], &[&self.mount_point()]);
            if let Err(error) = lazily {
                eprintln!("{}: still mounted: {error}", self.mount_point().display());
            }
        }
    }
}

/// Runs a program of the system; the error holds what it said.
fn run(program: &str, options: &[&str], paths: &[&Path]) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(options)
        .args(paths)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
