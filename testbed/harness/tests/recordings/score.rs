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

/// Each problem that is expected, with the one at first place. Where several are expected, they stand at the first places
/// together, and each is the answer to one of them only: the likest go together first.
pub(crate) fn pairs(replayed: &Replayed) -> Vec<(&Value, Option<&Value>)> {
    paired(&replayed.case.expect.all().collect::<Vec<_>>(), &open(&replayed.document))
}

fn paired<'a>(wanted: &[&'a Value], open: &[&'a Value]) -> Vec<(&'a Value, Option<&'a Value>)> {
    let first = &open[..open.len().min(wanted.len())];
    let mut likeness: Vec<(usize, usize, usize)> = Vec::new();
    for (at, wanted) in wanted.iter().enumerate() {
        likeness.extend(first.iter().enumerate().map(|(place, found)| (differences(wanted, found).len(), at, place)));
    }
    likeness.sort_unstable();
    let mut pairs: Vec<(&Value, Option<&Value>)> = wanted.iter().map(|wanted| (*wanted, None)).collect();
    let mut taken = vec![false; first.len()];
    for (_, at, place) in likeness {
        if pairs[at].1.is_none() && !taken[place] {
            pairs[at].1 = Some(first[place]);
            taken[place] = true;
        }
    }
    pairs
}

#[test]
fn a_problem_answers_one_expectation_and_only_from_the_first_places() {
    let problem = |name: &str| serde_json::json!({"failure": name, "cause": {"ref": {"name": name}}});
    let (a, b, loud) = (problem("a"), problem("b"), problem("loud"));
    assert_eq!(paired(&[&a, &b], &[&b, &a]), [(&a, Some(&a)), (&b, Some(&b))]);
    assert_eq!(paired(&[&a, &b], &[&loud, &b, &a]), [(&a, Some(&loud)), (&b, Some(&b))]);
    assert_eq!(paired(&[&a, &a], &[&a]), [(&a, Some(&a)), (&a, None)]);
    assert_eq!(paired(&[&a], &[&loud, &a]), [(&a, Some(&loud))]);
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
