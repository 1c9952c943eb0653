//! The few things a spool does with its directory.

use std::io;

/// A directory of files that are written from front to back. Names are plain, without a path.
///
/// Nothing is durable before [`Files::sync`] of the file and, for its name, [`Files::sync_directory`] have returned without an
/// error; after an error of either, nothing is known about what was not durable before.
pub(super) trait Files {
    /// A file that is being written.
    type File;

    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Up to `length` bytes from `offset`; fewer only where the file ends.
    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// How many bytes a file has.
    fn length(&self, name: &str) -> io::Result<u64>;

    /// Begins a file, or empties the one of this name.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Writes at the end. May take fewer bytes than it is given, as `write(2)` may.
    fn write(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;

    /// Makes a file's bytes durable.
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;

    /// Gives a file another name; a file that had it is gone. A file that is being written stays open.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes names durable.
    fn sync_directory(&mut self) -> io::Result<()>;
}

/// Writes all of it.
pub(super) fn write_all<F: Files>(files: &mut F, file: &mut F::File, mut bytes: &[u8]) -> io::Result<()> {
    use crate::planted::{Bug, planted};
    while !bytes.is_empty() {
        match files.write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) if planted(Bug::BelievesShortWrites) => return Ok(()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a file under another name first, so that under its own there is the old one or all of the new one, and says when
/// that is durable. It can be written on.
pub(super) fn replace<F: Files>(files: &mut F, name: &str, bytes: &[u8]) -> io::Result<F::File> {
    use crate::planted::{Bug, planted};
    let mut file = files.create(UNFINISHED)?;
    let written = match write_all(files, &mut file, bytes) {
        Ok(()) => sync(files, &mut file),
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        // It takes room that others may need. That it stays does no harm.
        let _ = files.remove(UNFINISHED);
        return Err(error);
    }
    files.rename(UNFINISHED, name)?;
    if !planted(Bug::ForgetsTheDirectory) {
        files.sync_directory()?;
    }
    Ok(file)
}

/// Makes a file's bytes durable.
pub(super) fn sync<F: Files>(files: &mut F, file: &mut F::File) -> io::Result<()> {
    use crate::planted::{Bug, planted};
    match files.sync(file) {
        _ if planted(Bug::NeverSyncs) => Ok(()),
        Err(_) if planted(Bug::OverlooksSyncErrors) => Ok(()),
        result => result,
    }
}

/// The name of a file that is not there yet.
pub(super) const UNFINISHED: &str = "unfinished";

/// Whether there is no room on the disk, or no more for this user.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
