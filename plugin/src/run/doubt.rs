//! What is said of a change that may have been written, where nothing proves that it was.

use crate::contract::changes::Failure;

/// What may have been written, and holds neither that nor what was there before.
pub(super) fn changed_in_doubt(id: &str, what: &str) -> Failure {
    Failure::ours(
        "changed_in_doubt",
        format!(
            "record {id} may have been written; no answer came, and it has changed since: {what}. It is not written again. Look at it in the CRM, then plan again"
        ),
    )
}

/// Nothing can be read about a change that may have been written.
pub(super) fn unreadable(id: &str, why: &str) -> Failure {
    Failure::ours(
        "unsettled",
        format!(
            "record {id} may have been written; no answer came, and it cannot be read ({why}). Look at it in the CRM"
        ),
    )
}

/// A record that may have been written is gone since.
pub(super) fn gone_in_doubt(failure: Failure) -> Failure {
    let message = format!(
        "{}. It may have been written before that, because an update of it got no answer",
        failure.message
    );
    Failure { message, ..failure }
}

/// A write got no answer, and its repetition was refused.
pub(super) fn refused(id: &str, failure: &Failure) -> Failure {
    let message = format!(
        "an update of record {id} got no answer and may have been applied; sent again, it was refused ({}). Look at it in the CRM",
        failure.message
    );
    Failure { message, ..failure.clone() }
}

/// Sent several times, and never answered.
pub(super) fn no_answer(id: &str, times: u32, why: &str) -> Failure {
    Failure::ours(
        "no_answer",
        format!(
            "record {id} was sent {times} times without an answer (the last time: {why}), and nothing shows that it was written. Plan again to see what it holds"
        ),
    )
}

pub(super) fn silent(id: &str) -> Failure {
    Failure::ours(
        "not_acknowledged",
        format!(
            "the CRM took the update of record {id} twice without naming it in its answer, and nothing shows that it was written. Look at it in the CRM"
        ),
    )
}
