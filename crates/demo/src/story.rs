//! What goes wrong, and when.

mod batch;
mod data;
mod payments;
mod shop;

use jiff::SignedDuration;
use reckon_sim::{Rng, World};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When it begins, after the beginning of the story.
    pub after: SignedDuration,
    /// What happens, in a sentence.
    pub what: &'static str,
    /// What to ask `reckon why` about.
    pub ask: &'static str,
    /// The namespace of that; none for a node.
    pub namespace: Option<&'static str>,
    /// What Reckon should find there: a slug of its catalogue.
    pub failure: &'static str,
    /// How long after its beginning that shows.
    pub shows: SignedDuration,
}

/// An incident and how it is brought about.
pub(crate) struct Scripted {
    minute: i64,
    what: &'static str,
    ask: &'static str,
    namespace: Option<&'static str>,
    failure: &'static str,
    shows: i64,
    pub(crate) begin: fn(&mut World),
}

/// In the order in which they happen.
pub(crate) static STORY: [&Scripted; 13] = [
    &shop::LEAK,
    &shop::LIMIT,
    &shop::IMAGE,
    &payments::SETTINGS,
    &data::QUOTA,
    &payments::INVOICES,
    &data::CLAIM,
    &shop::SELECTOR,
    &shop::PROBE,
    &batch::NODE,
    &payments::CERTIFICATE,
    &shop::ACCELERATOR,
    &batch::NEIGHBOUR,
];

/// How long it takes until all has happened and shows.
pub(crate) const LENGTH: SignedDuration = SignedDuration::from_mins(48);

/// When each incident begins; the seed moves them by up to forty seconds.
pub fn incidents(seed: u64) -> Vec<Incident> {
    let mut rng = Rng::new(seed ^ 0x1ac1_de27);
    let incident = |scripted: &&Scripted| Incident {
        after: SignedDuration::from_secs(60 * scripted.minute + i64::try_from(rng.below(40)).unwrap_or(0)),
        what: scripted.what,
        ask: scripted.ask,
        namespace: scripted.namespace,
        failure: scripted.failure,
        shows: SignedDuration::from_secs(scripted.shows),
    };
    STORY.iter().map(incident).collect()
}

impl Scripted {
    pub(crate) fn is_certificate(&self) -> bool {
        std::ptr::eq(self, &payments::CERTIFICATE)
    }
}

impl Incident {
    /// What to type after `reckon why`.
    pub fn question(&self) -> String {
        let namespace = self.namespace.map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
        format!("{}{namespace}", self.ask)
    }
}
