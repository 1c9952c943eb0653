//! Everything a server's bytes pass through: split into items or lines, decode, clean for display.
//!
//! The first byte chooses the kind and the size of the chunks the rest arrives in. Whatever comes, nothing may panic,
//! overflow or hang; the same bytes in one piece and in chunks have to give the same items; and no control byte may
//! survive cleaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reckon_cluster::{Line, Lines, Piece, Splitter, name_in};
use reckon_model::text::{clean, clean_line};
use reckon_model::{Kind, Object};

const MAX_ITEM: usize = 64 * 1024;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let kinds: Vec<&Kind> = Kind::named().collect();
    let kind = kinds[usize::from(choice) % kinds.len()];
    let size = usize::from(choice >> 4).max(1);

    let (whole, in_chunks) = (split(body, body.len().max(1)), split(body, size));
    assert_eq!(whole, in_chunks, "the items depend on where the chunks end");
    for item in &whole.0 {
        decode(item, kind);
    }
    assert_eq!(lines(body, body.len().max(1)), lines(body, size), "the lines depend on where the chunks end");
    decode(body, kind);
    clean_it(&String::from_utf8_lossy(body));
});

/// The items, and whether and how the list ended.
fn split(body: &[u8], size: usize) -> (Vec<Vec<u8>>, String) {
    let mut splitter = Splitter::new(MAX_ITEM);
    let mut items = Vec::new();
    for chunk in body.chunks(size) {
        let pushed = splitter.push(chunk, &mut |piece| match piece {
            Piece::Item(bytes) => items.push(bytes.to_vec()),
            Piece::TooLarge { .. } => items.push(Vec::new()),
        });
        if let Err(error) = pushed {
            return (items, error.to_string());
        }
    }
    (items, format!("{:?}", splitter.finish()))
}

fn lines(body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut lines = Lines::new(MAX_ITEM);
    let mut seen = Vec::new();
    for chunk in body.chunks(size) {
        lines.push(chunk, &mut |line| match line {
            Line::Whole(bytes) => seen.push(bytes.to_vec()),
            Line::TooLong { .. } => seen.push(Vec::new()),
        });
    }
    seen
}

fn decode(bytes: &[u8], kind: &Kind) {
    match Object::decode(bytes, Some(kind)) {
        Ok(object) => {
            clean_it(&object.meta.name);
            object.meta.labels.values().for_each(|value| clean_it(value));
            let _ = object.last_applied();
            if let Some(pod) = object.pod() {
                let _ = pod.spec.request_nanos("memory");
                let _ = pod.spec.request_nanos("cpu");
                assert!(pod.containers().count() >= pod.spec.containers.len());
            }
        }
        Err(error) => {
            clean_it(&error.to_string());
            let _ = name_in(bytes);
        }
    }
}

fn clean_it(text: &str) {
    assert!(clean(text).chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
    assert!(clean_line(text).chars().all(|c| !c.is_control()));
}
