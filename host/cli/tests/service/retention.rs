//! What the service keeps, and what goes by itself.

use super::world::{Tenant, contact, crm, id, new_names, service, until};
use reverse_sync_tests::service::Database;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

/// The sets of which there are files.
fn set_files(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn golden_records_that_were_replaced_stay_as_long_as_a_plan_refers_to_them(
    database: Database,
) {
    let (mut service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    let dir = service.state().join("orgs").join(&tenant.org.id).join("golden");
    let file = |set: &Value| format!("{}.csv", id(set));

    // Of these four, the CRM has three. The city is not written, but whoever fixes the rejects
    // wants to see it.
    let csv = format!(
        "hs_object_id,firstname,city\n{0},New 0,Rome\n{1},New 1,Rome\n{2},New 2,Rome\n{3},New 3,Oslo\n",
        contact(0),
        contact(1),
        contact(2),
        contact(3)
    );
    let planned = tenant.golden("person", &csv).await;
    let run = tenant.run(&destination).await.is(200);
    assert_eq!((&run["updated"], &run["failed"]), (&json!(3), &json!(1)), "{run}");
    let rejects = format!("/runs/{}/rejects.csv", run["run_id"].as_str().unwrap());
    let before = tenant.admin.get(&rejects).await.text();

    let replaced = tenant.golden("person", "hs_object_id,nickname\n1,A\n").await;
    assert_eq!(set_files(&dir), BTreeSet::from([file(&planned), file(&replaced)]));
    let current = tenant.golden("person", "hs_object_id,nickname\n1,B\n").await;
    // Nothing refers to the one between.
    assert_eq!(set_files(&dir), BTreeSet::from([file(&planned), file(&current)]));
    assert_eq!(id(&tenant.admin.get("/golden/person").await.is(200)), id(&current));
    // Another type's golden records are another matter.
    let company = tenant.golden("company", "hs_object_id,name\n1,C\n").await;
    let all = BTreeSet::from([file(&planned), file(&current), file(&company)]);
    assert_eq!(set_files(&dir), all);

    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
    assert_eq!(set_files(&dir), all);
    let after = tenant.admin.get(&rejects).await;
    after.status.is_success().then_some(()).unwrap();
    assert_eq!(after.text(), before);
    let lines: Vec<&str> = before.lines().collect();
    assert_eq!(lines.len(), 2, "{before}");
    assert!(lines[0].starts_with("hs_object_id,firstname,city,__outcome,"), "{before}");
    assert!(lines[1].starts_with(&format!("{},New 3,Oslo,failed,4,", contact(3))), "{before}");
}

async fn a_plan_that_nobody_ran_goes_after_thirty_days_with_its_golden_records(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    let org = service.state().join("orgs").join(&tenant.org.id);
    let looked_at = tenant.golden("person", &new_names(0..1)).await;
    let only_planned = tenant.dry_run(&destination).await;
    let written = tenant.golden("person", &new_names(0..2)).await;
    let run = tenant.run(&destination).await.is(200);
    tenant.golden("person", &new_names(0..3)).await;
    let young = tenant.dry_run(&destination).await;

    assert!(service.stop().await.unwrap());
    let then = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
    let ms = then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    for plan in [&only_planned["plan_id"], &run["plan_id"]] {
        service
            .execute(&format!(
                "UPDATE plans SET planned_at = {ms} WHERE plan_id = '{}'",
                plan.as_str().unwrap()
            ))
            .await
            .unwrap();
    }
    // And what a crash has left between making a plan and saying so.
    let strays = ["folder", "file"].map(|name| org.join("plans/.planning-".to_owned() + name));
    fs::create_dir(&strays[0]).unwrap();
    fs::write(&strays[1], "half of it").unwrap();
    for stray in &strays {
        File::open(stray)
            .unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(2 * 24 * 3600))
            .unwrap();
    }
    service.start_again().await.unwrap();

    let file =
        |set: &Value| org.join("golden").join(format!("{}.csv", set["id"].as_str().unwrap()));
    until("what is old to be removed", async || {
        (!file(&looked_at).exists() && !strays.iter().any(|stray| stray.exists())).then_some(())
    })
    .await;
    let path = |plan: &Value| format!("/plans/{}", plan["plan_id"].as_str().unwrap());
    tenant.admin.get(&path(&only_planned)).await.problem(404, &[]);
    assert!(!org.join("plans").join(only_planned["plan_id"].as_str().unwrap()).exists());
    // What was run stays, however old, and so do its golden records; what is young may be run.
    assert!(file(&written).exists());
    tenant.admin.get(&path(&run)).await.is(200);
    let body = json!({"confirm": true, "plan_id": young["plan_id"]});
    assert_eq!(
        tenant
            .admin
            .post(&format!("/destinations/{destination}/reverse-run?wait=120"), &body)
            .await
            .is(200)["updated"],
        3
    );
}

reverse_sync_tests::on_both!(
    golden_records_that_were_replaced_stay_as_long_as_a_plan_refers_to_them,
    a_plan_that_nobody_ran_goes_after_thirty_days_with_its_golden_records,
);
