//! How each attack ends. Each `match` has an arm for each attack: one without does not compile.

use crm_simulator::Fault;
use hostile_attacks::{
    Attack, Costs, Jobs, Outcomes, Planning, Requests, Surroundings, Verifying, Wire,
};
use reverse_sync_tests::crm::TOKEN;
use std::time::Duration;

/// How a call ends.
pub(super) enum Ends {
    /// There is no plan, and nothing is kept; the error says this.
    NoPlan(&'static str),
    /// There is a plan of so many changes.
    Plans(u64),
    /// The run stops, nothing counts as updated, and its message says this.
    Stops(&'static str),
    /// The run ends; so many changes have failed, so many are unknown with this code, and none
    /// ended well.
    Runs { failed: u64, unknown: u64, code: &'static str },
    /// The check of what was written fails; the error says this.
    NoCheck(&'static str),
    /// The check ends, and none of the records counts as read.
    Unreadable,
}

/// What an attack comes to.
pub(super) struct Expected {
    pub(super) ends: Ends,
    /// What the log says.
    pub(super) logs: &'static str,
    /// Requests that egress refuses.
    pub(super) refused: u64,
    /// Requests that the CRM sees, and records that they write.
    pub(super) requests: usize,
    pub(super) writes: usize,
    /// Golden records.
    pub(super) rows: usize,
    /// What goes wrong in the CRM.
    pub(super) fault: Option<Fault>,
    pub(super) deadline: Option<Duration>,
    /// How an attempt before this one ends.
    pub(super) first: Option<&'static str>,
}

impl Expected {
    fn with(ends: Ends) -> Expected {
        Expected {
            ends,
            logs: "",
            refused: 0,
            requests: 0,
            writes: 0,
            rows: 3,
            fault: None,
            deadline: None,
            first: None,
        }
    }

    fn after(self, requests: usize, writes: usize) -> Expected {
        Expected { requests, writes, ..self }
    }

    fn rows(self, rows: usize) -> Expected {
        Expected { rows, ..self }
    }

    fn fault(self, fault: Fault) -> Expected {
        Expected { fault: Some(fault), ..self }
    }
}

/// The host refuses the request for this reason.
fn refused(logs: &'static str) -> Expected {
    Expected { logs, refused: 1, ..stops("refused ErrorCode::HttpRequestDenied") }
}

fn stops(says: &'static str) -> Expected {
    Expected::with(Ends::Stops(says))
}

fn no_plan(says: &'static str) -> Expected {
    Expected::with(Ends::NoPlan(says))
}

fn runs(failed: u64, unknown: u64, code: &'static str) -> Expected {
    Expected::with(Ends::Runs { failed, unknown, code })
}

fn no_check(says: &'static str) -> Expected {
    Expected::with(Ends::NoCheck(says))
}

pub(super) fn expected(attack: Attack) -> Expected {
    match attack {
        Attack::Planning(attack) => planning(attack),
        Attack::Requests(attack) => requests(attack),
        Attack::Wire(attack) => wire(attack),
        Attack::Outcomes(attack) => outcomes(attack),
        Attack::Costs(attack) => costs(attack),
        Attack::Surroundings(attack) => surroundings(attack),
        Attack::Jobs(attack) => jobs(attack),
        Attack::Verifying(attack) => verifying(attack),
    }
}

fn planning(attack: Planning) -> Expected {
    let spun = || no_plan("processor time");
    let no_change = || no_plan("something that is not a change, for row 1");
    let no_id = || no_plan("cannot be a record id");
    let unfit = || no_plan("do not fit together");
    let too_long = || no_plan("are longer than 2097152 bytes");
    let nothing_leaves = || no_plan("HttpRequestDenied");
    match attack {
        Planning::Twice => no_plan("row 1 was decided twice"),
        Planning::Lose => {
            no_plan("1 rows were read and neither planned nor skipped, the first is row 1")
        }
        Planning::Invent | Planning::SkipNoRow => no_plan("was decided before it was read"),
        Planning::Descend => no_plan("changes have to ascend"),
        Planning::Smuggle
        | Planning::FieldTwice
        | Planning::FieldEscaped
        | Planning::NoField
        | Planning::RawControl => no_change(),
        Planning::SmuggleBefore => no_change(),
        Planning::BadId | Planning::NulId | Planning::PathId | Planning::LongId => no_id(),
        // Both claim the record, and which of them is right nobody can tell.
        Planning::SameId => Expected::with(Ends::Plans(0)),
        Planning::Uneven | Planning::Offsets | Planning::SplitCharacter | Planning::ReasonLong => {
            unfit()
        }
        Planning::FlagLong => no_plan("it flagged rows in more than 1000 bytes"),
        Planning::ErrorLong => no_plan("xxx"),
        Planning::Reasons => unfit().rows(101),
        Planning::Repaint => Expected::with(Ends::Plans(3)),
        Planning::Spin | Planning::PushNothing | Planning::SkipNothing => spun(),
        Planning::Remarks | Planning::Guards | Planning::Columns => too_long(),
        Planning::FlagOften | Planning::FlagUnread => {
            no_plan("more than 16 times as many as it has")
        }
        Planning::EatMemory => no_plan("memory allocation"),
        Planning::Panic => no_plan("a guest that panics"),
        Planning::Write | Planning::Read | Planning::OtherHost => nothing_leaves(),
    }
}

fn requests(attack: Requests) -> Expected {
    let not_granted = || refused("no granted capability covers");
    let other_form = || refused("not in the granted form");
    let other_values = || refused("are not the confirmed ones");
    let other_media = || refused("the header `content-type` is not that of the granted body");
    let not_in_hand = || refused("is not among the confirmed changes in hand");
    match attack {
        Requests::Create => refused("no granted capability covers POST /crm/v3/objects/contacts"),
        Requests::Delete => refused("no granted capability covers DELETE"),
        Requests::Archive => {
            refused("no granted capability covers POST /crm/v3/objects/contacts/batch/archive")
        }
        Requests::OtherObject => {
            refused("no granted capability covers POST /crm/v3/objects/companies")
        }
        Requests::Upsert
        | Requests::Put
        | Requests::ReadOtherObject
        | Requests::ReadAll
        | Requests::ReadSearch => not_granted(),
        Requests::DotSegments
        | Requests::EncodedDots
        | Requests::EncodedId
        | Requests::DoubleSlash => not_granted(),
        Requests::TrailingSlash | Requests::UpperCase => not_granted(),
        Requests::OtherHost => refused("requests may go to"),
        Requests::OtherId => refused("record 492564112142 is not among the confirmed changes"),
        Requests::SettledId | Requests::ReadOutside => not_in_hand(),
        Requests::OtherField | Requests::OtherValue | Requests::SwappedValues => other_values(),
        Requests::IdProperty
        | Requests::MoreMembers
        | Requests::Space
        | Requests::ByteOrderMark
        | Requests::NoRecord => other_form(),
        Requests::SameIdTwice => refused("is named twice"),
        Requests::EscapedId => refused("expected a record id"),
        Requests::SecondDocument => refused("the body continues after its template ended"),
        Requests::OwnAuthorization => refused("the guest set `authorization` itself"),
        Requests::OwnCookie => refused("the guest set `cookie` itself"),
        Requests::OwnProxyAuthorization => refused("the guest set `proxy-authorization` itself"),
        Requests::MethodOverride => refused("the header `x-http-method-override` is not granted"),
        Requests::MethodInQuery => refused("the query key `_HttpMethod` is not granted"),
        Requests::OtherMedia | Requests::Multipart => other_media(),
        Requests::ContentEncoding => refused("the header `content-encoding` is not granted"),
        Requests::OriginalUrl => refused("the header `x-original-url` is not granted"),
        Requests::Expect => refused("the header `expect` is not granted"),
        Requests::Query => refused("the query key `archived` is not granted"),
        Requests::FollowRedirect => {
            refused("requests may go to").after(1, 0).fault(Fault::Status(307))
        }
    }
}

fn wire(attack: Wire) -> Expected {
    match attack {
        Wire::HostHeader | Wire::TransferEncoding | Wire::Connection => {
            stops("no header: HeaderError::Forbidden")
        }
        Wire::LineInHeader => stops("no header: HeaderError::InvalidSyntax"),
        Wire::LateHeaders => stops("no header: HeaderError::Immutable"),
        Wire::HugeHeader | Wire::ManyHeaders => stops("total size of fields exceeds limit"),
        Wire::Upgrade => refused("the header `upgrade` is not granted"),
        Wire::Userinfo | Wire::UserOfHost | Wire::OtherPort => refused("requests may go to"),
        Wire::OtherScheme => stops("refused ErrorCode::HttpProtocolError"),
        Wire::AbsoluteForm | Wire::LineInPath => stops("no path"),
        Wire::LineInMethod => stops("no method"),
        Wire::Connect => refused("no granted capability covers CONNECT"),
        Wire::ShortLength => stops("refused no room"),
        Wire::LongLength => stops("refused no end"),
        Wire::TwoLengths => stops("no header: HeaderError::InvalidSyntax"),
        // What comes after a body does not leave.
        Wire::Trailers => stops("answered 200").after(1, 1),
        Wire::LateBody => refused("are not the confirmed ones"),
        Wire::SettledMeanwhile => refused("is not among the confirmed changes in hand"),
        // What it calls itself does not leave.
        Wire::UserAgent => stops("answered 200").after(1, 1),
    }
}

fn outcomes(attack: Outcomes) -> Expected {
    match attack {
        Outcomes::ClaimUpdated | Outcomes::ClaimUnchanged | Outcomes::ClaimDrifted => {
            runs(0, 3, "no_evidence")
        }
        Outcomes::ClaimRead => runs(0, 3, "no_evidence").after(1, 0),
        Outcomes::ClaimUntouched => runs(0, 3, "no_evidence").after(2, 1),
        Outcomes::ClaimRefused => runs(0, 3, "no_evidence").after(1, 0).fault(Fault::Status(400)),
        Outcomes::NoOutcome => runs(0, 3, "no_outcome"),
        Outcomes::OtherRow | Outcomes::OutcomeTwice => stops("not in hand"),
        Outcomes::OutcomeUneven => stops("1 statuses for 3 rows"),
        Outcomes::OthersProblem | Outcomes::ForgedLine => runs(3, 0, ""),
        Outcomes::WrittenAgain => {
            let once = stops("Ok(\"200\") then refused ErrorCode::HttpRequestDenied").after(1, 1);
            Expected { logs: "was written already", refused: 1, ..once }
        }
        Outcomes::WrittenAndFailed => runs(2, 1, "acknowledged").after(1, 1),
        Outcomes::WrittenOften => Expected { refused: 1, ..stops("8 answers").after(8, 8) },
        Outcomes::RememberMuch => stops("wanted to remember more than"),
    }
}

fn costs(attack: Costs) -> Expected {
    let spun = || stops("processor time");
    match attack {
        Costs::ManyAtOnce => stops("100 answers").after(100, 0),
        // It waits for itself.
        Costs::HoardAnswers => Expected {
            deadline: Some(Duration::from_secs(1)),
            ..stops("its deadline").after(32, 0)
        },
        Costs::HoardRequests | Costs::HoardPollables => stops("table"),
        Costs::HoardBodies => stops("in 20 bodies"),
        Costs::HoardMethods | Costs::HoardHosts => stops("0 kept"),
        Costs::Hoard => stops("without reporting").rows(70_000),
        Costs::Spin
        | Costs::PushNothing
        | Costs::NextNothing
        | Costs::SpinAsking
        | Costs::Chatter => spun(),
        Costs::PollMuch => stops("store handle limit exceeded"),
        Costs::ManyProblems => stops("20000 problems of 3 rows"),
        Costs::SameBytes | Costs::SameBytesInError => stops("fuel"),
        Costs::ErrorLong => stops("xxx"),
        Costs::RefusedOften => {
            Expected { refused: 30, logs: "they are counted", ..stops("30 refused") }
        }
        Costs::RandomBytes => stops("exceeds limit"),
        Costs::Sleep => {
            Expected { deadline: Some(Duration::from_millis(300)), ..stops("its deadline") }
        }
        Costs::EatMemory => stops("memory allocation"),
        Costs::Recurse => stops("stack"),
    }
}

fn surroundings(attack: Surroundings) -> Expected {
    match attack {
        Surroundings::Tcp | Surroundings::Udp => stops("no socket"),
        Surroundings::Names => stops("no name"),
        Surroundings::Files => stops("nothing to see"),
        // The write went out with the token; it finds its own control, and not that.
        Surroundings::ScanMemory => stops("200 found=false control=true 14").after(1, 1),
        Surroundings::EchoedToken => stops("refused ErrorCode::HttpProtocolError")
            .after(1, 0)
            .fault(Fault::WrongBody(format!("you sent {TOKEN}"))),
        Surroundings::CarriedOver => stops("1 calls"),
        Surroundings::Exit => stops("exit"),
        Surroundings::Trap => stops("unreachable"),
    }
}

fn jobs(attack: Jobs) -> Expected {
    let opened = |logs| refused(logs).after(1, 0);
    let other_values = || opened("are not the confirmed values");
    match attack {
        Jobs::OtherValue
        | Jobs::SwappedColumns
        | Jobs::SwappedRows
        | Jobs::Clears
        | Jobs::Unquoted
        | Jobs::Formula => other_values(),
        Jobs::ExtraColumn => other_values(),
        Jobs::ExtraRow => opened("is not among the confirmed changes in hand"),
        Jobs::Twice => opened("is named twice"),
        Jobs::FieldLeftOut | Jobs::OtherField => {
            opened("the confirmed field `Title` has no column")
        }
        Jobs::ColumnTwice => opened("the column `Title` is there twice"),
        Jobs::LineEnds => opened("expected the end of the header"),
        Jobs::BlankLine => opened("expected a row that begins with a record id"),
        Jobs::OtherIdColumn => opened("the first column is `Email`, not `Id`"),
        Jobs::OtherMedia => opened("the header `content-type` is not that of the granted body"),
        Jobs::OtherJob | Jobs::ReadOtherJob => opened("is not a job that this run has opened"),
        Jobs::CloseWords | Jobs::AbortWords => refused("not in the granted form").after(2, 0),
        Jobs::OpenDelete | Jobs::OpenInsert => refused("not in the granted form"),
        Jobs::RecalledJob => Expected {
            first: Some("on with the second attempt"),
            ..refused("is not a job that this run has opened")
        },
        // The ninth upload does not leave; its job stays open and does nothing. Eight times three
        // records.
        Jobs::Again => {
            Expected { refused: 1, logs: "was written already", ..stops("8 uploads").after(25, 24) }
        }
        Jobs::ClaimUploaded => runs(0, 3, "no_evidence").after(2, 0),
        Jobs::ClaimClosed => runs(0, 3, "no_evidence").after(13, 3),
    }
}

fn verifying(attack: Verifying) -> Expected {
    match attack {
        Verifying::Write => no_check("HttpRequestDenied"),
        Verifying::Outside => no_check("HttpRequestDenied"),
        Verifying::Nothing => no_check("3"),
        Verifying::OtherRow | Verifying::Twice => no_check("not in hand"),
        Verifying::Uneven => no_check("do not fit together"),
        Verifying::Lie => Expected::with(Ends::Unreadable),
        Verifying::Spin => no_check("processor time"),
    }
}
