//! To be written.

use crate::{Detector, Finding, View};
use reckon_model::Object;

pub(crate) static DETECTOR: Detector =
    Detector { name: "config_missing", failures: &[], subjects: &[], page: include_str!("config_missing.md"), detect };

fn detect<'a>(_view: &View<'a>, _subject: &'a Object) -> Vec<Finding> {
    Vec::new()
}
