//! Files that are not what they should be.

use super::*;
use crate::schema::STEPS;
use crate::sqlite::open;
use crate::{Budget, Error};
use rusqlite::Connection;
use std::fs;

#[test]
fn what_was_appended_is_there_when_it_is_opened_again() {
    let place = Place::new();
    wait(async {
        let store = Sqlite::open(&place.path()).unwrap();
        store.begin(&shop(), "a", 0, at(0)).await.unwrap();
        fill(&store, 1..=5).await.unwrap();
        drop(store);
        let store = Sqlite::open(&place.path()).unwrap();
        assert_eq!(store.begin(&shop(), "a", 0, at(0)).await.unwrap(), Position { epoch: 1, seq: 5 });
        assert_eq!(all(&store).await.0.len(), 15);
    });
}

#[test]
fn a_database_that_another_has_is_owned() {
    let place = Place::new();
    let first = Sqlite::open(&place.path()).unwrap();
    assert!(matches!(Sqlite::open(&place.path()), Err(Error::Owned(_))));
    drop(first);
    Sqlite::open(&place.path()).unwrap();
}

#[test]
fn a_file_of_another_program_is_foreign_and_stays_as_it_is() {
    let place = Place::new();
    fs::write(place.path(), "name,age\nann,7\n".repeat(100)).unwrap();
    assert!(matches!(Sqlite::open(&place.path()), Err(Error::Foreign(_))));
    assert!(fs::read_to_string(place.path()).unwrap().starts_with("name,age"));
    fs::remove_file(place.path()).unwrap();
    Connection::open(place.path()).unwrap().execute_batch("CREATE TABLE person (name TEXT)").unwrap();
    let before = fs::read(place.path()).unwrap();
    assert!(matches!(Sqlite::open(&place.path()), Err(Error::Foreign(_))));
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn a_newer_version_is_refused() {
    let place = Place::new();
    drop(Sqlite::open(&place.path()).unwrap());
    Connection::open(place.path()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(Sqlite::open(&place.path()), Err(Error::Newer { found: 99, .. })));
}

#[test]
fn a_place_that_is_not_there_or_no_file_is_an_error_of_its_own() {
    let place = Place::new();
    let missing = place.directory.path().join("missing").join("record.db");
    assert!(matches!(Sqlite::open(&missing), Err(Error::Unreachable(_))));
    fs::create_dir(place.path()).unwrap();
    assert!(matches!(Sqlite::open(&place.path()), Err(Error::Unreachable(_))));
}

#[test]
fn a_full_disk_refuses_appends_reads_on_and_takes_them_again_once_there_is_room() {
    let place = Place::new();
    wait(async {
        let store = Sqlite::open(&place.path()).unwrap();
        let mut mark = store.begin(&shop(), "a", 0, at(0)).await.unwrap();
        let room = |pages: u32| {
            store.writer.write(0, move |db| {
                block_on(crate::sql::Sql::query(db, &format!("PRAGMA max_page_count = {pages}"), &[]))
            })
        };
        room(60).await.unwrap();
        let full = loop {
            match fill(&store, mark.seq + 1..=mark.seq + 1).await {
                Ok(more) => mark = more,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::Full(_)), "{full:?}");
        assert_eq!(store.mark(&shop()).await.unwrap(), Some(mark));
        assert_eq!(all(&store).await.0.len() as u64, 3 * mark.seq);
        // Several at once: each is refused, and none is kept.
        let (a, b) =
            futures::join!(fill(&store, mark.seq + 1..=mark.seq + 9), fill(&store, mark.seq + 1..=mark.seq + 9));
        assert!(matches!((a, b), (Err(Error::Full(_)), Err(Error::Full(_)))));
        room(1_000_000).await.unwrap();
        let more = fill(&store, mark.seq + 1..=mark.seq + 9).await.unwrap();
        assert_eq!(more.seq, mark.seq + 9);
        assert_eq!(all(&store).await.0.len() as u64, 3 * more.seq);
    });
}

#[test]
fn who_fails_takes_no_other_of_the_same_transaction_along() {
    let place = Place::new();
    wait(async {
        let store = Sqlite::open(&place.path()).unwrap();
        store.begin(&shop(), "a", 0, at(0)).await.unwrap();
        let (nobody, shop) = (ClusterId("nobody".to_owned()), shop());
        let (bad, good, hole) = futures::join!(
            store.append(&nobody, vec![batch(1, &[entry(0)])], at(0)),
            fill(&store, 1..=2),
            store.append(&shop, vec![batch(9, &[entry(0)])], at(0)),
        );
        assert!(matches!(bad, Err(Error::NotBegun)) && good.is_ok() && matches!(hole, Err(Error::Hole { .. })));
        assert_eq!(all(&store).await.0.len(), 6);
    });
}

/// A second version as a later program may have it, which fails at its end where there is something it did not expect.
const LATER: &[&str] = &[
    "CREATE TABLE later (cluster BIGINT NOT NULL PRIMARY KEY, what TEXT NOT NULL)",
    "INSERT INTO later SELECT number, id FROM cluster",
    "CREATE UNIQUE INDEX later_what ON later (what)",
];

#[test]
fn a_migration_that_fails_half_way_leaves_the_version_before() {
    let place = Place::new();
    drop(Sqlite::open(&place.path()).unwrap());
    let wrong = [LATER, &["INSERT INTO nowhere VALUES (1)"]].concat();
    assert!(open::open_with(&place.path(), &[STEPS[0], &wrong]).is_err());
    let connection = open::open_with(&place.path(), STEPS).unwrap();
    let later = "SELECT COUNT(*) FROM sqlite_schema WHERE name LIKE 'later%'";
    let count = |connection: &Connection| connection.query_row(later, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(&connection), 0);
    drop(connection);
    let connection = open::open_with(&place.path(), &[STEPS[0], LATER]).unwrap();
    assert_eq!(count(&connection), 2);
    drop(connection);
    assert!(matches!(Sqlite::open(&place.path()), Err(Error::Newer { found: 2, known: 1 })));
}

#[test]
fn a_trimmed_store_takes_no_more_room_when_as_much_is_appended_again() {
    let place = Place::new();
    wait(async {
        let store = Sqlite::open(&place.path()).unwrap();
        store.begin(&shop(), "a", 0, at(0)).await.unwrap();
        fill(&store, 1..=500).await.unwrap();
        let pages = || store.read(|db| block_on(crate::sql::Sql::query(db, "PRAGMA page_count", &[])));
        let before = pages().await.unwrap()[0].int(0).unwrap();
        let retention = crate::Retention { age: None, bytes: Some(0) };
        assert!(!store.trim(&retention, Budget { blocks: 1_000 }, at(0)).await.unwrap().more);
        assert_eq!(all(&store).await.0.len(), 0);
        fill(&store, 501..=1_000).await.unwrap();
        let after = pages().await.unwrap()[0].int(0).unwrap();
        assert!(after <= before + before / 10, "{before} pages became {after}");
    });
}
