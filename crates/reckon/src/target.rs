//! `TYPE/NAME` on the command line.

use crate::exit::{Exit, Failure};
use reckon_model::{Kind, ResourceRef};

/// A type and a name as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
}

/// The type and the name in `TYPE/NAME` or `TYPE NAME`.
pub(crate) fn words(words: &[String]) -> Result<Words<'_>, Failure> {
    let usage = |sentence: String| Failure::new(Exit::Usage, sentence);
    let (kind, name) = match words {
        [one] => one
            .split_once('/')
            .ok_or_else(|| usage(format!("{one:?} names no object; write TYPE/NAME, such as deployment/checkout")))?,
        [kind, name] if !kind.contains('/') => (kind.as_str(), name.as_str()),
        words => return Err(usage(format!("{:?} names no single object; write TYPE/NAME", words.join(" ")))),
    };
    if kind.is_empty() || name.is_empty() || name.contains('/') {
        return Err(usage(format!("{:?} names no object; write TYPE/NAME", words.join(" "))));
    }
    Ok(Words { kind, name })
}

/// `pod checkout in namespace shop`, as sentences say it.
pub(crate) fn describe(target: &ResourceRef) -> String {
    match &target.namespace {
        Some(namespace) => format!("{} {} in namespace {namespace}", target.kind.singular(), target.name),
        None => format!("{} {}", target.kind.singular(), target.name),
    }
}

/// The sentence for a type that nobody knows.
pub(crate) fn unknown(kind: &str, who: &str) -> Failure {
    let types: Vec<String> =
        Kind::named().filter_map(Kind::served).map(|served| served.kind.to_ascii_lowercase()).collect();
    let near = crate::near::nearest(&kind.to_ascii_lowercase(), &types)
        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Failure::new(Exit::Usage, format!("{who} knows no type {kind:?}{near}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_in_one_word_or_in_two() {
        let of = |line: &str| {
            let parts: Vec<String> = line.split(' ').map(str::to_owned).collect();
            words(&parts).map(|words| (words.kind.to_owned(), words.name.to_owned())).map_err(|f| f.exit)
        };
        let pod = Ok(("pod".to_owned(), "a".to_owned()));
        assert_eq!((of("pod/a"), of("pod a")), (pod.clone(), pod));
        for wrong in ["pod", "pod/", "/a", "pod/a/b", "pod/a pod/b", "a b c"] {
            assert_eq!(of(wrong), Err(Exit::Usage), "{wrong}");
        }
    }
}
