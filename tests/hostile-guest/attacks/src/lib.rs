//! The attacks, each with its name. The guest does them and the tests say how each has to end, both
//! in a `match` without a rest: an attack that nobody expects does not compile, nor does an
//! expectation without an attack.

#![no_std]

macro_rules! attacks {
    ($($(#[$of:meta])* $kind:ident { $($(#[$about:meta])* $attack:ident = $name:literal,)* })*) => {
        $(
            $(#[$of])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $kind { $($(#[$about])* $attack,)* }

            impl $kind {
                /// All of this kind.
                pub const ALL: &[$kind] = &[$($kind::$attack,)*];
            }
        )*

        /// An attack of any kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Attack { $($(#[$of])* $kind($kind),)* }

        impl Attack {
            /// All of them.
            pub const ALL: &[Attack] = &[$($(Attack::$kind($kind::$attack),)*)*];

            /// What `config_json.attack` says, and the threat model.
            pub const fn name(self) -> &'static str {
                match self { $($(Attack::$kind($kind::$attack) => $name,)*)* }
            }

            /// The attack of this name.
            pub fn named(name: &str) -> Option<Attack> {
                Attack::ALL.iter().copied().find(|attack| attack.name() == name)
            }
        }
    };
}

attacks! {
    /// On planning.
    Planning {
        /// A row is decided twice.
        Twice = "plan_twice",
        /// A row is never decided.
        Lose = "plan_lose",
        /// A row is decided that was never read.
        Invent = "plan_invent",
        /// Row 0 is skipped.
        SkipNoRow = "plan_skip_no_row",
        /// Rows descend.
        Descend = "plan_descend",
        /// A second record hides in the JSON of a change.
        Smuggle = "plan_smuggle",
        /// The previous values are not JSON.
        SmuggleBefore = "plan_smuggle_before",
        /// A field is there twice.
        FieldTwice = "plan_field_twice",
        /// A field is there twice, once escaped.
        FieldEscaped = "plan_field_escaped",
        /// A change without a field.
        NoField = "plan_no_field",
        /// A line break within a text.
        RawControl = "plan_raw_control",
        /// An id that ends a JSON string.
        BadId = "plan_bad_id",
        /// An id with a NUL.
        NulId = "plan_nul_id",
        /// An id that is a path.
        PathId = "plan_path_id",
        /// An id longer than any.
        LongId = "plan_long_id",
        /// Two rows for one record.
        SameId = "plan_same_id",
        /// More rows than ids.
        Uneven = "plan_uneven",
        /// Offsets that descend.
        Offsets = "plan_offsets",
        /// An offset within a character.
        SplitCharacter = "plan_split_character",
        /// A warning that would repaint the terminal.
        Repaint = "plan_repaint",
        /// Spins.
        Spin = "plan_spin",
        /// Pushes no change, for ever.
        PushNothing = "plan_push_nothing",
        /// Skips no row, for ever.
        SkipNothing = "plan_skip_nothing",
        /// Warns for ever.
        Remarks = "plan_remarks",
        /// Raises guards for ever.
        Guards = "plan_guards",
        /// Drops columns for ever.
        Columns = "plan_columns",
        /// Flags a row for ever.
        FlagOften = "plan_flag_often",
        /// Flags rows that nobody has read.
        FlagUnread = "plan_flag_unread",
        /// Flags a row at length.
        FlagLong = "plan_flag_long",
        /// A reason to skip that is not a code.
        ReasonLong = "plan_reason_long",
        /// An error that is longer than any report.
        ErrorLong = "plan_error_long",
        /// More reasons to skip than there may be.
        Reasons = "plan_reasons",
        /// Takes all memory.
        EatMemory = "plan_eat_memory",
        /// Panics.
        Panic = "plan_panic",
        /// Writes.
        Write = "plan_write",
        /// Reads while nothing may leave.
        Read = "plan_read",
        /// Reads somewhere else.
        OtherHost = "plan_other_host",
    }
    /// A request of a confirmed run that is not what was confirmed.
    Requests {
        /// Creates a record.
        Create = "create",
        /// Deletes a record.
        Delete = "delete",
        /// Archives a record.
        Archive = "archive",
        /// Creates or updates.
        Upsert = "upsert",
        /// Replaces a record.
        Put = "put",
        /// Another server.
        OtherHost = "other_host",
        /// Another object.
        OtherObject = "other_object",
        /// A record that is not in the plan, after one that is.
        OtherId = "other_id",
        /// A field that is not in the plan.
        OtherField = "other_field",
        /// A value that is not in the plan.
        OtherValue = "other_value",
        /// The values of another change.
        SwappedValues = "swapped_values",
        /// A member that makes an id mean something else.
        IdProperty = "id_property",
        /// One record twice in a request.
        SameIdTwice = "same_id_twice",
        /// An id that is spelled with an escape.
        EscapedId = "escaped_id",
        /// A second document after the first.
        SecondDocument = "second_document",
        /// A member after the records.
        MoreMembers = "more_members",
        /// A space where the template has none.
        Space = "space",
        /// A byte order mark.
        ByteOrderMark = "byte_order_mark",
        /// No record at all.
        NoRecord = "no_record",
        /// A write whose outcome is in.
        SettledId = "settled_id",
        /// Its own token.
        OwnAuthorization = "own_authorization",
        /// Its own cookie.
        OwnCookie = "own_cookie",
        /// Its own token for a proxy.
        OwnProxyAuthorization = "own_proxy_authorization",
        /// Another method by a header.
        MethodOverride = "method_override",
        /// Another method by the query.
        MethodInQuery = "method_in_query",
        /// A body read as a form.
        OtherMedia = "other_media",
        /// A body read as several parts.
        Multipart = "multipart",
        /// A body that is to be unpacked.
        ContentEncoding = "content_encoding",
        /// Another path by a header.
        OriginalUrl = "original_url",
        /// A wait for leave to send.
        Expect = "expect",
        /// A query where none is granted.
        Query = "query",
        /// Segments that lead upwards.
        DotSegments = "dot_segments",
        /// The same, encoded.
        EncodedDots = "encoded_dots",
        /// A record whose id is encoded.
        EncodedId = "encoded_id",
        /// An empty segment.
        DoubleSlash = "double_slash",
        /// A slash at the end.
        TrailingSlash = "trailing_slash",
        /// Another spelling of a path.
        UpperCase = "upper_case",
        /// Reads a record that is not in the plan.
        ReadOutside = "read_outside",
        /// Reads another object.
        ReadOtherObject = "read_other_object",
        /// Reads all records.
        ReadAll = "read_all",
        /// Asks for more than a read is granted.
        ReadSearch = "read_search",
        /// Follows a redirect to another server.
        FollowRedirect = "follow_redirect",
    }
    /// A request that is made by hand, below any client.
    Wire {
        /// Names another host.
        HostHeader = "host_header",
        /// Says that the body comes in chunks.
        TransferEncoding = "transfer_encoding",
        /// Names headers that end at the next hop.
        Connection = "connection",
        /// Asks for another protocol.
        Upgrade = "upgrade",
        /// The base URL's host as a user of another one.
        Userinfo = "userinfo",
        /// The base URL's host with a user.
        UserOfHost = "user_of_host",
        /// Another port.
        OtherPort = "other_port",
        /// Another scheme.
        OtherScheme = "other_scheme",
        /// A whole URL for a path.
        AbsoluteForm = "absolute_form",
        /// A line break in the path.
        LineInPath = "line_in_path",
        /// A line break in a header.
        LineInHeader = "line_in_header",
        /// A line break in the method.
        LineInMethod = "line_in_method",
        /// A tunnel.
        Connect = "connect",
        /// A body longer than it says.
        ShortLength = "short_length",
        /// A body shorter than it says.
        LongLength = "long_length",
        /// Two lengths.
        TwoLengths = "two_lengths",
        /// Headers after the body.
        Trailers = "trailers",
        /// The rest of the body comes after the request was handed over.
        LateBody = "late_body",
        /// The outcome comes while the body is on its way.
        SettledMeanwhile = "settled_meanwhile",
        /// Headers that change after the request was made.
        LateHeaders = "late_headers",
        /// One long header.
        HugeHeader = "huge_header",
        /// Many headers.
        ManyHeaders = "many_headers",
        /// Another name for itself.
        UserAgent = "user_agent",
    }
    /// A report that is not true.
    Outcomes {
        /// Updated, and nothing left.
        ClaimUpdated = "claim_updated",
        /// Unchanged, and nothing was read.
        ClaimUnchanged = "claim_unchanged",
        /// Drifted, and nothing was read.
        ClaimDrifted = "claim_drifted",
        /// Updated, and it was only read.
        ClaimRead = "claim_read",
        /// Unchanged, and it was written.
        ClaimUntouched = "claim_untouched",
        /// Updated, and the CRM refused it.
        ClaimRefused = "claim_refused",
        /// No word.
        NoOutcome = "no_outcome",
        /// A row that is not in the plan.
        OtherRow = "other_row",
        /// A row twice.
        OutcomeTwice = "outcome_twice",
        /// Fewer statuses than rows.
        OutcomeUneven = "outcome_uneven",
        /// A problem of a row that it does not report.
        OthersProblem = "others_problem",
        /// A problem that forges a line of the log.
        ForgedLine = "forged_line",
        /// Written, and written again.
        WrittenAgain = "written_again",
        /// Written, and failed.
        WrittenAndFailed = "written_and_failed",
        /// Written among others as often as may be.
        WrittenOften = "written_often",
        /// Remembers more than there is room for.
        RememberMuch = "remember_much",
    }
    /// What costs the host something.
    Costs {
        /// Many requests at once.
        ManyAtOnce = "many_at_once",
        /// Keeps all answers.
        HoardAnswers = "hoard_answers",
        /// Keeps requests that it never sends.
        HoardRequests = "hoard_requests",
        /// Keeps bodies that it never sends.
        HoardBodies = "hoard_bodies",
        /// Keeps requests with long methods.
        HoardMethods = "hoard_methods",
        /// Keeps requests with long names of hosts.
        HoardHosts = "hoard_hosts",
        /// Keeps what it may wait for.
        HoardPollables = "hoard_pollables",
        /// Takes all changes and reports none.
        Hoard = "hoard",
        /// Spins.
        Spin = "spin",
        /// Reports nothing, for ever.
        PushNothing = "push_nothing",
        /// Asks for more when there is none, for ever.
        NextNothing = "next_nothing",
        /// More problems than rows.
        ManyProblems = "many_problems",
        /// Gives the same bytes a thousand times.
        SameBytes = "same_bytes",
        /// The same in an error.
        SameBytesInError = "same_bytes_in_error",
        /// An error that is longer than any report.
        ErrorLong = "error_long",
        /// Is refused all the time.
        RefusedOften = "refused_often",
        /// Spins and asks whether to stop.
        SpinAsking = "spin_asking",
        /// Has the host draw random bytes.
        RandomBytes = "random_bytes",
        /// Waits for one thing a million times.
        PollMuch = "poll_much",
        /// Sleeps for ever.
        Sleep = "sleep",
        /// Takes all memory.
        EatMemory = "eat_memory",
        /// Calls itself for ever.
        Recurse = "recurse",
        /// Writes to standard output and error for ever.
        Chatter = "chatter",
    }
    /// What is around it.
    Surroundings {
        /// A connection by sockets.
        Tcp = "tcp",
        /// A datagram.
        Udp = "udp",
        /// A name.
        Names = "names",
        /// Files, environment, arguments, standard input.
        Files = "files",
        /// The token in its own memory.
        ScanMemory = "scan_memory",
        /// The token in an answer.
        EchoedToken = "echoed_token",
        /// Something from an earlier call.
        CarriedOver = "carried_over",
        /// Ends the process, as if all were well.
        Exit = "exit",
        /// Traps.
        Trap = "trap",
    }
    /// With a job and its upload.
    Jobs {
        /// Another value.
        OtherValue = "bulk_other_value",
        /// Values in each other's columns.
        SwappedColumns = "bulk_swapped_columns",
        /// Values in each other's rows.
        SwappedRows = "bulk_swapped_rows",
        /// Clears a field.
        Clears = "bulk_clears",
        /// A record that is not in the plan.
        ExtraRow = "bulk_extra_row",
        /// A column that is not in the plan.
        ExtraColumn = "bulk_extra_column",
        /// A record twice.
        Twice = "bulk_twice",
        /// A field is missing.
        FieldLeftOut = "bulk_field_left_out",
        /// Another field.
        OtherField = "bulk_other_field",
        /// A column twice.
        ColumnTwice = "bulk_column_twice",
        /// A value without quotation marks.
        Unquoted = "bulk_unquoted",
        /// A formula before the value.
        Formula = "bulk_formula",
        /// Other line ends.
        LineEnds = "bulk_line_ends",
        /// A blank line, and after it more.
        BlankLine = "bulk_blank_line",
        /// Another column for ids.
        OtherIdColumn = "bulk_other_id_column",
        /// The upload called JSON.
        OtherMedia = "bulk_other_media",
        /// Another job.
        OtherJob = "bulk_other_job",
        /// Reads what another job did.
        ReadOtherJob = "bulk_read_other_job",
        /// Closes a job with other words.
        CloseWords = "bulk_close_words",
        /// Aborts a job, which is not granted.
        AbortWords = "bulk_abort_words",
        /// Opens a job that deletes.
        OpenDelete = "bulk_open_delete",
        /// Opens a job that inserts.
        OpenInsert = "bulk_open_insert",
        /// Takes a note for a permit.
        RecalledJob = "bulk_recalled_job",
        /// Uploads the same changes to job after job.
        Again = "bulk_again",
        /// Updated, and it was only uploaded.
        ClaimUploaded = "bulk_claim_uploaded",
        /// Updated, and nobody looked what the job did.
        ClaimClosed = "bulk_claim_closed",
    }
    /// On verifying.
    Verifying {
        /// Writes.
        Write = "verify_write",
        /// Reads a record that is not among those to verify.
        Outside = "verify_outside",
        /// Reports nothing.
        Nothing = "verify_nothing",
        /// A row that is not among those to verify.
        OtherRow = "verify_other_row",
        /// A row twice.
        Twice = "verify_twice",
        /// Fewer values than rows.
        Uneven = "verify_uneven",
        /// All as confirmed, and nobody looked.
        Lie = "verify_lie",
        /// Spins.
        Spin = "verify_spin",
    }
}
