use super::*;
use http::StatusCode;
use reverse_sync::egress::Stage;
use std::{fs::OpenOptions, io::Write};

fn run_id() -> RunId {
    "run_0123456789ab_1".parse().unwrap()
}

fn exchange(second: i64, fate: Fate<'_>) -> Exchange<'_> {
    Exchange {
        began: Timestamp::from_second(1_700_000_000 + second).unwrap(),
        method: &Method::PATCH,
        path: "/crm/v3/objects/contacts/17",
        fate,
        duration: Duration::from_millis(12),
        waited: Duration::ZERO,
        bytes_out: 3,
        bytes_in: 4,
        throttled: false,
        repeated: false,
    }
}

async fn log(dir: &Path, exchanges: &[Exchange<'_>]) {
    let log = RequestLog::open(dir, &run_id(), Metrics::new()).unwrap();
    for exchange in exchanges {
        log.exchanged(exchange);
    }
    log.close().await;
}

fn text(dir: &Path) -> String {
    fs::read_to_string(file(dir, &run_id())).unwrap()
}

fn second(entry: &Entry) -> i64 {
    entry.at.parse::<Timestamp>().unwrap().as_second() - 1_700_000_000
}

const OK: Fate<'static> = Fate::Answered(StatusCode::OK);

#[tokio::test]
async fn a_line_says_what_a_request_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let timeout = TransportError::Timeout(Duration::from_secs(1));
    let refused =
        Fate::Refused { stage: Stage::Witness, reason: "the values are not the confirmed ones" };
    log(
        dir.path(),
        &[exchange(0, OK), exchange(1, Fate::Unanswered(&timeout)), exchange(2, refused)],
    )
    .await;
    let rest = r#""ms":12,"bytes_out":3,"bytes_in":4"#;
    let line = |second: u8, status: &str, more: &str| {
        format!(
            r#"{{"at":"2023-11-14T22:13:2{second}Z","method":"PATCH","path":"/crm/v3/objects/contacts/17","status":{status},{rest}{more}}}"#
        )
    };
    let lines = [
        line(0, "200", ""),
        line(1, "null", r#","error":"timeout""#),
        line(2, "null", r#","refused":"witness""#),
    ];
    assert_eq!(text(dir.path()), format!("{}\n", lines.join("\n")));
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(file(dir.path(), &run_id())).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_gathered_is_written_after_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let log = RequestLog::open(dir.path(), &run_id(), Metrics::new()).unwrap();
    log.exchanged(&exchange(0, OK));
    let began = Instant::now();
    while text(dir.path()).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(5), "nothing was written");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() >= FLUSH, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_full_queue_drops_lines_and_says_how_many() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let log = RequestLog::open(dir.path(), &run_id(), Arc::clone(&metrics)).unwrap();
    // The task shares this thread, so that it cannot take any of them meanwhile.
    for _ in 0..QUEUE + 7 {
        log.exchanged(&exchange(0, OK));
    }
    log.close().await;
    let lines = text(dir.path());
    assert_eq!(lines.lines().count(), QUEUE + 1);
    assert!(lines.contains("{\"dropped\":7}\n"), "{lines}");
    assert!(metrics.encode().unwrap().contains("reverse_sync_request_log_dropped_total 7\n"));
    let page = page(dir.path(), &run_id(), None, usize::MAX).unwrap().unwrap();
    assert_eq!((page.items.len(), page.dropped, page.next), (QUEUE, 7, None));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_costs_lines_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", file(dir.path(), &run_id())).unwrap();
    let metrics = Metrics::new();
    let log = RequestLog::open(dir.path(), &run_id(), Arc::clone(&metrics)).unwrap();
    log.exchanged(&exchange(0, OK));
    log.exchanged(&exchange(1, OK));
    log.close().await;
    assert!(metrics.encode().unwrap().contains("reverse_sync_request_log_dropped_total 2\n"));
}

#[tokio::test]
async fn a_run_that_is_taken_up_again_goes_on_after_a_torn_line() {
    let dir = tempfile::tempdir().unwrap();
    log(dir.path(), &[exchange(0, OK)]).await;
    OpenOptions::new()
        .append(true)
        .open(file(dir.path(), &run_id()))
        .unwrap()
        .write_all(br#"{"at":"2023-11-"#)
        .unwrap();
    // As long as it is torn, it is not read.
    assert_eq!(page(dir.path(), &run_id(), None, 10).unwrap().unwrap().items.len(), 1);
    log(dir.path(), &[exchange(1, OK), exchange(2, OK)]).await;
    let page = page(dir.path(), &run_id(), None, 10).unwrap().unwrap();
    assert_eq!(page.items.iter().map(second).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(rate(dir.path(), &run_id()).unwrap().unwrap().seconds.len(), 3);
}

#[tokio::test]
async fn pages_follow_each_other_and_made_up_cursors_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges: Vec<_> = (0..5).map(|second| exchange(second, OK)).collect();
    log(dir.path(), &exchanges).await;
    let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = page(dir.path(), &run_id(), after, 2).unwrap().unwrap();
        seen.extend(page.items.iter().map(second));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (vec![0, 1, 2, 3, 4], 3));
    for made_up in [1, 7, 1 << 40] {
        assert!(
            matches!(page(dir.path(), &run_id(), Some(made_up), 2), Err(ReadError::Cursor)),
            "{made_up}"
        );
    }
    assert_eq!(page(dir.path(), &"run_0123456789ab_2".parse().unwrap(), None, 2).unwrap(), None);
}

#[tokio::test]
async fn the_rate_of_a_long_run_has_wider_points_and_loses_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Fate::Refused { stage: Stage::Pacing, reason: "" };
    log(dir.path(), &[exchange(1, OK), exchange(0, OK), exchange(1, OK), exchange(1, refused)])
        .await;
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap().to_string();
    let short = rate(dir.path(), &run_id()).unwrap().unwrap();
    assert_eq!(
        short,
        Rate {
            bucket_seconds: 1,
            seconds: vec![Calls { at: at(0), calls: 1 }, Calls { at: at(1), calls: 2 }]
        }
    );

    let dir = tempfile::tempdir().unwrap();
    let exchanges: Vec<_> = (0..3_500).map(|second| exchange(second, OK)).collect();
    log(dir.path(), &exchanges).await;
    let long = rate(dir.path(), &run_id()).unwrap().unwrap();
    assert_eq!(long.bucket_seconds, 4);
    assert!(
        long.seconds.len() <= MAX_POINTS
            && long.seconds.windows(2).all(|pair| pair[0].at < pair[1].at)
    );
    assert_eq!(long.seconds.iter().map(|point| point.calls).sum::<u64>(), 3_500);
}

#[tokio::test]
async fn a_path_that_a_component_made_up_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = "ä".repeat(10_000);
    log(dir.path(), &[Exchange { path: &path, ..exchange(0, OK) }]).await;
    assert_eq!(
        page(dir.path(), &run_id(), None, 1).unwrap().unwrap().items[0].path.len(),
        MAX_PATH
    );
}

#[tokio::test]
async fn logs_go_a_week_after_their_last_line() {
    let state = tempfile::tempdir().unwrap();
    assert_eq!(sweep(state.path(), KEPT).unwrap(), 0, "there is no org yet");
    let (old, new) = (state.path().join("org_1/requests"), state.path().join("org_2/requests"));
    fs::create_dir_all(state.path().join("org_3")).unwrap();
    log(&old, &[exchange(0, OK)]).await;
    log(&new, &[exchange(0, OK)]).await;
    let days = |count: u64| SystemTime::now() - Duration::from_secs(count * 24 * 3600);
    let age = |dir: &Path, at| {
        File::options().append(true).open(file(dir, &run_id())).unwrap().set_modified(at).unwrap()
    };
    age(&old, days(8));
    age(&new, days(6));
    assert_eq!(sweep(state.path(), KEPT).unwrap(), 1);
    assert!(
        page(&old, &run_id(), None, 1).unwrap().is_none()
            && page(&new, &run_id(), None, 1).unwrap().is_some()
    );
}
