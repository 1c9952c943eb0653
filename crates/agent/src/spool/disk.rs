//! A directory on a real disk.

use super::error::OpenError;
use super::files::Files;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Who holds the lock on this file has the spool. It is never removed: whoever waited for it would lock a file without a name.
const LOCK: &str = "lock";

/// A directory that this process alone writes to.
#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    /// Held until this is dropped or the process ends, however it ends.
    _lock: File,
}

impl Disk {
    /// Makes the directory where it is not there, and takes its lock.
    pub(super) fn open(directory: &Path) -> Result<Disk, OpenError> {
        let failed = |source| OpenError::of_io(directory, source);
        if !directory.is_dir() {
            make(directory).map_err(failed)?;
        }
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Disk { directory: directory.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Owned { directory: directory.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// With all above it, for its owner alone: what the record says of a cluster is not for everybody on the machine.
fn make(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_names(parent),
        _ => sync_names(Path::new(".")),
    }
}

fn sync_names(directory: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened, and its entries are durable when the call returns.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

impl Files for Disk {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.directory.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.directory.join(name))?.len())
    }

    fn create(&mut self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.directory.join(name))
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        // The length as well, which fdatasync covers.
        file.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        sync_names(&self.directory)
    }
}
