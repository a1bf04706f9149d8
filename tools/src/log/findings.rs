//! What a check has found: damage, things worth knowing, and sums of partitions.

use std::path::Path;

use serde::Serialize;

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) partitions: Vec<Sum>,
    /// Records or files that are not what they were.
    pub(super) damages: Vec<Finding>,
    /// What a broker's next start mends or ignores.
    pub(super) notes: Vec<Finding>,
}

/// One thing that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) file: String,
    /// The range of bytes, where it is one.
    pub(super) bytes: Option<(u64, u64)>,
    /// The offsets that are lost with it: the first, and the one behind the last.
    pub(super) offsets: Option<(i64, i64)>,
    pub(super) what: String,
}

/// A partition in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sum {
    pub(super) folder: String,
    pub(super) segments: u64,
    pub(super) batches: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// The first offset, and the one behind the last.
    pub(super) offsets: Option<(i64, i64)>,
}

impl Finding {
    /// About a file as a whole.
    pub(super) fn of_file(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.display().to_string(), bytes: None, offsets: None, what: what.into() }
    }

    /// About bytes of a file.
    pub(super) fn of_bytes(file: &Path, from: u64, to: u64, what: impl Into<String>) -> Self {
        Self { bytes: Some((from, to)), ..Self::of_file(file, what) }
    }

    /// These offsets are concerned.
    #[must_use]
    pub(super) fn with_offsets(self, from: i64, to: i64) -> Self {
        Self { offsets: Some((from, to)), ..self }
    }

    /// As people read it.
    pub(super) fn text(&self) -> String {
        let bytes =
            self.bytes.map(|(from, to)| format!(" bytes {from} to {to}")).unwrap_or_default();
        let offsets = match self.offsets {
            Some((from, to)) if from < to => format!(" offsets {from} to {}", to - 1),
            _ => String::new(),
        };
        format!("{}:{bytes}{offsets}: {}", self.file, self.what).replacen("::", ":", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_bytes_and_offsets() {
        let file = Path::new("x.log");
        let finding = Finding::of_bytes(file, 10, 90, "zeros").with_offsets(5, 9);
        assert_eq!(finding.text(), "x.log: bytes 10 to 90 offsets 5 to 8: zeros");
        assert_eq!(Finding::of_file(file, "gone").text(), "x.log: gone");
    }
}
