//! Reading small files of the kernel cheaply.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most that is read of one: `memory.stat` has some 3 kB, `/proc/vmstat` some 5.
const MOST: u64 = 64 << 10;

/// Reads a file of the kernel into a buffer that is used again and again.
///
/// # Errors
///
/// It is not there, may not be read, or its cgroup went away.
pub(super) fn read<'a>(path: &Path, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    buffer.clear();
    File::open(path)?.take(MOST).read_to_end(buffer)?;
    Ok(buffer)
}
