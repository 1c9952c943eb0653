//! The file of thresholds: instructions for one item by case, and how far a count may rise above them.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// What the file says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Thresholds {
    /// By how many percent a count may differ.
    pub(crate) tolerance: f64,
    /// The compiler that made what was counted.
    pub(crate) compiler: String,
    /// Instructions for one item.
    pub(crate) cases: BTreeMap<String, u64>,
}

const HEAD: &str = "\
# Instructions for one item of the hot path, as bench/instructions counts them; see bench/README.md.
# Renewed by UPDATE=1 scripts/instructions. A count that rises more than the tolerance fails.
";

impl Thresholds {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Thresholds> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Thresholds::parse(&text)
    }

    fn parse(text: &str) -> Result<Thresholds> {
        let mut thresholds = Thresholds::default();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
        for line in lines {
            let (name, value) = line.split_once('=').with_context(|| format!("{line:?} is no NAME = VALUE"))?;
            let value = value.trim();
            match name.trim() {
                "tolerance_percent" => thresholds.tolerance = value.parse()?,
                "compiler" => thresholds.compiler = value.trim_matches('"').to_owned(),
                name => {
                    thresholds.cases.insert(name.to_owned(), value.replace('_', "").parse()?);
                }
            }
        }
        Ok(thresholds)
    }

    /// The file's text; the cases with what they are.
    pub(crate) fn text(&self, item: &dyn Fn(&str) -> &'static str) -> String {
        let mut text = format!(
            "{HEAD}\ntolerance_percent = {}\ncompiler = \"{}\"\n\n[instructions]\n",
            self.tolerance, self.compiler
        );
        for (name, count) in &self.cases {
            let _ = writeln!(text, "# {}\n{name} = {}", item(name), grouped(*count));
        }
        text
    }
}

/// With an underscore before each three digits.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let cases = [("list".to_owned(), 123_456), ("watch".to_owned(), 12)].into();
        let thresholds = Thresholds { tolerance: 5.0, compiler: "rustc 1.95.0".to_owned(), cases };
        let text = thresholds.text(&|_| "something");
        assert!(text.contains("\nlist = 123_456\n"), "{text}");
        assert_eq!(Thresholds::parse(&text).unwrap(), thresholds);
    }
}
