//! One request takes neither the service's memory nor its last connection.

use super::world::{new_names, service_with, until};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, GzipLevel, ZstdLevel},
    file::properties::{WriterProperties, WriterPropertiesBuilder},
};
use reverse_sync_tests::service::{Database, Service};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use sqlx::{AnyConnection, Connection};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

/// What the service may have had in memory at any time, in bytes.
const MOST: u64 = 300 << 20;

/// The most memory that the service has had.
fn peak(service: &Service) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", service.process_id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A small file of so many columns, whose one text is there so many times.
fn parquet(
    columns: usize,
    rows: usize,
    text: &str,
    properties: WriterPropertiesBuilder,
) -> Vec<u8> {
    let ids =
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| row.to_string()))) as ArrayRef;
    let texts = Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
    let named = (0..columns).map(|column| (format!("c{column}"), Arc::clone(&texts)));
    let batch =
        RecordBatch::try_from_iter(std::iter::once(("hs_object_id".to_owned(), ids)).chain(named))
            .unwrap();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Pages of any size, each with all values in it.
fn plain(codec: Compression) -> WriterPropertiesBuilder {
    let sizes =
        WriterProperties::builder().set_dictionary_enabled(false).set_encoding(Encoding::PLAIN);
    sizes.set_data_page_size_limit(1 << 30).set_compression(codec)
}

#[tokio::test]
async fn no_request_takes_the_services_memory() {
    sqlx::any::install_default_drivers();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("empty.db");
    let url = format!("sqlite://{}", database.display());
    AnyConnection::connect(&format!("{url}?mode=rwc")).await.unwrap().close().await.unwrap();
    let allowed = folder.path().to_str().unwrap();
    let service = service_with(Database::Sqlite, &["--golden-sqlite", allowed]).await;
    let org = service.org("acme").await.unwrap();
    let golden = "/golden/person";
    org.admin.put(golden, "text/csv", new_names(0..3)).await.is(200);
    let kind = "application/vnd.apache.parquet";

    let long = "x".repeat(1 << 20);
    let files = [
        (
            "pages that unpack to 600 MiB",
            parquet(1, 600, &long, plain(Compression::ZSTD(ZstdLevel::default()))),
            "256 MiB",
        ),
        (
            "the same in gzip",
            parquet(1, 600, &long, plain(Compression::GZIP(GzipLevel::default()))),
            "256 MiB",
        ),
        ("many columns of 40 MiB", parquet(20, 40, &long, plain(Compression::SNAPPY)), "256 MiB"),
        (
            "one text, 16,000 times",
            parquet(16, 1_000, &long[..900_000], WriterProperties::builder()),
            "longer than 1 MiB",
        ),
        (
            "texts that repeat the one before",
            parquet(
                1,
                600,
                &long,
                plain(Compression::SNAPPY).set_encoding(Encoding::DELTA_BYTE_ARRAY),
            ),
            "DELTA_BYTE_ARRAY",
        ),
    ];
    for (what, file, says) in files {
        let size = file.len();
        let problem = org.admin.put(golden, kind, file).await.problem(422, &[says]);
        assert!(
            peak(&service) < MOST,
            "{what}, {size} bytes: {} MB; {problem}",
            peak(&service) >> 20
        );
    }
    for sql in [
        "SELECT hex(zeroblob(900000000)) AS id",
        "SELECT 1 AS id, replace(hex(zeroblob(100000)), '0', hex(zeroblob(100000))) AS t",
    ] {
        let query = json!({"database_url": url, "query": sql});
        org.admin.call("PUT", golden).json(&query).send().await.problem(422, &["too big"]);
        assert!(peak(&service) < MOST, "{sql}: {} MB", peak(&service) >> 20);
    }
    // What was there is there.
    assert_eq!(org.admin.get(golden).await.is(200)["records"], 3);
}

#[tokio::test]
async fn clients_that_do_not_read_leave_room_for_others() {
    // Each is a file of this process too.
    let limit = getrlimit(Resource::Nofile);
    let current = Some(limit.maximum.map_or(4_096, |most| most.min(4_096)));
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    let service = service_with(Database::Sqlite, &[]).await;
    let address = service.place().address().replace("http://", "");
    let asks = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
    let mut crowd = Vec::new();
    for _ in 0..1_400 {
        let Ok(mut stream) = TcpStream::connect(&address) else { continue };
        // Some have no room, and are told so.
        let _ = stream.write_all(asks.as_bytes());
        crowd.push(stream);
    }
    assert!(crowd.len() > 1_200, "only {} connections", crowd.len());
    for _ in 0..20 {
        let health = until("the service to answer about its health", async || {
            let mut stream = TcpStream::connect(&address).ok()?;
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.starts_with("HTTP/1.1 200").then_some(answer)
        });
        health.await;
    }
    assert!(peak(&service) < MOST, "{} MB", peak(&service) >> 20);
    drop(crowd);
}
