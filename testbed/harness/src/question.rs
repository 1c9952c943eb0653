//! What a case asks, of a cluster and of a capture of it.

use crate::{Case, Reckon};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;

/// A command line of `reckon` about one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The words, such as `why deployment/web`.
    words: Vec<String>,
    namespace: String,
}

impl Question {
    /// The question of a case that ran in that namespace.
    pub(crate) fn of(case: &Case, namespace: &str) -> Result<Question> {
        Ok(Question { words: words(case.ask())?, namespace: namespace.to_owned() })
    }

    /// Everything that is wrong in that namespace.
    pub(crate) fn problems(namespace: &str) -> Question {
        Question { words: vec!["problems".to_owned()], namespace: namespace.to_owned() }
    }

    /// The whole command line, without the program and the output format.
    pub(crate) fn line(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).chain(["-n", &self.namespace]).collect()
    }

    /// The cluster's answer.
    pub(crate) fn live(&self, kubeconfig: &Path) -> Result<Value> {
        Reckon::json(kubeconfig, &self.line())
    }

    /// Captures what the question needs: `why X` is captured as X, and `problems` as the namespace.
    pub(crate) fn capture(&self, kubeconfig: &Path, directory: &Path) -> Result<()> {
        let line = self.line();
        let mut capture = vec!["capture", "-o", text(directory)?];
        capture.extend(line.into_iter().filter(|word| !matches!(*word, "why" | "problems")));
        let captured = Reckon::run(kubeconfig, &capture)?;
        if captured.code != Some(0) {
            bail!("reckon {} exited with {:?}: {}", capture.join(" "), captured.code, captured.stderr.trim());
        }
        Ok(())
    }

    /// A capture's answer at a moment.
    pub(crate) fn captured(&self, directory: &Path, at: jiff::Timestamp) -> Result<Value> {
        let at = at.to_string();
        // No cluster is to be had: a kubeconfig that does not exist would be missed.
        Reckon::json(
            &directory.join("no-kubeconfig"),
            &[&self.line()[..], &["-f", text(directory)?, "--at", &at]].concat(),
        )
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path of letters")
}

/// A command line in words; single quotes keep spaces.
pub(crate) fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    if line.matches('\'').count() % 2 == 1 {
        return Err(anyhow::anyhow!("a quote is not closed")).context(line.to_owned());
    }
    Ok(words)
}
