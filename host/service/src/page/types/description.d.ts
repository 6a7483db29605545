// Made by tests/page/describe.mjs from the API's description; a test compares it with the service.

export interface paths {
    "/api-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listApiKeys"];
        put?: never;
        post: operations["createApiKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api-keys/{key_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete: operations["revokeApiKey"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/audit-log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listAuditLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/destination-types": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listDestinationTypes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/destinations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listDestinations"];
        put?: never;
        post: operations["createDestination"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/destinations/{destination_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getDestination"];
        put?: never;
        post?: never;
        delete: operations["deleteDestination"];
        options?: never;
        head?: never;
        patch: operations["updateDestination"];
        trace?: never;
    };
    "/destinations/{destination_id}/reverse-dry-run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["createPlan"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/destinations/{destination_id}/reverse-run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["confirmRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/destinations/{destination_id}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["refuseForwardRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/golden": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listGoldenSets"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/golden/{entity_type}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getGoldenSet"];
        put: operations["replaceGoldenSet"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getMe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getDescription"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/plans": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listPlans"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/plans/{plan_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getPlan"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/plans/{plan_id}/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listPlanChanges"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/plans/{plan_id}/skipped": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listPlanSkipped"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listRuns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getRun"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["cancelRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["followRun"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/outcomes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listRunOutcomes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/rate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getRunRate"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/rejects.csv": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getRunRejects"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/requests": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listRunRequests"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["resumeRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/undo": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["planUndo"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["signIn"];
        delete: operations["signOut"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sources": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listSources"];
        put?: never;
        post: operations["createSource"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sources/{source_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["getSource"];
        put?: never;
        post?: never;
        delete: operations["deleteSource"];
        options?: never;
        head?: never;
        patch: operations["updateSource"];
        trace?: never;
    };
    "/sources/{source_id}/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["checkSource"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        ApiKey: {
            created_at: string;
            id: string;
            name: string;
            role: components["schemas"]["Role"];
        };
        ApiKeyList: {
            items: components["schemas"]["ApiKey"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        AuditRow: {
            action: string;
            at: string;
            component?: string | null;
            counts?: Record<string, unknown> | null;
            destination_id?: string | null;
            detail: Record<string, unknown>;
            hash: string;
            org_id: string;
            plan_id?: string | null;
            run_id?: string | null;
            /** Format: int64 */
            seq: number;
            who: string;
        };
        AuditRowList: {
            items: components["schemas"]["AuditRow"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        CallLimit: {
            /** Format: int32 */
            calls: number;
            /** Format: double */
            per_seconds: number;
        };
        Calls: {
            at: string;
            /** Format: int64 */
            calls: number;
        };
        Canary: {
            held?: boolean | null;
            /** Format: int64 */
            size: number;
        };
        ChangeOutcome: {
            /** Format: int64 */
            change: number;
            outcome: components["schemas"]["Outcome"];
            provider_id: string;
            response?: components["schemas"]["CrmResponse"] | null;
            /** Format: int64 */
            row: number;
        };
        ChangeOutcomeList: {
            items: components["schemas"]["ChangeOutcome"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        Check: {
            account?: string | null;
            authorized: boolean;
            detail: string;
            ok: boolean;
            reachable: boolean;
            scopes: components["schemas"]["Scopes"];
        };
        CheckOptions: {
            destination_type?: string | null;
            object?: string | null;
        };
        CreatedApiKey: {
            api_key: string;
            created_at: string;
            id: string;
            name: string;
            role: components["schemas"]["Role"];
        };
        Credential: {
            grant?: components["schemas"]["GrantKind"] | null;
            kind: components["schemas"]["CredentialKind"];
            set_at: string;
        };
        CredentialDocument: {
            access_token?: string | null;
            oauth?: {
                audience?: string | null;
                client_auth?: string | null;
                client_id: string;
                client_secret?: string | null;
                /** @enum {string} */
                grant: "refresh_token" | "client_credentials" | "jwt_bearer";
                private_key?: string | null;
                refresh_token?: string | null;
                subject?: string | null;
                token_url?: string | null;
            } | null;
        };
        /** @enum {string} */
        CredentialKind: "access_token" | "oauth";
        CrmRequest: {
            at: string;
            /** Format: int64 */
            bytes_in: number;
            /** Format: int64 */
            bytes_out: number;
            error?: string;
            method: string;
            /** Format: int64 */
            ms: number;
            path: string;
            refused?: string;
            /** Format: int32 */
            status?: number | null;
        };
        CrmResponse: {
            code: string;
            message: string;
            /** Format: int32 */
            status?: number | null;
        };
        /** @enum {string} */
        DatabaseState: "ok" | "unavailable";
        Destination: {
            config_json: Record<string, unknown>;
            created_at: string;
            destination_type: string;
            entity_type: string;
            guards: {
                max_changed_percent?: number;
                max_changes?: number;
                max_emptied_percent?: number;
                max_lossy_percent?: number;
                max_same_value_percent?: number;
            };
            id: string;
            name: string;
            /**
             * @default skip
             * @enum {string}
             */
            on_duplicate_id: "skip" | "first" | "last";
            updated_at: string;
        };
        DestinationChanges: {
            config_json?: Record<string, unknown>;
            destination_type?: string;
            entity_type?: string;
            guards?: {
                max_changed_percent?: number;
                max_changes?: number;
                max_emptied_percent?: number;
                max_lossy_percent?: number;
                max_same_value_percent?: number;
            };
            name?: string;
            /**
             * @default skip
             * @enum {string}
             */
            on_duplicate_id: "skip" | "first" | "last";
        };
        DestinationList: {
            items: components["schemas"]["Destination"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        DestinationType: {
            config_schema: Record<string, unknown>;
            default_object?: string | null;
            name: string;
            provider: string;
            required_rights: string;
            title: string;
        };
        DestinationTypeList: {
            items: components["schemas"]["DestinationType"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        Difference: {
            field: string;
            now: unknown;
            provider_id: string;
            /** Format: int64 */
            row: number;
            written: unknown;
        };
        DroppedField: {
            name: string;
            reason: string;
        };
        DryRunRequest: {
            mode?: components["schemas"]["PlanMode"];
        };
        EndedRun: components["schemas"]["Run"] & {
            errors: components["schemas"]["RecordError"][];
            errors_truncated: boolean;
        };
        /** @enum {string} */
        Ending: "failed" | "drifted" | "unknown";
        GoldenQuery: {
            database_url: string;
            query: string;
        };
        GoldenSet: {
            /** Format: int64 */
            bytes: number;
            columns: string[];
            created_at: string;
            created_by: string;
            entity_type: string;
            format: string;
            id: string;
            query?: string | null;
            /** Format: int64 */
            records: number;
            sha256: string;
        };
        GoldenSetList: {
            items: components["schemas"]["GoldenSet"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        /** @enum {string} */
        GrantKind: "refresh_token" | "client_credentials" | "jwt_bearer";
        Guard: {
            message: string;
            name: string;
        };
        /** @enum {string} */
        HowMany: "sample" | "all";
        KnownCounts: {
            /** Format: int64 */
            drifted?: number | null;
            /** Format: int64 */
            failed?: number | null;
            /** Format: int64 */
            unchanged?: number | null;
            /** Format: int64 */
            unknown?: number | null;
            /** Format: int64 */
            updated?: number | null;
        };
        LastCheck: {
            at: string;
            found: components["schemas"]["Check"];
        };
        Me: {
            org: components["schemas"]["Org"];
            quota: components["schemas"]["Quota"];
            role: components["schemas"]["Role"];
            user: components["schemas"]["User"];
        };
        NewApiKey: {
            name: string;
            role: components["schemas"]["Role"];
        };
        NewDestination: {
            config_json: Record<string, unknown>;
            destination_type: string;
            entity_type: string;
            guards?: {
                max_changed_percent?: number;
                max_changes?: number;
                max_emptied_percent?: number;
                max_lossy_percent?: number;
                max_same_value_percent?: number;
            };
            name: string;
            /**
             * @default skip
             * @enum {string}
             */
            on_duplicate_id: "skip" | "first" | "last";
        };
        NewSession: {
            api_key?: string | null;
            login_code?: string | null;
        };
        NewSource: {
            account?: string | null;
            allow_private_network?: boolean | null;
            base_url?: string | null;
            ca_pem?: string | null;
            credential: components["schemas"]["CredentialDocument"];
            limit?: components["schemas"]["SourceLimit"] | null;
            name: string;
            provider: string;
        };
        NotRead: {
            provider_id: string;
            reason: string;
            /** Format: int64 */
            row: number;
        };
        Org: {
            id: string;
            name: string;
            solo: boolean;
        };
        /** @enum {string} */
        Outcome: "updated" | "unchanged" | "failed" | "drifted" | "unknown" | "pending";
        Plan: components["schemas"]["PlanSummary"] & {
            destination_id: string;
            planned_by: string;
        };
        PlanList: {
            items: components["schemas"]["Plan"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        /** @enum {string} */
        PlanMode: "offline" | "online" | "compare";
        PlannedChange: {
            before?: Record<string, unknown> | null;
            /** Format: int64 */
            change: number;
            fields: Record<string, unknown>;
            provider_id: string;
            /** Format: int64 */
            row: number;
        };
        PlannedChangeList: {
            items: components["schemas"]["PlannedChange"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        PlannedFor: {
            destination_type: string;
            name: string;
        };
        PlanSummary: {
            account?: string | null;
            base_url?: string | null;
            component: string;
            destination: components["schemas"]["PlannedFor"];
            dropped_fields: components["schemas"]["DroppedField"][];
            dry_run: boolean;
            fields: {
                [key: string]: number;
            };
            guards: components["schemas"]["Guard"][];
            hint?: string | null;
            mode: components["schemas"]["PlanMode"];
            more_skipped_rows?: boolean;
            plan_id: string;
            planned_at: string;
            sample?: components["schemas"]["SampleChange"][];
            /** Format: int64 */
            skipped: number;
            skipped_by_reason: {
                [key: string]: number;
            };
            skipped_rows?: components["schemas"]["SkippedRows"][];
            /** Format: int64 */
            total: number;
            undoes?: string | null;
            warnings: string[];
            /** Format: int64 */
            writable: number;
        };
        Problem: {
            code: string;
            detail: string;
            guards?: components["schemas"]["Guard"][];
            plan_id?: string | null;
            pointer?: string | null;
            request_id?: string | null;
            /** Format: int32 */
            status: number;
            title: string;
            type: string;
        };
        Quota: {
            /** Format: int64 */
            runs_a_month: number;
            /** Format: int64 */
            runs_an_hour: number;
            /** Format: int64 */
            stored_bytes: number;
            /** Format: int64 */
            used: number;
            /** Format: int64 */
            used_bytes: number;
            /** Format: int64 */
            used_this_month: number;
        };
        RateOverTime: {
            /** Format: int64 */
            bucket_seconds: number;
            limit?: components["schemas"]["CallLimit"] | null;
            /** Format: double */
            limit_per_second?: number | null;
            seconds: components["schemas"]["Calls"][];
        };
        Readiness: {
            component: string;
            database: components["schemas"]["DatabaseState"];
        };
        RecordError: {
            outcome: components["schemas"]["Ending"];
            provider_id: string;
            response: components["schemas"]["CrmResponse"];
            /** Format: int64 */
            row: number;
        };
        Requests: {
            /** Format: int64 */
            dropped: number;
            items: components["schemas"]["CrmRequest"][];
            next?: string | null;
        };
        /** @enum {string} */
        Role: "viewer" | "operator" | "admin";
        Run: components["schemas"]["RunSummary"] & {
            can_undo: boolean;
            created_at: string;
            destination_id: string;
            due_at?: string | null;
            ended_at?: string | null;
            override: string[];
            started_at?: string | null;
            started_by: string;
            status: components["schemas"]["RunStatus"];
            verify?: components["schemas"]["HowMany"] | null;
            /** Format: int64 */
            worked_ms: number;
            working_since?: string | null;
        };
        RunList: {
            items: components["schemas"]["Run"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        RunRequest: {
            /** Format: int64 */
            canary?: number;
            confirm: boolean;
            override?: string[];
            plan_id?: string;
            verify?: components["schemas"]["HowMany"];
        };
        /** @enum {string} */
        RunStatus: "queued" | "waiting" | "running" | "cancelling" | "interrupted" | "succeeded" | "failed" | "stopped";
        RunSummary: components["schemas"]["KnownCounts"] & {
            canary?: components["schemas"]["Canary"] | null;
            dry_run: boolean;
            ok?: boolean | null;
            /** Format: int64 */
            peak_memory_bytes?: number | null;
            /** Format: int64 */
            pending?: number | null;
            plan_id: string;
            /** Format: int64 */
            refused_requests: number;
            /** Format: int64 */
            requests: number;
            required_rights?: string | null;
            run_id: string;
            /** Format: int64 */
            skipped: number;
            stopped?: components["schemas"]["Stopped"] | null;
            /** Format: int64 */
            total: number;
            undoes?: string | null;
            verified?: components["schemas"]["Verification"] | null;
            /** Format: int64 */
            writable: number;
        };
        SampleChange: {
            before?: Record<string, unknown>;
            fields: Record<string, unknown>;
            provider_id: string;
        };
        Scopes: {
            known: boolean;
            missing: string[];
            present: string[];
        };
        SkippedRows: {
            detail?: string | null;
            /** Format: int64 */
            first_row: number;
            reason: string;
            /** Format: int64 */
            rows: number;
        };
        SkippedRowsList: {
            items: components["schemas"]["SkippedRows"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        Source: {
            account?: string | null;
            allow_private_network: boolean;
            base_url?: string | null;
            ca_pem?: string | null;
            created_at: string;
            credential: components["schemas"]["Credential"];
            id: string;
            last_check?: components["schemas"]["LastCheck"] | null;
            limit?: components["schemas"]["SourceLimit"] | null;
            name: string;
            provider: string;
            updated_at: string;
        };
        SourceChanges: {
            account?: string | null;
            allow_private_network?: boolean | null;
            base_url?: string | null;
            ca_pem?: string | null;
            credential?: components["schemas"]["CredentialDocument"];
            limit?: components["schemas"]["SourceLimit"] | null;
            name?: string;
            provider?: string;
        };
        SourceLimit: {
            /** Format: int32 */
            calls: number;
            /** Format: double */
            per_seconds: number;
        };
        SourceList: {
            items: components["schemas"]["Source"][];
            next?: string | null;
            unreadable?: components["schemas"]["Unreadable"][];
        };
        Stopped: {
            code?: string | null;
            message: string;
            reason: components["schemas"]["StopReason"];
        };
        /** @enum {string} */
        StopReason: "cancelled" | "unauthorized" | "rate_limited" | "unavailable" | "refused" | "rejected" | "component" | "credential" | "journal" | "internal";
        Unreadable: {
            id: string;
            place: string;
        };
        User: {
            id: string;
            name: string;
        };
        Verification: components["schemas"]["Verified"] | {
            error: string;
        };
        Verified: {
            /** Format: int64 */
            as_written: number;
            /** Format: int64 */
            different: number;
            not_read: components["schemas"]["NotRead"][];
            stored_differently: components["schemas"]["Difference"][];
            /** Format: int64 */
            verified: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listApiKeys: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKeyList"];
                };
            };
        };
    };
    createApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewApiKey"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedApiKey"];
                };
            };
        };
    };
    revokeApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listAuditLog: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditRowList"];
                };
            };
        };
    };
    listDestinationTypes: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DestinationTypeList"];
                };
            };
        };
    };
    listDestinations: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DestinationList"];
                };
            };
        };
    };
    createDestination: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewDestination"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Destination"];
                };
            };
        };
    };
    getDestination: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                destination_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Destination"];
                };
            };
        };
    };
    deleteDestination: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                destination_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    updateDestination: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                destination_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DestinationChanges"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Destination"];
                };
            };
        };
    };
    createPlan: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                destination_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DryRunRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Plan"];
                };
            };
        };
    };
    confirmRun: {
        parameters: {
            query?: {
                wait?: number;
            };
            header?: {
                "Idempotency-Key"?: string | null;
            };
            path: {
                destination_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EndedRun"];
                };
            };
            202: {
                headers: {
                    location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    refuseForwardRun: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                destination_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
    listGoldenSets: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GoldenSetList"];
                };
            };
        };
    };
    getGoldenSet: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                entity_type: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GoldenSet"];
                };
            };
        };
    };
    replaceGoldenSet: {
        parameters: {
            query?: {
                format?: "csv" | "jsonl" | "parquet";
            };
            header?: {
                "content-encoding"?: string | null;
            };
            path: {
                entity_type: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GoldenQuery"];
                "application/octet-stream": string;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GoldenSet"];
                };
            };
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    getMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Me"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text": string;
                    "text/plain": string;
                };
            };
        };
    };
    getDescription: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, unknown>;
                };
            };
        };
    };
    listPlans: {
        parameters: {
            query?: {
                after?: string;
                destination_id?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlanList"];
                };
            };
        };
    };
    getPlan: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                plan_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Plan"];
                };
            };
        };
    };
    listPlanChanges: {
        parameters: {
            query?: {
                after?: string;
                field?: string;
                limit?: number;
                provider_id?: string;
            };
            header?: never;
            path: {
                plan_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedChangeList"];
                };
            };
        };
    };
    listPlanSkipped: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path: {
                plan_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SkippedRowsList"];
                };
            };
        };
    };
    getReadiness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
        };
    };
    listRuns: {
        parameters: {
            query?: {
                after?: string;
                destination_id?: string;
                limit?: number;
                status?: "queued" | "waiting" | "running" | "cancelling" | "interrupted" | "succeeded" | "failed" | "stopped";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunList"];
                };
            };
        };
    };
    getRun: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    cancelRun: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    followRun: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": unknown;
                };
            };
        };
    };
    listRunOutcomes: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
                outcome?: "updated" | "unchanged" | "failed" | "drifted" | "unknown" | "pending";
            };
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangeOutcomeList"];
                };
            };
        };
    };
    getRunRate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RateOverTime"];
                };
            };
        };
    };
    getRunRejects: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                };
            };
        };
    };
    listRunRequests: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Requests"];
                };
            };
        };
    };
    resumeRun: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
        };
    };
    planUndo: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Plan"];
                };
            };
        };
    };
    signIn: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSession"];
            };
        };
        responses: {
            204: {
                headers: {
                    "set-cookie"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    signOut: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listSources: {
        parameters: {
            query?: {
                after?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SourceList"];
                };
            };
        };
    };
    createSource: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSource"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Source"];
                };
            };
        };
    };
    getSource: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Source"];
                };
            };
        };
    };
    deleteSource: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    updateSource: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SourceChanges"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Source"];
                };
            };
        };
    };
    checkSource: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CheckOptions"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Check"];
                };
            };
        };
    };
}
