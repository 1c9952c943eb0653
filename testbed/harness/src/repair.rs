//! The repair of what a case has broken.

use crate::expect::{is_open, open, titles};
use crate::question::Question;
use crate::run::{ask, take};
use crate::{Case, Namespace, Watch, wait};
use anyhow::{Result, bail};
use serde_json::Value;
use std::time::Duration;

/// In which the watch has to have opened what is there: its first lists, what is asked for afterwards, and of what comes
/// and goes the next time. A pod that fills its volume is evicted about once a minute.
const OPENED: Duration = Duration::from_secs(100);

/// In which all has to be over: controllers that wait between their attempts, new pods, and the time for which these have to be
/// ready.
const CLOSED: Duration = Duration::from_secs(180);

/// Takes the steps of the repair and waits until nothing is left of the problem.
pub(crate) fn repaired(namespace: &Namespace<'_>, case: &Case, last: &mut Option<Value>) -> Result<()> {
    let mut watch = Watch::start(namespace.cluster().kubeconfig(), &["-n", namespace.name()])?;
    // What has a grace is not a problem yet.
    if case.later.is_none() {
        wait(OPENED, "the watch to open the problem", || {
            Ok(watch.problems()?.iter().any(|problem| is_open(&problem)))
        })?;
    }
    for step in &case.repair {
        take(namespace, step)?;
    }
    let all = Question::problems(namespace.name());
    wait(CLOSED, "the end of the problem after the repair", || {
        let document = ask(case, &all, namespace.cluster().kubeconfig())?;
        let left = open(&document);
        let (answer, named) = (document["answer"].to_string(), titles(&left));
        let none = left.is_empty();
        *last = Some(document);
        if !none || answer != "\"no-fault\"" {
            bail!("the answer is {answer}: {named}");
        }
        let told = watch.problems()?;
        let open: Vec<&Value> = told.iter().filter(is_open).collect();
        if !open.is_empty() {
            bail!("the watch has not closed {}", titles(&open));
        }
        Ok(true)
    })
}
