//! Signals of failures whose objects are well in every other way: a claim that was bound all along, a Service whose pods
//! were always ready.

use crate::View;
use reckon_model::document::Problem;
use reckon_model::{Body, Object};

/// What says that a problem of this failure is over: `None` where the failure has no signal of its own, `Some(None)` while
/// there is none.
pub(super) fn own(_view: &View<'_>, problem: &Problem, subject: &Object) -> Option<Option<String>> {
    let name = subject.reference();
    Some(match (problem.failure.as_str(), &subject.body) {
        ("volume-resize-stuck", Body::Claim(claim)) => {
            let (wanted, has) = (claim.spec.size().and_then(|it| it.nanos()), claim.status.size());
            let enough = has.filter(|has| has.nanos() >= wanted);
            enough.map(|has| format!("{name} has the size that it asks for, {}", has.as_str()))
        }
        _ => return None,
    })
}
