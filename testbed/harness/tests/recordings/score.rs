//! What share of the answers is right.

use crate::{Replayed, of};
use reckon_testbed::{Group, differences, open};
use serde_json::Value;
use std::fmt;

/// What all recordings are judged by.
pub(crate) struct Score {
    /// Problems whose cause is the object that its case names, at first place.
    pub(crate) causes: Share,
    /// Problems with the failure, the class and the symptoms that their case names.
    pub(crate) symptoms: Share,
    /// Problems in cases in which nothing is wrong.
    pub(crate) unfounded: usize,
}

/// So many of so many.
#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    right: usize,
    all: usize,
}

impl Score {
    pub(crate) fn of(replayed: &[Replayed]) -> Score {
        let mut score = Score { causes: Share::default(), symptoms: Share::default(), unfounded: 0 };
        for (wanted, found) in replayed.iter().flat_map(pairs) {
            let cause = &wanted["cause"]["ref"];
            if cause.as_object().is_some_and(|cause| !cause.is_empty()) {
                score.causes.count(found.is_some_and(|found| differences(cause, &found["cause"]["ref"]).is_empty()));
            }
            let named = ["failure", "class", "symptoms"].map(|key| (key, &wanted[key]));
            let mut named = named.into_iter().filter(|(_, wanted)| !wanted.is_null()).peekable();
            if named.peek().is_some() {
                let right = |found: &Value| named.all(|(key, wanted)| differences(wanted, &found[key]).is_empty());
                score.symptoms.count(found.is_some_and(right));
            }
        }
        score.unfounded = of(replayed, Group::LookAlike).iter().map(|one| open(&one.document).len()).sum();
        score
    }
}

/// Each problem that is expected, with the one at first place; where several are expected, with the likest.
pub(crate) fn pairs(replayed: &Replayed) -> Vec<(&Value, Option<&Value>)> {
    let open = open(&replayed.document);
    let wanted: Vec<&Value> = replayed.case.expect.all().collect();
    if let [only] = wanted.as_slice() {
        return vec![(only, open.first().copied())];
    }
    let likest = |wanted: &Value| open.iter().copied().min_by_key(|found| differences(wanted, found).len());
    wanted.into_iter().map(|wanted| (wanted, likest(wanted))).collect()
}

impl Share {
    fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }

    /// Whether it is that much in a hundred. Of nothing it never is.
    pub(crate) fn is_at_least(self, hundredths: usize) -> bool {
        self.all > 0 && self.right * 100 >= hundredths * self.all
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded down: what is not all is not called 100 %.
        write!(f, "{} of {} ({} %)", self.right, self.all, self.right * 100 / self.all.max(1))
    }
}
