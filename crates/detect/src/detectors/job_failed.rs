//! To be written.

use crate::{Detector, Finding, View};
use reckon_model::Object;

pub(crate) static DETECTOR: Detector =
    Detector { name: "job_failed", failures: &[], subjects: &[], page: include_str!("job_failed.md"), detect };

fn detect<'a>(_view: &View<'a>, _subject: &'a Object) -> Vec<Finding> {
    Vec::new()
}
