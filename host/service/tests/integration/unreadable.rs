//! Rows that this version cannot read: they are named, and stop nothing but themselves.

use crate::store::{execute, golden, open, org, plan, queued, readable, run, source};
use reverse_sync_service::store::{RunFilter, StoreError, Stored};
use reverse_sync_tests::service::Database;

/// What could be read of a list, and the places and ids of what could not.
fn parted<T>(rows: Vec<Stored<T>>, id: impl Fn(T) -> String) -> (Vec<String>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(row) => good.push(id(row)),
            Err(error) => bad.push(format!("{} of {}", error.place, error.id)),
        }
    }
    (good, bad)
}

async fn a_row_that_cannot_be_read_does_not_stop_the_others(database: Database) {
    let (_dir, store, url) = open(database).await;
    let (org, to) = org(&store).await;
    let other = store.add_destination(&org, &to.source_id, &to.destination, "ada").await.unwrap();
    let bad = queued(store.begin_run(&run(&org, &plan('0'), &to, None)).await.unwrap());
    let good = queued(store.begin_run(&run(&org, &plan('1'), &other, None)).await.unwrap());
    store.set_golden(&org, golden("set_1", "set_1.csv")).await.unwrap();

    for (column, value, place) in [
        ("options", "{}", "runs.options"),
        ("options", "nonsense", "runs.options"),
        ("result", "[1]", "runs.result"),
    ] {
        let before = store.run(&org, &good).await.unwrap().unwrap();
        assert_eq!(before.run_id, good);
        execute(&url, "CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM runs").await;
        execute(&url, &format!("UPDATE runs SET {column} = '{value}' WHERE run_id = '{bad}'"))
            .await;
        let expected = (vec![good.clone()], vec![format!("{place} of {bad}")]);
        let runs = store.runs(&org, RunFilter::default(), 10).await.unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!(
            runs[1].as_ref().unwrap_err().cursor(),
            "1",
            "a page can begin behind it: {column}"
        );
        assert_eq!(parted(runs, |run| run.run_id), expected);
        assert_eq!(parted(store.unfinished_runs().await.unwrap(), |run| run.run_id), expected);
        // What it takes to put it in doubt is all there.
        assert_eq!(readable(store.pending_runs().await.unwrap()).len(), 2);
        let error = store.run(&org, &bad).await.unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("{place} of {bad} cannot be read: ")),
            "{error}"
        );
        assert!(matches!(error, StoreError::Unreadable(_)));
        // Nobody stops or resumes what nobody knows.
        assert!(store.cancel_run(&org, &bad, "ada").await.is_err());
        assert!(store.resume_run(&org, &bad, "ada").await.is_err());
        execute(
            &url,
            &format!("UPDATE runs SET {column} = (SELECT {column} FROM kept WHERE run_id = '{bad}') WHERE run_id = '{bad}'"),
        )
        .await;
        assert!(store.run(&org, &bad).await.unwrap().is_some(), "it is repaired");
    }

    let unused = source(&store, &org).await;
    execute(&url, &format!("UPDATE sources SET settings = '{{}}x' WHERE source_id = '{unused}'"))
        .await;
    assert_eq!(
        parted(store.sources(&org, "", 10).await.unwrap(), |row| row.source_id),
        (vec![to.source_id.clone()], vec![format!("sources.settings of {unused}")])
    );
    execute(
        &url,
        &format!(
            "UPDATE destinations SET definition = '{{}}' WHERE destination_id = '{}'",
            other.destination_id
        ),
    )
    .await;
    assert_eq!(
        parted(store.destinations(&org, "", 10).await.unwrap(), |row| row.destination_id),
        (
            vec![to.destination_id.clone()],
            vec![format!("destinations.definition of {}", other.destination_id)]
        )
    );
    execute(&url, "UPDATE golden_sets SET columns = 'x'").await;
    assert_eq!(
        parted(store.golden_sets(&org).await.unwrap(), |row| row.set_id),
        (vec![], vec!["golden_sets.columns of person".to_owned()])
    );
}

reverse_sync_tests::on_both!(a_row_that_cannot_be_read_does_not_stop_the_others);
