//! Lists: page after page, item after item, never a page in memory.

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::error::ReadError;
use crate::splitter::{ListMeta, Piece, SplitError, Splitter, name_in};
use reckon_model::text::{clean_line, shorten};
use reckon_model::{DecodeError, Gap, Kind, Object, Obstacle};
use std::future::Future;
use std::ops::ControlFlow;

/// Objects per page, as kubectl asks: a server that writes a list as a whole holds each page in memory, several times.
const PAGE: &str = "500";

/// Objects per page of a server that writes a list object by object, from what it holds in memory anyway
/// (`StreamingCollectionEncodingToJSON` and `ListFromCacheSnapshot`, both on in 1.34 for good or by default). Each page costs
/// it and us a pause in which neither does anything.
const WIDE_PAGE: &str = "10000";

/// The minor version of Kubernetes from which on a server does so.
const BY_OBJECT_FROM: u32 = 34;

/// Objects that are taken of one page. Some servers know no pages; what none does is to have so many objects and no pages.
pub(crate) const MOST_IN_A_PAGE: usize = 20_000;

/// Bytes of a list, or of a watch, in which no object and no line ends. Far more than any object has; but a server that never
/// ends one would be read for ever.
pub(crate) const MOST_WITHOUT_AN_END: usize = 256 * 1024 * 1024;

/// One item of a list or one object of a watch.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are objects, and each is moved at once")]
pub(crate) enum Item {
    Object(Object),
    Broken(Broken),
}

/// An object that could not be decoded.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Its name, as far as it could be told.
    pub(crate) name: Option<String>,
    pub(crate) why: String,
}

impl Broken {
    pub(crate) fn gap(&self, kind: &Kind) -> Gap {
        let what = match &self.name {
            Some(name) => format!("{} {}", kind.singular(), shorten(&clean_line(name), 253)),
            None => format!("one {}", kind.singular()),
        };
        Gap { what, why: self.why.clone(), obstacle: Obstacle::Server }
    }
}

/// Where items go, each with the number of its bytes. `Break` ends the list: nobody wants more.
pub(crate) trait Sink: Send {
    fn take(&mut self, item: Item, bytes: usize) -> impl Future<Output = ControlFlow<()>> + Send;
}

/// How a list that did not fail ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Every item was delivered.
    Complete(ListMeta),
    /// The sink wanted no more.
    Stopped,
}

/// What is listed.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) kind: Kind,
    pub(crate) endpoint: Endpoint,
    /// `None` for the whole cluster.
    pub(crate) namespace: Option<String>,
}

impl Scope {
    /// Of namespaces the one that is followed, as who may see one may seldom see them all.
    pub(crate) fn only_this_namespace(&self) -> Option<String> {
        let namespace = self.namespace.as_ref().filter(|_| self.kind == Kind::Namespace)?;
        Some(format!("metadata.name={namespace}"))
    }
}

impl Connection {
    /// Lists all pages into the sink. `before_page` may refuse to ask for one more.
    pub(crate) async fn pages(
        &self,
        scope: &Scope,
        selectors: &[(&str, &str)],
        before_page: &(dyn Fn() -> ControlFlow<()> + Sync),
        sink: &mut impl Sink,
    ) -> Result<Ended, ReadError> {
        let mut token = String::new();
        let mut restarted = false;
        let limit = if self.writes_by_object().await { WIDE_PAGE } else { PAGE };
        loop {
            if before_page().is_break() {
                return Ok(Ended::Stopped);
            }
            let mut query = vec![("limit", limit), ("continue", token.as_str())];
            query.extend_from_slice(selectors);
            match self.page(scope, &query, sink).await {
                Ok(Ended::Complete(ListMeta { continue_token: Some(next), .. })) if next != token => token = next,
                Ok(ended) => return Ok(ended),
                // The token outlived the server's history. Objects come again, which does no harm.
                Err(ReadError::Gone { .. }) if !token.is_empty() && !restarted => {
                    restarted = true;
                    token.clear();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the server writes lists object by object. One that does not say its version does not.
    pub(crate) async fn writes_by_object(&self) -> bool {
        let ask = async { Ok::<_, ReadError>(minor(&self.version(true).await?).unwrap_or_default()) };
        self.inner.minor.get_or_try_init(|| ask).await.is_ok_and(|minor| *minor >= BY_OBJECT_FROM)
    }

    async fn page(&self, scope: &Scope, query: &[(&str, &str)], sink: &mut impl Sink) -> Result<Ended, ReadError> {
        let mut incoming = self.send(&scope.endpoint.list(scope.namespace.as_deref(), query)).await?;
        let mut splitter = Splitter::default();
        let mut ready = Vec::new();
        let (mut items, mut endless) = (0, 0);
        while let Some(chunk) = incoming.next().await? {
            let split = splitter.push(&chunk, &mut |piece| {
                let (Piece::Item(bytes) | Piece::TooLarge { head: bytes }) = piece;
                ready.push((self.decode(&piece, &scope.kind), bytes.len()));
            });
            endless = if ready.is_empty() { endless + chunk.len() } else { 0 };
            items += ready.len();
            for (item, bytes) in ready.drain(..) {
                if sink.take(item, bytes).await.is_break() {
                    return Ok(Ended::Stopped);
                }
            }
            split.map_err(|error| incoming.malformed(error.to_string()))?;
            if items > MOST_IN_A_PAGE {
                let why = format!("it sends more than {MOST_IN_A_PAGE} objects for one page");
                return Err(incoming.malformed(why));
            }
            if endless > MOST_WITHOUT_AN_END {
                return Err(incoming.malformed("an object in it has no end".to_owned()));
            }
        }
        match splitter.finish() {
            Ok(meta) => Ok(Ended::Complete(meta)),
            Err(SplitError::Truncated) => Err(incoming.truncated()),
            Err(error) => Err(incoming.malformed(error.to_string())),
        }
    }
}

impl Connection {
    fn decode(&self, piece: &Piece<'_>, kind: &Kind) -> Item {
        let whole = self.inner.keep_whole;
        match piece {
            Piece::Item(bytes) if whole => decoded(bytes, kind, Object::decode_whole(bytes, Some(kind))),
            Piece::Item(bytes) => self.decode_item(bytes, kind),
            Piece::TooLarge { head } => {
                Item::Broken(Broken { name: name_in(head), why: "it is larger than 8 MiB and was skipped".to_owned() })
            }
        }
    }

    /// One of many, of which not all is kept.
    pub(crate) fn decode_item(&self, bytes: &[u8], kind: &Kind) -> Item {
        decoded(bytes, kind, Object::decode_with(&self.inner.specs, bytes, Some(kind)))
    }
}

pub(crate) fn decode_object(bytes: &[u8], kind: &Kind, whole: bool) -> Item {
    let object = if whole { Object::decode_whole(bytes, Some(kind)) } else { Object::decode(bytes, Some(kind)) };
    decoded(bytes, kind, object)
}

fn decoded(bytes: &[u8], kind: &Kind, object: Result<Object, DecodeError>) -> Item {
    match object {
        Ok(object) => Item::Object(object),
        Err(error) => {
            let why = format!("it could not be decoded: {}", without_quotes(&clean_line(&error.to_string())));
            tracing::warn!(kind = kind.name(), why, "skipped an object");
            Item::Broken(Broken { name: name_in(bytes), why })
        }
    }
}

/// Of `v1.37.0-eks-1`, or what else follows the version, the 37. There is no major version but the first.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("v1.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The decoder quotes the value it stumbled over, which may be anything; only that there was one is kept.
fn without_quotes(message: &str) -> String {
    let mut kept = String::new();
    for (i, part) in message.split('"').enumerate() {
        kept.push_str(if i % 2 == 0 { part } else { "\"…\"" });
    }
    shorten(&kept, 300).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minor_version_is_told_whatever_follows_it() {
        assert_eq!(["v1.37.0", "v1.33+", "v1.9.3-gke.1"].map(minor), [Some(37), Some(33), Some(9)]);
        assert_eq!(["", "1.37", "v2.0.0", "v1.x"].map(minor), [None; 4]);
    }

    #[test]
    fn a_value_in_a_broken_object_is_not_quoted() {
        let json = br#"{"metadata":{"name":"a"},"spec":{"containers":"hunter2"}}"#;
        let Item::Broken(broken) = decode_object(json, &Kind::Pod, false) else { panic!("decoded") };
        assert_eq!(broken.gap(&Kind::Pod).what, "pod a");
        assert!(!broken.why.contains("hunter2"), "{}", broken.why);
        assert!(broken.why.contains("expected a sequence"), "{}", broken.why);
    }

    #[test]
    fn an_object_nested_100_000_deep_is_an_error_and_no_overflow() {
        let deep = format!(
            r#"{{"metadata":{{"name":"deep"}},"spec":{{"containers":{}{}}}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        for kind in [Kind::Pod, Kind::Deployment, Kind::ConfigMap] {
            let Item::Broken(broken) = decode_object(deep.as_bytes(), &kind, false) else {
                assert_eq!(kind, Kind::ConfigMap);
                continue;
            };
            assert_eq!(broken.name.as_deref(), Some("deep"));
        }
    }
}
