//! What opens, what does not, and what is said of it: on a real directory.

use super::super::{Limits, OpenError, Spool, TurnError};
use super::{change, cluster, ids};
use reckon_model::record::{Block, Position};
use reckon_model::{ClusterId, Timestamp};
use std::fs;
use std::path::Path;

fn open(directory: &Path) -> Result<Spool, OpenError> {
    Spool::open(directory, &cluster(), Limits::default())
}

async fn all(spool: &Spool) -> Vec<u64> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let blocks = spool.read(after, 100_000).await.unwrap();
        let Some(last) = blocks.last() else { return found };
        after = last.last;
        found.extend(blocks.iter().flat_map(|block| ids(&Block::read(block.block.clone()).unwrap().1)));
    }
}

#[tokio::test]
async fn what_was_appended_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    let spool = open(&path).unwrap();
    let instance = spool.status().borrow().instance;
    for id in 1..=30 {
        let position = spool.append(vec![change(id, Timestamp::now(), 20)]).await.unwrap();
        assert_eq!(position, Position { epoch: 0, seq: id });
    }
    spool.resume(4, 10).await.unwrap();
    assert_eq!(spool.append(Vec::new()).await.unwrap(), Position { epoch: 4, seq: 30 });
    spool.close().await;
    let spool = open(&path).unwrap();
    let status = spool.status().borrow().clone();
    assert_eq!((status.instance, status.epoch, status.last, status.mark), (instance, 4, 30, 10));
    assert_eq!(all(&spool).await, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_appended_at_once_is_made_durable_together() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap();
    let appends =
        (0..400).map(|n| spool.append((n * 10 + 1..=n * 10 + 10).map(|id| change(id, Timestamp::now(), 0)).collect()));
    let positions = futures::future::join_all(appends).await;
    let positions: Vec<u64> = positions.into_iter().map(|position| position.unwrap().seq).collect();
    assert!(positions.iter().all(|position| *position < 100), "{positions:?}");
    let mut found = all(&spool).await;
    found.sort_unstable();
    assert_eq!(found, (1..=4000).collect::<Vec<_>>());
    // Each is in the block that it was told.
    for (n, seq) in positions.iter().enumerate() {
        let block = spool.read(seq - 1, 1).await.unwrap().remove(0);
        let ids = ids(&Block::read(block.block).unwrap().1);
        assert!(ids.contains(&(n as u64 * 10 + 10)), "append {n} at {seq}");
    }
}

#[tokio::test]
async fn an_entry_that_fits_into_no_block_costs_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap();
    let large = vec![change(1, Timestamp::now(), reckon_model::record::MOST_INFLATED)];
    let small = |id| spool.append(vec![change(id, Timestamp::now(), 0)]);
    let (first, large, second) = futures::join!(small(2), spool.append(large), small(3));
    assert!(large.unwrap_err().to_string().contains("fit into no block"));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(all(&spool).await, [2, 3]);
}

#[tokio::test]
async fn who_comes_second_is_told_that_it_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Owned { .. }));
    assert!(error.to_string().starts_with("another process uses the spool in /"), "{error}");
    first.close().await;
    open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_spool_of_another_cluster_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().close().await;
    let other = ClusterId("another".to_owned());
    let error = Spool::open(directory.path(), &other, Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the spool is of cluster {}, not of another: give each cluster a directory of its own", cluster().0)
    );
    open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_spool_of_another_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = br#"{"version":9,"more":true}"#;
    let mut copy = [crc32c::crc32c(text).to_le_bytes(), u32::try_from(text.len()).unwrap().to_le_bytes()].concat();
    copy.extend_from_slice(text);
    fs::write(directory.path().join("identity"), copy).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert_eq!(error.to_string(), "the spool is of version 9; this program knows version 1");
}

#[tokio::test]
async fn one_damaged_copy_of_the_identity_does_no_harm_and_two_are_told() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().close().await;
    let file = directory.path().join("identity");
    let whole = fs::read(&file).unwrap();
    for at in [9, 4096 + 9] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&file, &damaged).unwrap();
        open(directory.path()).unwrap().close().await;
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
    let mut damaged = whole.clone();
    damaged[9] ^= 4;
    damaged[4096 + 9] ^= 4;
    fs::write(&file, &damaged).unwrap();
    assert!(matches!(open(directory.path()), Err(OpenError::Identity)));
    fs::remove_file(&file).unwrap();
    assert!(matches!(open(directory.path()), Err(OpenError::Identity)));
}

#[test]
fn a_directory_that_is_none_or_cannot_be_written_to_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("spool")).unwrap_err();
    assert!(error.to_string().contains("cannot be written to"), "{error}");
    for kind in [std::io::ErrorKind::ReadOnlyFilesystem, std::io::ErrorKind::PermissionDenied] {
        let error = OpenError::of_io(Path::new("/data"), kind.into());
        assert!(error.to_string().starts_with("the directory of the spool, /data, cannot be written to: "), "{error}");
    }
    assert!(matches!(OpenError::of_io(Path::new("/data"), std::io::ErrorKind::StorageFull.into()), OpenError::NoRoom));
}

#[test]
fn a_bound_that_holds_nothing_and_a_cluster_without_a_name_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let small = Limits { bytes: 1000, ..Limits::default() };
    assert!(matches!(Spool::open(directory.path(), &cluster(), small), Err(OpenError::Bound(1000))));
    let nobody = ClusterId(String::new());
    assert!(matches!(Spool::open(directory.path(), &nobody, Limits::default()), Err(OpenError::ClusterId(0))));
}

#[tokio::test]
async fn a_spool_that_was_put_back_from_a_copy_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap();
    spool.append(vec![change(1, Timestamp::now(), 0)]).await.unwrap();
    let error = spool.resume(1, 5).await.unwrap_err();
    assert_eq!(error, TurnError::Ahead { mark: 5, last: 1 });
    assert!(error.to_string().contains("put back from a copy"));
    spool.resume(1, 0).await.unwrap();
    assert_eq!(spool.resume(2, 0).await, Err(TurnError::Epoch { theirs: 2, ours: 1 }));
}
