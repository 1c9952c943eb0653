//! Several replicas on one PostgreSQL, and a PostgreSQL that is not as it should be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use reckon_model::record::{Batch, Block, Entry, Fact, Phase, PhaseTurn, Position};
use reckon_model::{ClusterId, Kind, ResourceRef, SignedDuration, Timestamp};
use reckon_store::{Budget, Error, Postgres, Query, Recorded, Retention, Store};
use std::future::Future;
use std::sync::Arc;

fn at(seconds: u64) -> Timestamp {
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds.cast_signed())
}

fn cluster(number: usize) -> ClusterId {
    ClusterId(format!("cluster-{number}"))
}

fn batch(epoch: u64, seq: u64) -> Batch {
    let entry = Entry {
        at: at(seq),
        subject: ResourceRef::new(Kind::Pod, Some("shop"), &format!("web-{seq}")),
        workload: Some(ResourceRef::new(Kind::Deployment, Some("shop"), "web")),
        fact: Fact::Phase(PhaseTurn { to: Phase::Ready, from: None, node: None, reason: None }),
    };
    Batch::new(Position { epoch, seq }, Block::pack(&[entry]).unwrap().remove(0))
}

fn wait(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future);
}

const BLOCKS: u64 = 120;
const CLUSTERS: usize = 6;

#[test]
fn who_follows_on_one_replica_misses_nothing_that_is_appended_on_another() {
    wait(async {
        let address = server::database().await;
        // Both make the tables at the same time.
        let (a, b) = tokio::join!(Postgres::open(&address), Postgres::open(&address));
        let replicas: [Arc<dyn Store>; 2] = [Arc::new(a.unwrap()), Arc::new(b.unwrap())];
        let begin = replicas[0].live(&Query::default(), None, 1).await.unwrap().next;
        let writers: Vec<_> = (0..CLUSTERS)
            .map(|number| {
                let replicas = replicas.clone();
                tokio::spawn(async move {
                    replicas[number % 2].begin(&cluster(number), "spool", 0, at(0)).await.unwrap();
                    for seq in 1..=BLOCKS {
                        // A load balancer sends one block here and the next there.
                        let store = &replicas[(number + usize::from(seq % 2 == 1)) % 2];
                        store.append(&cluster(number), vec![batch(1, seq)], at(seq)).await.unwrap();
                        if seq % 40 == 0 {
                            store.compact(Budget { blocks: 64 }).await.unwrap();
                            store.trim(&Retention::default(), Budget { blocks: 9 }, at(seq)).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        let mut seen: Vec<Recorded> = Vec::new();
        let mut cursor = begin;
        let mut turn = 0;
        while (seen.len() as u64) < CLUSTERS as u64 * BLOCKS {
            // Who follows is sent here and there, too.
            turn += 1;
            let page = replicas[turn % 2].live(&Query::default(), Some(&cursor), 50).await.unwrap();
            assert!(page.trimmed.is_empty() && page.damaged.is_empty());
            seen.extend(page.records);
            cursor = page.next;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        for number in 0..CLUSTERS {
            let of = seen.iter().filter(|record| record.cluster == cluster(number));
            let seqs: Vec<u64> = of.map(|record| record.position.seq).collect();
            assert_eq!(seqs, (1..=BLOCKS).collect::<Vec<_>>(), "{number}");
        }
        let page = replicas[0].live(&Query::default(), Some(&cursor), 50).await.unwrap();
        assert!(page.records.is_empty() && !page.more);
    });
}

#[test]
fn of_two_writers_on_two_replicas_the_older_is_fenced() {
    wait(async {
        let address = server::database().await;
        let (a, b) = (Postgres::open(&address).await.unwrap(), Postgres::open(&address).await.unwrap());
        for round in 0..20 {
            let shop = cluster(round);
            let old = a.begin(&shop, "old", 0, at(0)).await.unwrap();
            let (appended, begun) = tokio::join!(
                async {
                    for seq in 1..50 {
                        a.append(&shop, vec![batch(old.epoch, seq)], at(seq)).await.map_err(|error| (seq, error))?;
                    }
                    Ok::<_, (u64, Error)>(())
                },
                b.begin(&shop, "new", 0, at(1))
            );
            let new = begun.unwrap();
            assert_eq!(new, Position { epoch: 2, seq: 0 });
            let Err((refused, Error::Fenced { epoch: 2 })) = appended else { panic!("{appended:?}") };
            // What was acknowledged before is there, and nothing after it.
            let page = a.entries(&Query { clusters: vec![shop.clone()], ..Query::default() }, None, 99).await.unwrap();
            assert_eq!(page.records.len() as u64, refused - 1);
        }
    });
}

#[test]
fn what_is_wrong_with_a_server_has_an_error_of_its_own() {
    wait(async {
        let address = server::database().await;
        let open = async |address: &str| Postgres::open(address).await.map(|_| ()).unwrap_err();
        assert!(matches!(open("no address at all").await, Error::Database(_)));
        assert!(matches!(open("host=/nowhere user=reckon dbname=x").await, Error::Unreachable(_)));
        let other = address.replace("user=reckon", "user=stranger");
        assert!(matches!(open(&other).await, Error::Refused(_)), "{:?}", open(&other).await);
        let missing = address.split(" dbname").next().unwrap().to_owned() + " dbname=missing user=reckon";
        assert!(matches!(open(&missing).await, Error::Unreachable(_)));
        server::run(&address, "CREATE SCHEMA reckon; CREATE TABLE reckon.person (name TEXT)").await;
        assert!(matches!(open(&address).await, Error::Foreign(_)));
        server::run(&address, "DROP SCHEMA reckon CASCADE").await;
        let store = Postgres::open(&address).await.unwrap();
        store.begin(&cluster(0), "spool", 0, at(0)).await.unwrap();
        // Connections that the server ends are made again.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        server::run(&address, end).await;
        let mut tries = 0;
        while let Err(error) = store.append(&cluster(0), vec![batch(1, 1)], at(1)).await {
            assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
            tries += 1;
            assert!(tries < 20);
        }
        assert_eq!(store.mark(&cluster(0)).await.unwrap(), Some(Position { epoch: 1, seq: 1 }));
        server::run(&address, "UPDATE reckon.version SET version = 99").await;
        assert!(matches!(open(&address).await, Error::Newer { found: 99, known: 1 }));
    });
}

#[test]
fn a_block_of_which_a_bit_flipped_is_named_and_all_else_is_served() {
    wait(async {
        let address = server::database().await;
        let store = Postgres::open(&address).await.unwrap();
        store.begin(&cluster(0), "spool", 0, at(0)).await.unwrap();
        store.append(&cluster(0), (1..=9).map(|seq| batch(1, seq)).collect(), at(9)).await.unwrap();
        let flip = "UPDATE reckon.body SET bytes = set_bit(bytes, 77, 1 - get_bit(bytes, 77)) WHERE last = 5";
        server::run(&address, flip).await;
        let page = store.entries(&Query::default(), None, 99).await.unwrap();
        assert_eq!(page.records.len(), 8);
        assert_eq!((page.damaged.len(), page.damaged[0].first, page.damaged[0].last), (1, 5, 5));
    });
}
