//! Whether a run is right.

/// Why a run is wrong.
pub(crate) type Verdict<T = ()> = Result<T, String>;

/// Fails the run with a text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}
pub(crate) use ensure;
