//! What an observer that starts again has to know: what was last told of each object, until when, and the problems.
//!
//! Beside the spool, not in it: a server wants none of it. The file of memory is a line for each object that was told of, the
//! later of two holding, and now and then a line with a time alone; when half of it is of the past it is written anew.
//! Entries are durable before their lines are written. Where the process dies between, what was told last is compared
//! with what was told before it, and told again.

use reckon_model::document::Problem;
use reckon_model::{ResourceRef, Timestamp};
use reckon_record::{Mark, Memory, line};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of the file with what was told of each object.
const MEMORY: &str = "memory";

/// The name of the file with the problems.
const PROBLEMS: &str = "problems.json";

/// A file of memory smaller than this is never written anew.
const SMALL: u64 = 1024 * 1024;

/// What was told, on disk.
#[derive(Debug)]
pub(crate) struct Diary {
    directory: PathBuf,
    lines: File,
    /// How long the file is, and was when it was last written anew.
    size: [u64; 2],
    memory: Memory,
    problems: Vec<Problem>,
}

/// Why a diary does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiaryError {
    #[error("failed to read what was told before in {}: {source}", file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("{} does not read: {why}; move it away, and what happened meanwhile is told as not watched", file.display())]
    Damaged { file: PathBuf, why: String },
}

impl Diary {
    /// Opens the diary in a directory that exists and is this process's own. Nothing there is a diary of nothing.
    ///
    /// # Errors
    /// What the system says, or which file does not read.
    pub(crate) fn open(directory: &Path) -> Result<Diary, DiaryError> {
        let file = directory.join(MEMORY);
        let failed = |file: &Path| {
            let file = file.to_owned();
            move |source| DiaryError::Io { file, source }
        };
        let memory = read(&file).map_err(failed(&file))?;
        let memory = parse(&memory).map_err(|why| DiaryError::Damaged { file: file.clone(), why })?;
        let size = rewrite(directory, &memory).map_err(failed(&file))?;
        let lines = OpenOptions::new().append(true).open(&file).map_err(failed(&file))?;
        let file = directory.join(PROBLEMS);
        let problems = match read(&file).map_err(failed(&file))? {
            text if text.is_empty() => Vec::new(),
            text => serde_json::from_str(&text)
                .map_err(|error| DiaryError::Damaged { file: file.clone(), why: error.to_string() })?,
        };
        Ok(Diary { directory: directory.to_owned(), lines, size: [size; 2], memory, problems })
    }

    /// What was told before, which is handed out once, and the problems that were known.
    pub(crate) fn take(&mut self) -> (Memory, Vec<Problem>) {
        (std::mem::take(&mut self.memory), self.problems.clone())
    }

    /// Notes what was told of objects.
    pub(crate) fn learn(&mut self, marks: &[(ResourceRef, Option<Mark>)]) -> io::Result<()> {
        if marks.is_empty() {
            return Ok(());
        }
        let text: String = marks.iter().map(|(reference, mark)| line(reference, mark.as_ref())).collect();
        self.write(&text)
    }

    /// Notes that everything up to a time was told.
    pub(crate) fn until(&mut self, now: Timestamp) -> io::Result<()> {
        self.write(&format!("\"{now}\"\n"))
    }

    /// Notes the problems, if some opened or closed since. That counts and ages in them grow is no news.
    pub(crate) fn problems(&mut self, problems: &[Problem]) -> io::Result<()> {
        let turn = |problem: &Problem| (problem.id.clone(), problem.episode, problem.closed.is_some());
        if problems.iter().map(turn).eq(self.problems.iter().map(turn)) {
            return Ok(());
        }
        replace(&self.directory.join(PROBLEMS), &serde_json::to_vec(problems)?)?;
        self.problems = problems.to_vec();
        Ok(())
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.lines.write_all(text.as_bytes())?;
        self.size[0] += text.len() as u64;
        if self.size[0] > SMALL.max(2 * self.size[1]) {
            let file = self.directory.join(MEMORY);
            let memory = parse(&read(&file)?).map_err(io::Error::other)?;
            self.size = [rewrite(&self.directory, &memory)?; 2];
            self.lines = OpenOptions::new().append(true).open(&file)?;
        }
        Ok(())
    }
}

fn read(file: &Path) -> io::Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

/// Takes the lines apart. A last one without an end was being written when the process died.
fn parse(text: &str) -> Result<Memory, String> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let (times, marks): (Vec<&str>, Vec<&str>) = whole.split_inclusive('\n').partition(|line| line.starts_with('"'));
    let until = match times.last() {
        Some(line) => Some(serde_json::from_str(line).map_err(|error| error.to_string())?),
        None => None,
    };
    Memory::read(until, &marks.concat()).map_err(|error| error.to_string())
}

/// Writes the file of memory anew; its size.
fn rewrite(directory: &Path, memory: &Memory) -> io::Result<u64> {
    let until = memory.until.map(|until| format!("\"{until}\"\n")).unwrap_or_default();
    let text = memory.lines() + &until;
    replace(&directory.join(MEMORY), text.as_bytes())?;
    Ok(text.len() as u64)
}

/// Old or new, whenever the process or the machine dies.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut written = File::create(&new)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reckon_model::Kind;

    fn mark(uid: &str) -> Mark {
        Mark { uid: uid.to_owned(), written: Some(7), deaths: 2, phase: None }
    }

    fn named(name: &str) -> ResourceRef {
        ResourceRef::new(Kind::Pod, Some("shop"), name)
    }

    #[test]
    fn what_was_told_is_known_again_and_what_is_gone_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut diary = Diary::open(directory.path()).unwrap();
        diary.learn(&[(named("a"), Some(mark("1"))), (named("b"), Some(mark("2")))]).unwrap();
        diary.until("2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        diary.learn(&[(named("a"), None)]).unwrap();
        drop(diary);
        let (memory, problems) = Diary::open(directory.path()).unwrap().take();
        let mut other = Memory::read(Some("2026-01-01T00:00:00Z".parse().unwrap()), "").unwrap();
        other.learn(&named("b"), Some(mark("2")));
        assert_eq!((memory, problems), (other, Vec::new()));
    }

    #[test]
    fn a_line_that_was_being_written_when_the_process_died_is_none() {
        let directory = tempfile::tempdir().unwrap();
        Diary::open(directory.path()).unwrap().learn(&[(named("a"), Some(mark("1")))]).unwrap();
        let file = directory.path().join(MEMORY);
        let whole = fs::read_to_string(&file).unwrap();
        for end in 0..whole.len() {
            fs::write(&file, &whole[..end]).unwrap();
            assert!(Diary::open(directory.path()).unwrap().take().0.is_empty(), "{end}");
        }
        fs::write(&file, "nothing of ours\n").unwrap();
        let error = Diary::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("memory does not read: line 1"), "{error}");
    }

    #[test]
    fn a_file_that_is_mostly_of_the_past_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut diary = Diary::open(directory.path()).unwrap();
        let file = directory.path().join(MEMORY);
        let mut longest = 0;
        for turn in 0..40_000 {
            diary.learn(&[(named("a"), Some(mark(&turn.to_string())))]).unwrap();
            longest = longest.max(diary.size[0]);
        }
        assert!(longest < SMALL + 1024 && fs::metadata(&file).unwrap().len() == diary.size[0], "{longest}");
        drop(diary);
        let (memory, _) = Diary::open(directory.path()).unwrap().take();
        assert_eq!(memory.lines(), line(&named("a"), Some(&mark("39999"))));
    }
}
