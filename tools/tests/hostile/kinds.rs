//! The kinds of hostile bytes, and what must become of them.

use std::fmt;

/// What a frame or a first piece of a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    // before the handshake
    Garbage,
    ForeignProtocol,
    GiantHandshake,
    HalfHandshake,
    NoHandshake,
    // after it
    UnknownRequest,
    UnknownVersion,
    CountBeyondFrame,
    ForeignBody,
    WrongBody,
    MutatedFrame,
    SecondHandshake,
    MutatedBatch,
    Bomb,
    GiantFrame,
    HalfFrame,
    EmptyFrame,
    GarbageFrame,
}

impl Kind {
    pub const BEFORE_HANDSHAKE: [Self; 5] = [
        Self::Garbage,
        Self::ForeignProtocol,
        Self::GiantHandshake,
        Self::HalfHandshake,
        Self::NoHandshake,
    ];

    /// Each as often as it stands here; what ends a connection is rarer, or nothing else would be tried.
    pub const AFTER_HANDSHAKE: [Self; 32] = [
        Self::UnknownRequest,
        Self::UnknownRequest,
        Self::UnknownVersion,
        Self::UnknownVersion,
        Self::CountBeyondFrame,
        Self::CountBeyondFrame,
        Self::CountBeyondFrame,
        Self::CountBeyondFrame,
        Self::ForeignBody,
        Self::ForeignBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::WrongBody,
        Self::ForeignBody,
        Self::ForeignBody,
        Self::SecondHandshake,
        Self::SecondHandshake,
        Self::MutatedBatch,
        Self::MutatedBatch,
        Self::MutatedBatch,
        Self::MutatedBatch,
        Self::MutatedBatch,
        Self::MutatedBatch,
        Self::UnknownRequest,
        Self::UnknownVersion,
    ];

    /// What comes only now and then.
    pub const RARE: [Self; 8] = [
        Self::Bomb,
        Self::MutatedFrame,
        Self::MutatedFrame,
        Self::MutatedFrame,
        Self::GiantFrame,
        Self::HalfFrame,
        Self::EmptyFrame,
        Self::GarbageFrame,
    ];

    /// Whether nothing can follow it on its connection.
    pub const fn ends_connection(self) -> bool {
        matches!(self, Self::GiantFrame | Self::HalfFrame | Self::EmptyFrame | Self::GarbageFrame)
    }

    /// Whether the attacker is the one who closes: the broker waits for more.
    pub const fn is_cut_short(self) -> bool {
        matches!(self, Self::HalfHandshake | Self::HalfFrame)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Garbage => "garbage instead of a preface",
            Self::ForeignProtocol => "another protocol",
            Self::GiantHandshake => "giant frame before the handshake",
            Self::HalfHandshake => "half a handshake",
            Self::NoHandshake => "request before the handshake",
            Self::UnknownRequest => "unknown request",
            Self::UnknownVersion => "unknown version",
            Self::CountBeyondFrame => "count beyond the frame",
            Self::ForeignBody => "body of another request",
            Self::WrongBody => "right header, wrong body",
            Self::MutatedFrame => "mutated frame",
            Self::SecondHandshake => "second handshake",
            Self::MutatedBatch => "mutated batch, checksum mended",
            Self::Bomb => "decompression bomb",
            Self::GiantFrame => "giant frame",
            Self::HalfFrame => "half a frame",
            Self::EmptyFrame => "empty frame",
            Self::GarbageFrame => "garbage as a frame",
        };
        f.write_str(text)
    }
}
