//! Patterns of topic names, each compiled once and kept as long as a member has it.
//!
//! They come from strangers: the engine takes time linear in the text, what a pattern may take when compiled is bounded,
//! and nothing is compiled again because other members or topics come and go.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_024;

/// What a compiled pattern may take, in bytes.
const COMPILED_BYTES_MAX: usize = 256 * 1_024;

/// So many patterns that nobody has any more are forgotten at the latest with the next ones.
const SWEEP_MIN: usize = 128;

/// A pattern, compiled.
#[derive(Debug)]
pub(super) struct Pattern {
    /// None matches nothing.
    regex: Option<Regex>,
}

impl Pattern {
    /// What stands for a pattern that an earlier release has taken and this one does not.
    pub(super) const NOTHING: Self = Self { regex: None };

    /// The whole name has to match.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

/// The patterns that members have.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    kept: HashMap<String, Weak<Pattern>>,
    sweep_at: usize,
    /// How often one was compiled.
    compiled: u64,
}

impl Patterns {
    /// The pattern, compiled unless a member has it; why it is refused, in words.
    pub(super) fn compiled(&mut self, text: &str) -> Result<Arc<Pattern>, String> {
        if let Some(pattern) = self.kept.get(text).and_then(Weak::upgrade) {
            return Ok(pattern);
        }
        if text.len() > PATTERN_BYTES_MAX {
            let bytes = text.len();
            return Err(format!("it has {bytes} bytes, at most {PATTERN_BYTES_MAX} are taken"));
        }
        self.compiled += 1;
        let regex = compile(text).map_err(|error| error.to_string())?;
        let pattern = Arc::new(Pattern { regex: Some(regex) });
        if self.kept.len() >= self.sweep_at {
            self.kept.retain(|_, pattern| pattern.strong_count() > 0);
            self.sweep_at = 2 * self.kept.len() + SWEEP_MIN;
        }
        self.kept.insert(text.to_owned(), Arc::downgrade(&pattern));
        Ok(pattern)
    }

    /// How often a pattern was compiled.
    pub(super) const fn compilations(&self) -> u64 {
        self.compiled
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).nest_limit(64);
        builder.build()
    };
    // By itself first, so that no half of it hides in what is put around it.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_do_not_compile_or_explode_are_refused() {
        let mut patterns = Patterns::default();
        for good in ["logs-.*", r"\w+\.(eu|us)\.events", "(?i)ORDERS.*", "[^.]+", r"\d{4}-\d{2}.*"]
        {
            assert!(patterns.compiled(good).is_ok(), "{good:?}");
        }
        for bad in ["(", "a{1000}{1000}", "(?P<x>a)(?P<x>b)", "x)|(y", &"a".repeat(2_000)] {
            assert!(patterns.compiled(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_means_the_whole_name() {
        let regex = compile("a|bc").unwrap();
        assert!(regex.is_match("a") && regex.is_match("bc"));
        assert!(!regex.is_match("ab") && !regex.is_match("abc"));
    }

    #[test]
    fn a_pattern_is_compiled_once_as_long_as_somebody_has_it() {
        let mut patterns = Patterns::default();
        let one = patterns.compiled("a.*").unwrap();
        let other = patterns.compiled("a.*").unwrap();
        assert!(Arc::ptr_eq(&one, &other) && patterns.compilations() == 1);
        drop((one, other));
        patterns.compiled("a.*").unwrap();
        assert_eq!(patterns.compilations(), 2);
    }

    #[test]
    fn patterns_that_nobody_has_are_forgotten() {
        let mut patterns = Patterns::default();
        for number in 0..1_000 {
            patterns.compiled(&format!("p-{number}")).unwrap();
        }
        assert!(patterns.kept.len() <= SWEEP_MIN, "{} are kept", patterns.kept.len());
    }
}
