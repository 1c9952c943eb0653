//! Bodies in protobuf, of the few kinds that `kubectl`'s typed clients send: turned into JSON and handled as such.
//!
//! Field numbers are those of Kubernetes' `generated.proto` files, which never change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The media type.
pub(crate) const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// How such a body begins.
const MAGIC: &[u8] = b"k8s\0";

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Texts,
    Number,
    /// Texts by name.
    Map,
    /// Bytes by name, in Base64 in JSON.
    ByteMap,
    Message(&'static [Field]),
}

type Field = (u64, &'static str, Holds);

const META: &[Field] = &[(1, "name", Holds::Text), (2, "generateName", Holds::Text), (3, "namespace", Holds::Text)];

const RESOURCE: &[Field] = &[
    (1, "namespace", Holds::Text),
    (2, "verb", Holds::Text),
    (3, "group", Holds::Text),
    (4, "version", Holds::Text),
    (5, "resource", Holds::Text),
    (6, "subresource", Holds::Text),
    (7, "name", Holds::Text),
];

const PATH: &[Field] = &[(1, "path", Holds::Text), (2, "verb", Holds::Text)];

const ATTRIBUTES: &[Field] = &[
    (1, "resourceAttributes", Holds::Message(RESOURCE)),
    (2, "nonResourceAttributes", Holds::Message(PATH)),
    (3, "user", Holds::Text),
    (4, "groups", Holds::Texts),
];

const DELETE: &[Field] = &[
    (1, "gracePeriodSeconds", Holds::Number),
    (2, "preconditions", Holds::Message(&[(1, "uid", Holds::Text), (2, "resourceVersion", Holds::Text)])),
    (4, "propagationPolicy", Holds::Text),
    (5, "dryRun", Holds::Texts),
];

/// The fields of a kind; `None` for kinds that are not read.
fn fields(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "SelfSubjectAccessReview" | "SubjectAccessReview" => {
            &[(1, "metadata", Holds::Message(META)), (2, "spec", Holds::Message(ATTRIBUTES))]
        }
        "SelfSubjectRulesReview" => &[(2, "spec", Holds::Message(&[(1, "namespace", Holds::Text)]))],
        "SelfSubjectReview" => &[],
        "TokenRequest" => {
            &[(2, "spec", Holds::Message(&[(1, "audiences", Holds::Texts), (4, "expirationSeconds", Holds::Number)]))]
        }
        "Eviction" => &[(1, "metadata", Holds::Message(META)), (2, "deleteOptions", Holds::Message(DELETE))],
        "DeleteOptions" => DELETE,
        "ConfigMap" => {
            &[(1, "metadata", Holds::Message(META)), (2, "data", Holds::Map), (3, "binaryData", Holds::ByteMap)]
        }
        "Secret" => &[
            (1, "metadata", Holds::Message(META)),
            (2, "data", Holds::ByteMap),
            (3, "type", Holds::Text),
            (4, "stringData", Holds::Map),
        ],
        "Namespace" | "ServiceAccount" => &[(1, "metadata", Holds::Message(META))],
        _ => return None,
    })
}

/// The object in a body; `None` where it is malformed or of another kind.
pub(crate) fn decode(body: &[u8]) -> Option<Value> {
    const TYPE: &[Field] = &[(1, "apiVersion", Holds::Text), (2, "kind", Holds::Text)];
    let mut envelope = Wire(body.strip_prefix(MAGIC)?);
    let (mut meta, mut raw) = (json!({}), &[][..]);
    while let Some((number, value)) = envelope.next()? {
        match (number, value) {
            (1, Scalar::Bytes(bytes)) => meta = message(bytes, TYPE)?,
            (2, Scalar::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(raw, fields(meta["kind"].as_str()?)?)?;
    object["kind"] = meta["kind"].take();
    object["apiVersion"] = meta["apiVersion"].take();
    Some(object)
}

fn message(bytes: &[u8], fields: &[Field]) -> Option<Value> {
    let mut object = json!({});
    let mut wire = Wire(bytes);
    while let Some((number, value)) = wire.next()? {
        let Some((_, name, holds)) = fields.iter().find(|(known, ..)| *known == number) else { continue };
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Value::from);
        match (holds, value) {
            (Holds::Text, Scalar::Bytes(bytes)) => object[*name] = text(bytes)?,
            (Holds::Texts, Scalar::Bytes(bytes)) => {
                let text = text(bytes)?;
                match object[*name].as_array_mut() {
                    Some(texts) => texts.push(text),
                    None => object[*name] = json!([text]),
                }
            }
            (Holds::Number, Scalar::Number(number)) => object[*name] = number.into(),
            (Holds::Map | Holds::ByteMap, Scalar::Bytes(bytes)) => {
                let (key, value) = entry(bytes)?;
                let value = match holds {
                    Holds::Map => text(value)?,
                    _ => STANDARD.encode(value).into(),
                };
                object[*name][std::str::from_utf8(key).ok()?] = value;
            }
            (Holds::Message(fields), Scalar::Bytes(bytes)) => object[*name] = message(bytes, fields)?,
            _ => return None,
        }
    }
    Some(object)
}

/// Key and value of an entry of a map.
fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut wire = Wire(bytes);
    while let Some((number, scalar)) = wire.next()? {
        match (number, scalar) {
            (1, Scalar::Bytes(bytes)) => key = bytes,
            (2, Scalar::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Some((key, value))
}

enum Scalar<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed width, which nothing here has.
    Other,
}

/// The fields of a message, one after the other.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    /// The next field with its number; `Some(None)` at the end, `None` where the bytes are no message.
    fn next(&mut self) -> Option<Option<(u64, Scalar<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Scalar::Number(self.varint()?),
            1 => self.take(8).map(|_| Scalar::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Scalar::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Scalar::Other)?,
            _ => return None,
        };
        Some(Some((tag >> 3, value)))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_read_and_rubbish_is_not() {
        let part = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len().try_into().unwrap()][..], bytes].concat();
        let attributes = [part(2, b"list"), part(5, b"pods")].concat();
        let review = part(2, &part(1, &attributes));
        let types = [part(1, b"authorization.k8s.io/v1"), part(2, b"SelfSubjectAccessReview")].concat();
        let body = [MAGIC, &part(1, &types), &part(2, &review)].concat();
        let read = decode(&body).unwrap();
        assert_eq!(read["spec"]["resourceAttributes"], json!({"verb": "list", "resource": "pods"}));
        for end in 0..body.len() {
            assert_ne!(decode(&body[..end]).as_ref(), Some(&read), "{end}");
        }
    }
}
