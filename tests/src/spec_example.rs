//! The dry run that the specification shows.

use serde_json::{Value, json};

/// 53 golden records, of which two carry an id.
pub fn golden() -> String {
    let mut csv = "hs_object_id,firstname\n492564112121,Brian\n492564112124,Maria\n".to_owned();
    for n in 0..51 {
        csv.push_str(&format!(",Person {n}\n"));
    }
    csv
}

/// What the specification says of them.
#[track_caller]
pub fn assert_planned(plan: &Value) {
    let sample = json!([
        {"provider_id": "492564112121", "fields": {"firstname": "Brian"}},
        {"provider_id": "492564112124", "fields": {"firstname": "Maria"}},
    ]);
    for (key, value) in [
        ("dry_run", json!(true)),
        ("total", json!(53)),
        ("writable", json!(2)),
        ("skipped", json!(51)),
        ("sample", sample),
    ] {
        assert_eq!(plan[key], value, "{key} of {plan}");
    }
}
