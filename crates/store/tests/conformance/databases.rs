//! A database for each case.

use reckon_store::{Postgres, Sqlite, Store};
use std::future::Future;
use std::sync::Arc;

type Case<F> = fn(Arc<dyn Store>) -> F;

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future);
}

pub(crate) fn on_sqlite<F: Future<Output = ()>>(case: Case<F>) {
    let directory = tempfile::tempdir().unwrap();
    run(async { case(Arc::new(Sqlite::open(&directory.path().join("record.db")).unwrap())).await });
}

pub(crate) fn on_postgres<F: Future<Output = ()>>(case: Case<F>) {
    run(async {
        let url = crate::server::database().await;
        case(Arc::new(Postgres::open(&url).await.unwrap())).await;
    });
}
