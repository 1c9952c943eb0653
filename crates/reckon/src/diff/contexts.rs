//! One object in two contexts of the kubeconfig.

use super::{Found, Place, document};
use crate::args::{DiffOptions, Global};
use crate::exit::Failure;
use crate::near::nearest;
use crate::run::options;
use crate::session;
use crate::target;
use reckon_cluster::{Connection, Options};
use reckon_detect::State;
use reckon_detect::past::{self, Compared, Comparison};
use reckon_model::document::Side;
use reckon_model::text::clean_line;
use reckon_model::{Object, ResourceRef, Timestamp};

/// Asks both at once, and compares what they have.
pub(super) async fn compared(
    global: &Global,
    wanted: &DiffOptions,
    first: &str,
    second: &str,
) -> Result<Found, Failure> {
    let (a, b) = tokio::join!(in_context(global, wanted, first), in_context(global, wanted, second));
    let (a, b) = (a?, b?);
    let Compared { fields, not_checked } = past::compared(a.object()?, b.object()?);
    let comparison = Comparison { from: side(first), to: side(second), fields };
    let place = Place { target: a.target, cluster: a.cluster, as_of: a.as_of };
    Ok(Found { diff: document(place, comparison, not_checked), partial: false })
}

fn side(context: &str) -> Side {
    Side { name: format!("context {context}"), context: Some(context.to_owned()), ..Side::default() }
}

/// The object as one context has it.
struct There {
    state: State,
    target: ResourceRef,
    cluster: Option<String>,
    as_of: Timestamp,
}

impl There {
    /// The object, redacted like everything else.
    fn object(&self) -> Result<&Object, Failure> {
        let unread = || {
            let sentence = format!("{} could not be read", target::describe(&self.target));
            Failure::new(crate::exit::Exit::Partial, sentence)
        };
        self.state.get(&self.target).ok_or_else(unread)
    }
}

async fn in_context(global: &Global, wanted: &DiffOptions, context: &str) -> Result<There, Failure> {
    let told = |failure: Failure| {
        let Failure { exit, sentence } = failure;
        Failure::new(exit, format!("context {}: {sentence}", clean_line(context)))
    };
    // Of pods, too, all is compared.
    let options = Options { context: Some(context.to_owned()), keep_whole: true, ..options(global) };
    known(&options, context)?;
    let ask = async {
        let connection = Connection::open(&options).await?;
        let namespace = global.namespace.as_deref().unwrap_or(connection.default_namespace()).to_owned();
        let target = session::named_object(&connection, &wanted.target, &namespace).await?;
        let (state, cluster) = super::fetched(&connection, &target).await?;
        Ok(There { state, target, cluster, as_of: connection.now() })
    };
    ask.await.map_err(told)
}

/// Fails for a context that is not in the kubeconfig, with a name that may have been meant.
fn known(options: &Options, context: &str) -> Result<(), Failure> {
    let (names, _) = reckon_cluster::contexts(options)?;
    if names.is_empty() || names.iter().any(|name| name == context) {
        return Ok(());
    }
    let near = match nearest(context, &names) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("it has {}", names.join(", ")),
    };
    let sentence = format!("the kubeconfig has no context {:?}; {near}", clean_line(context));
    Err(Failure::new(crate::exit::Exit::Usage, sentence))
}
