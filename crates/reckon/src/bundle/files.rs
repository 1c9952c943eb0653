//! Reading files of a bundle within bounds.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that is read: the API server's own limit for one object is 1.5 MB, a List of a large namespace some MB.
const MAX_FILE: u64 = 64 << 20;

/// What all files together may hold.
const MAX_TOTAL: u64 = 256 << 20;

/// How deep directories are walked.
const MAX_DEPTH: usize = 8;

/// The files below a directory, in the order of their names. Links are left out: they may point anywhere.
pub(crate) fn walk(root: &Path, warnings: &mut Vec<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut queue = vec![(root.to_owned(), 0)];
    while let Some((directory, depth)) = queue.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                warnings.push(format!("{}: {error}", directory.display()));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if meta.is_symlink() {
                warnings.push(format!("{}: a link, left out", path.display()));
            } else if meta.is_dir() && depth < MAX_DEPTH {
                queue.push((path, depth + 1));
            } else if meta.is_dir() {
                warnings.push(format!("{}: nested deeper than {MAX_DEPTH} directories, left out", path.display()));
            } else if meta.is_file() {
                found.push((path, meta.len()));
            }
        }
    }
    // Sorted before anything is cut off, so that the same files are left out every time.
    found.sort();
    let mut total = 0;
    let mut files = Vec::new();
    for (path, size) in found {
        total += size.min(MAX_FILE);
        if total > MAX_TOTAL {
            let sentence = "the bundle holds more than 256 MiB; this file and those after it are left out";
            warnings.push(format!("{}: {sentence}", path.display()));
            break;
        }
        files.push(path);
    }
    warnings.sort();
    files
}

/// A file's bytes, or a sentence. `-` is standard input.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?)
    };
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| format!("{}: {error}", name(path)))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("{}: larger than {} MiB, left out", name(path), MAX_FILE >> 20));
    }
    Ok(bytes)
}

/// A path as sentences name it.
pub(crate) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}
