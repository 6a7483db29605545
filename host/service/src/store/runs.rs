//! Runs: what was confirmed, where it stands, what it came to.

use super::{
    AuditEntry, Result, RunOptions, RunResult, Status, Store, Stored, Unreadable, each, now_ms,
    quotas::count_start, to_json, turn,
};
use reverse_sync::{
    journal::{Ending, JournalId, Problem, Response, RunId},
    plan::PlanId,
    summary::{ErrorEntry, RunSummary},
};
use serde_json::{Value, json};

/// A run as it is stored.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// The org.
    pub org_id: String,
    /// Its id.
    pub run_id: String,
    /// Its plan.
    pub plan_id: String,
    /// Its destination.
    pub destination_id: String,
    /// Where it stands.
    pub status: Status,
    /// What was asked for.
    pub options: RunOptions,
    /// What it came to.
    pub result: Option<RunResult>,
    /// The digest of the request that came with an idempotency key.
    pub request_hash: Option<String>,
    /// Who confirmed it.
    pub started_by: String,
    /// When it was confirmed.
    pub created_at: i64,
    /// When it began.
    pub started_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// When it continues, if it is queued and waits for that.
    pub due_at: Option<i64>,
    /// When the current attempt began.
    pub attempt_at: Option<i64>,
    /// Milliseconds of the attempts that have ended.
    pub worked_ms: i64,
    /// The name of its journal.
    pub journal_id: String,
    /// Whether the journal has begun, so that it must be there.
    pub begun: bool,
    /// Orders the runs of an org.
    pub number: i64,
}

/// A run that somebody has confirmed.
pub struct NewRun<'a> {
    /// The org.
    pub org_id: &'a str,
    /// Its plan.
    pub plan_id: &'a PlanId,
    /// Its destination.
    pub destination_id: &'a str,
    /// When that was last changed, as it was read to be planned and confirmed.
    pub destination_updated_at: i64,
    /// What was asked for.
    pub options: &'a RunOptions,
    /// The key that the request came with, and the digest of the request.
    pub idempotency: Option<(&'a str, &'a str)>,
    /// Who confirmed it.
    pub started_by: &'a str,
    /// The largest number of a run of this plan whose journal is there, whatever the database says.
    pub last_number: u64,
    /// What is logged about the confirmation, as JSON.
    pub detail: &'a Value,
}

/// Whether a run may begin.
pub enum Begun {
    /// It is queued.
    Queued(Box<RunRow>),
    /// A request with the same key has begun this one.
    Already(Box<RunRow>),
    /// The destination is not what it was.
    Changed,
    /// Another run of the destination, or of this plan, is running.
    Unfinished(String),
    /// The org has to wait for so many milliseconds.
    Wait(i64),
}

/// Whether a run resumes.
#[derive(Clone, Debug)]
pub enum Resumed {
    /// It is queued.
    Queued(Box<RunRow>),
    /// It has not ended early.
    Ended,
    /// This run of its destination, or of its plan, came after it.
    Superseded(String),
    /// The org has to wait for so many milliseconds.
    Wait(i64),
    /// This run of its destination is running.
    Unfinished(String),
}

/// Which runs are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunFilter<'a> {
    /// Only of this destination.
    pub destination_id: Option<&'a str>,
    /// Only in this state.
    pub status: Option<StatusFilter>,
    /// Only older ones than this number.
    pub before: Option<i64>,
}

/// States of runs that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// This one.
    Is(Status),
    /// All in which a run has not ended.
    Unfinished,
}

/// A change that was not updated, as it is stored.
struct OutcomeRow {
    outcome: String,
    row_number: i64,
    provider_id: String,
    http_status: Option<i64>,
    code: String,
    message: String,
}

impl OutcomeRow {
    fn entry(self, run_id: &str) -> Result<ErrorEntry> {
        let row = format!("{run_id}, row {}", self.row_number);
        Ok(ErrorEntry {
            outcome: serde_json::from_value(Value::String(self.outcome))
                .map_err(|error| Unreadable::new("outcomes.outcome", &row, error))?,
            row: u64::try_from(self.row_number)
                .map_err(|error| Unreadable::new("outcomes.row_number", &row, error))?,
            provider_id: self.provider_id,
            response: Response {
                status: self.http_status.and_then(|status| u16::try_from(status).ok()),
                code: self.code,
                message: self.message,
            },
        })
    }
}

/// Where a run stands: one that waits for a time is queued in the table.
macro_rules! status {
    () => {
        "CASE WHEN status = 'queued' AND due_at IS NOT NULL THEN 'waiting' ELSE status END"
    };
}
const STATUS: &str = status!();
const COLUMNS: &str = concat!(
    "org_id, run_id, plan_id, destination_id, ",
    status!(),
    " AS status, options, result, request_hash, started_by, created_at, started_at, ended_at, number, due_at, attempt_at, worked_ms, journal_id, begun"
);
/// Ends an attempt, at the time that is the third parameter.
const WORKED: &str = "worked_ms = worked_ms + CASE WHEN attempt_at IS NULL THEN 0 ELSE $3 - attempt_at END, attempt_at = NULL";
pub(super) const UNFINISHED: &str = "('queued', 'running', 'interrupted')";

super::from_row!("runs", run_id by number, RunRow {
    org_id, run_id, plan_id, destination_id, status, options, result, request_hash, started_by, created_at, started_at, ended_at, due_at, attempt_at, worked_ms, journal_id, begun => |begun: i64| begun != 0, number
});

super::from_row!(
    "outcomes",
    row_number,
    OutcomeRow { outcome, row_number, provider_id, http_status, code, message }
);

/// A run's id, as it is stored.
fn stored_id(id: &str) -> Stored<RunId> {
    id.parse().map_err(|error: String| Unreadable::new("runs.run_id", id, error))
}

/// What is logged about what somebody does to a run.
fn entry(row: &RunRow, who: &str, action: &str, detail: &Value) -> AuditEntry {
    AuditEntry {
        destination_id: Some(row.destination_id.clone()),
        plan_id: Some(row.plan_id.clone()),
        run_id: Some(row.run_id.clone()),
        ..AuditEntry::new(&row.org_id, who, action, detail)
    }
}

impl Store {
    /// Queues a run, if nothing stands against it, and logs who has confirmed it. All runs of the
    /// service take turns here, so what was counted holds.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn begin_run(&self, new: &NewRun<'_>) -> Result<Begun> {
        let mut write = self.write().await?;
        self.take_turn(&mut write, turn::RUNS).await?;
        self.fence(&mut write).await?;
        if let Some((key, _)) = new.idempotency {
            let sql = sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND idempotency_key = $2"
            ));
            if let Some(row) =
                sqlx::query_as(sql).bind(new.org_id).bind(key).fetch_optional(&mut *write).await?
            {
                return Ok(Begun::Already(Box::new(row)));
            }
        }
        // Whatever was planned and confirmed was for the destination as it was read then.
        let sql = "SELECT updated_at FROM destinations WHERE org_id = $1 AND destination_id = $2";
        let now = sqlx::query_scalar(sql)
            .bind(new.org_id)
            .bind(new.destination_id)
            .fetch_optional(&mut *write)
            .await?;
        if now != Some(new.destination_updated_at) {
            return Ok(Begun::Changed);
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT run_id FROM runs WHERE org_id = $1 AND (destination_id = $2 OR plan_id = $3) AND status IN {UNFINISHED} LIMIT 1"
        ));
        let asked = sqlx::query_scalar(sql)
            .bind(new.org_id)
            .bind(new.destination_id)
            .bind(new.plan_id.as_str());
        if let Some(run_id) = asked.fetch_optional(&mut *write).await? {
            return Ok(Begun::Unfinished(run_id));
        }
        if let Some(wait) = self.must_wait(&mut write, new.org_id).await? {
            return Ok(Begun::Wait(wait));
        }
        let sql = "SELECT run_id FROM runs WHERE org_id = $1 AND plan_id = $2";
        let earlier: Vec<String> = sqlx::query_scalar(sql)
            .bind(new.org_id)
            .bind(new.plan_id.as_str())
            .fetch_all(&mut *write)
            .await?;
        let mut last_number = new.last_number;
        for id in earlier {
            last_number = last_number.max(stored_id(&id)?.number());
        }
        let run_id = RunId::new(new.plan_id, last_number + 1);
        let now = now_ms();
        sqlx::query(
            "INSERT INTO runs (org_id, run_id, plan_id, destination_id, status, options, idempotency_key, request_hash, started_by, created_at, \
             number, journal_id) \
             VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, (SELECT COALESCE(MAX(number), 0) + 1 FROM runs WHERE org_id = $10), $11)",
        )
        .bind(new.org_id)
        .bind(run_id.as_str())
        .bind(new.plan_id.as_str())
        .bind(new.destination_id)
        .bind(to_json(new.options))
        .bind(new.idempotency.map(|(key, _)| key))
        .bind(new.idempotency.map(|(_, hash)| hash))
        .bind(new.started_by)
        .bind(now)
        .bind(new.org_id)
        .bind(JournalId::random().as_str())
        .execute(&mut *write)
        .await?;
        count_start(&mut write, new.org_id, now).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND run_id = $2"
        ));
        let row: RunRow = sqlx::query_as(sql)
            .bind(new.org_id)
            .bind(run_id.as_str())
            .fetch_one(&mut *write)
            .await?;
        self.log_within(&mut write, &entry(&row, new.started_by, "run.begin", new.detail)).await?;
        write.commit().await?;
        Ok(Begun::Queued(Box::new(row)))
    }

    /// The run that a request with this key has begun.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn run_by_key(&self, org_id: &str, idempotency_key: &str) -> Result<Option<RunRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND idempotency_key = $2"
        ));
        Ok(sqlx::query_as(sql)
            .bind(org_id)
            .bind(idempotency_key)
            .fetch_optional(&self.reads)
            .await?)
    }

    /// One run.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn run(&self, org_id: &str, run_id: &str) -> Result<Option<RunRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND run_id = $2"
        ));
        Ok(sqlx::query_as(sql).bind(org_id).bind(run_id).fetch_optional(&self.reads).await?)
    }

    /// The newest run of a plan.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn last_run_of_plan(&self, org_id: &str, plan_id: &str) -> Result<Option<RunRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND plan_id = $2 ORDER BY number DESC LIMIT 1"
        ));
        Ok(sqlx::query_as(sql).bind(org_id).bind(plan_id).fetch_optional(&self.reads).await?)
    }

    /// Runs, the newest first.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn runs(
        &self,
        org_id: &str,
        filter: RunFilter<'_>,
        limit: i64,
    ) -> Result<Vec<Stored<RunRow>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND ($2 = '' OR destination_id = $3) AND ($4 = '' OR {STATUS} = $5 OR ($5 = 'unfinished' AND status IN {UNFINISHED})) AND number < $6 \
             ORDER BY number DESC LIMIT $7"
        ));
        let (destination, status) = (
            filter.destination_id.unwrap_or_default(),
            match filter.status {
                None => "",
                Some(StatusFilter::Is(status)) => status.as_str(),
                Some(StatusFilter::Unfinished) => "unfinished",
            },
        );
        let rows = sqlx::query(sql)
            .bind(org_id)
            .bind(destination)
            .bind(destination)
            .bind(status)
            .bind(status)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(&self.reads)
            .await?;
        each(&rows)
    }

    /// The run of a destination that is running, if there is one.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn unfinished_run(
        &self,
        org_id: &str,
        destination_id: &str,
    ) -> Result<Option<String>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT run_id FROM runs WHERE org_id = $1 AND destination_id = $2 AND status IN {UNFINISHED} LIMIT 1"
        ));
        Ok(sqlx::query_scalar(sql)
            .bind(org_id)
            .bind(destination_id)
            .fetch_optional(&self.reads)
            .await?)
    }

    /// Runs that had not ended when the service stopped, oldest first. A run that waits for a time
    /// is not among them before that time.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn unfinished_runs(&self) -> Result<Vec<Stored<RunRow>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE status IN {UNFINISHED} AND (due_at IS NULL OR due_at <= $1) ORDER BY created_at, org_id, number"
        ));
        each(&sqlx::query(sql).bind(now_ms()).fetch_all(&self.reads).await?)
    }

    /// Runs that have something left to do, whether by themselves or when somebody resumes them:
    /// org, run and plan of each.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn pending_runs(&self) -> Result<Vec<Stored<(String, RunId, PlanId)>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT org_id, run_id, plan_id FROM runs WHERE status IN {UNFINISHED} OR status = 'stopped'"
        ));
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(sql).fetch_all(&self.reads).await?;
        let read = |(org_id, id, plan_id): (String, String, String)| {
            let plan_id = plan_id.parse();
            let plan_id =
                plan_id.map_err(|error: String| Unreadable::new("runs.plan_id", &id, error))?;
            Ok((org_id, stored_id(&id)?, plan_id))
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Says that the journal of a run has begun: from now on it must be there.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn run_has_journal(&self, org_id: &str, run_id: &str) -> Result<()> {
        let mut write = self.write().await?;
        self.fence(&mut write).await?;
        let sql = "UPDATE runs SET begun = 1 WHERE org_id = $1 AND run_id = $2";
        sqlx::query(sql).bind(org_id).bind(run_id).execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }

    /// Lets a run wait until a time, with its results so far.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn wait_run(
        &self,
        org_id: &str,
        run_id: &str,
        due_at: i64,
        result: &RunSummary,
    ) -> Result<()> {
        let mut write = self.write().await?;
        self.fence(&mut write).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE runs SET status = 'queued', due_at = $1, result = $2, {WORKED} WHERE org_id = $4 AND run_id = $5 AND status IN {UNFINISHED}"
        ));
        sqlx::query(sql)
            .bind(due_at)
            .bind(to_json(result))
            .bind(now_ms())
            .bind(org_id)
            .bind(run_id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(())
    }

    /// Says where a run stands now, while it has not ended.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn set_run_status(&self, org_id: &str, run_id: &str, status: Status) -> Result<()> {
        let mut write = self.write().await?;
        self.fence(&mut write).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "UPDATE runs SET status = $1, ended_at = NULL, due_at = NULL, started_at = CASE WHEN $2 = 1 THEN COALESCE(started_at, $3) ELSE started_at END, \
             attempt_at = CASE WHEN $2 = 1 THEN $3 END \
             WHERE org_id = $4 AND run_id = $5 AND status IN {UNFINISHED}"
        ));
        sqlx::query(sql)
            .bind(status.as_str())
            .bind(i64::from(status == Status::Running))
            .bind(now_ms())
            .bind(org_id)
            .bind(run_id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(())
    }

    /// Queues a run again that ended early, unless another run of its destination is running or has
    /// begun since: what that one has written would be taken for this one's. Whoever asked it to
    /// stop has no word any more, and it is logged.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn resume_run(&self, org_id: &str, run_id: &str, who: &str) -> Result<Resumed> {
        let mut write = self.write().await?;
        self.take_turn(&mut write, turn::RUNS).await?;
        self.fence(&mut write).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND run_id = $2"
        ));
        let stopped: Option<RunRow> =
            sqlx::query_as(sql).bind(org_id).bind(run_id).fetch_optional(&mut *write).await?;
        let Some(stopped) = stopped else { return Ok(Resumed::Ended) };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT run_id, CASE WHEN status IN {UNFINISHED} THEN 1 ELSE 0 END AS unfinished FROM runs \
             WHERE org_id = $1 AND (destination_id = $2 OR plan_id = $3) AND (status IN {UNFINISHED} OR number > $4) ORDER BY number DESC LIMIT 1"
        ));
        let asked = sqlx::query_as::<_, (String, i64)>(sql)
            .bind(org_id)
            .bind(&stopped.destination_id)
            .bind(&stopped.plan_id)
            .bind(stopped.number);
        if let Some((run_id, unfinished)) = asked.fetch_optional(&mut *write).await? {
            return Ok(if unfinished == 1 {
                Resumed::Unfinished(run_id)
            } else {
                Resumed::Superseded(run_id)
            });
        }
        if stopped.status != Status::Stopped {
            return Ok(Resumed::Ended);
        }
        if let Some(wait) = self.must_wait(&mut write, org_id).await? {
            return Ok(Resumed::Wait(wait));
        }
        let options = RunOptions { cancelled: false, ..stopped.options.clone() };
        sqlx::query("UPDATE runs SET status = 'queued', options = $1, ended_at = NULL WHERE org_id = $2 AND run_id = $3")
            .bind(to_json(&options))
            .bind(org_id)
            .bind(run_id)
            .execute(&mut *write)
            .await?;
        count_start(&mut write, org_id, now_ms()).await?;
        self.log_within(&mut write, &entry(&stopped, who, "run.resume", &json!({}))).await?;
        write.commit().await?;
        let queued = RunRow { status: Status::Queued, options, ended_at: None, ..stopped };
        Ok(Resumed::Queued(Box::new(queued)))
    }

    /// Keeps in mind, and logs, that somebody has asked a run to stop, so that it does not continue by
    /// itself after a restart.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn cancel_run(&self, org_id: &str, run_id: &str, who: &str) -> Result<()> {
        let mut write = self.write().await?;
        self.take_turn(&mut write, turn::RUNS).await?;
        self.fence(&mut write).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM runs WHERE org_id = $1 AND run_id = $2 AND status IN {UNFINISHED}"
        ));
        let row: Option<RunRow> =
            sqlx::query_as(sql).bind(org_id).bind(run_id).fetch_optional(&mut *write).await?;
        let Some(row) = row else { return Ok(()) };
        let options = RunOptions { cancelled: true, ..row.options.clone() };
        sqlx::query("UPDATE runs SET options = $1 WHERE org_id = $2 AND run_id = $3")
            .bind(to_json(&options))
            .bind(org_id)
            .bind(run_id)
            .execute(&mut *write)
            .await?;
        self.log_within(&mut write, &entry(&row, who, "run.cancel", &json!({}))).await?;
        write.commit().await?;
        Ok(())
    }

    /// Ends a run: its state, its problems and its row in the audit log, all or nothing.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn end_run(
        &self,
        org_id: &str,
        run_id: &str,
        status: Status,
        result: &RunSummary,
        problems: &[(Ending, Problem)],
        audit: &AuditEntry,
    ) -> Result<()> {
        let mut write = self.write().await?;
        self.fence(&mut write).await?;
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE runs SET status = $1, result = $2, ended_at = $3, due_at = NULL, {WORKED} WHERE org_id = $4 AND run_id = $5 AND status IN {UNFINISHED}"
        )))
        .bind(status.as_str())
        .bind(to_json(result))
        .bind(now_ms())
        .bind(org_id)
        .bind(run_id)
        .execute(&mut *write)
        .await?;
        if done.rows_affected() == 0 {
            // Its end is on record already.
            return Ok(());
        }
        sqlx::query("DELETE FROM outcomes WHERE org_id = $1 AND run_id = $2")
            .bind(org_id)
            .bind(run_id)
            .execute(&mut *write)
            .await?;
        for (ending, problem) in problems {
            sqlx::query(
                "INSERT INTO outcomes (org_id, run_id, change_number, outcome, row_number, provider_id, http_status, code, message) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(org_id)
            .bind(run_id)
            .bind(problem.change() as i64)
            .bind(match ending {
                Ending::Failed => "failed",
                Ending::Drifted => "drifted",
                Ending::Unknown => "unknown",
            })
            .bind(problem.row as i64)
            // PostgreSQL's text has no zero characters.
            .bind(problem.provider_id.replace('\0', ""))
            .bind(problem.status.map(i64::from))
            .bind(problem.code.replace('\0', ""))
            .bind(problem.message.replace('\0', ""))
            .execute(&mut *write)
            .await?;
        }
        self.log_within(&mut write, audit).await?;
        write.commit().await?;
        Ok(())
    }

    /// The first changes of a run that were not updated.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn problems(
        &self,
        org_id: &str,
        run_id: &str,
        limit: i64,
    ) -> Result<Vec<ErrorEntry>> {
        let sql = "SELECT outcome, row_number, provider_id, http_status, code, message FROM outcomes WHERE org_id = $1 AND run_id = $2 \
                   ORDER BY change_number LIMIT $3";
        let rows: Vec<OutcomeRow> = sqlx::query_as(sql)
            .bind(org_id)
            .bind(run_id)
            .bind(limit)
            .fetch_all(&self.reads)
            .await?;
        rows.into_iter().map(|row| row.entry(run_id)).collect()
    }
}
