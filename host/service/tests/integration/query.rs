//! Golden records from a query over a real PostgreSQL.

use crate::golden_query;
use reverse_sync_tests::postgres::Postgres;

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn a_query_over_postgresql_gives_what_its_types_say() {
    let url = Postgres::shared().unwrap().database().await.unwrap();
    golden_query::over_postgres(&url).await.unwrap();
}
