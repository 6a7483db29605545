//! The disk fails, and the power goes: what is on disk, or was said, still holds.
//!
//! In the manner of SQLite's tests. The real program runs under a tracer, which sees each of its
//! calls on the files of its state. One after the other fails once with EIO and with ENOSPC, and
//! each write is torn; and the power goes before each of them, with what was not synced lost, torn
//! or in another order. Then the program runs again, and what it promises is looked at. Each test
//! says how many cases it has tried.
//!
//! `REVERSE_SYNC_FAULTS=all` tries all there are; otherwise some are drawn by
//! `REVERSE_SYNC_FAULTS_SEED`. The tracer needs ptrace and the registers of x86-64: elsewhere than
//! on Linux there, these tests are not there.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod calls;
mod command;
mod counted;
mod disk;
mod invariants;
mod ptrace;
mod seeded;
mod service;
mod story;
mod subsystems;
mod tracer;
