//! What is logged, and where it goes. The one place where this process sets up tracing.

use crate::exit::Failure;
#[cfg(feature = "service")]
use crate::exit::{Exit, OrExit};
use clap::{Args, ValueEnum};
#[cfg(feature = "service")]
use reverse_sync_service::observe::telemetry::{Format, Settings, Telemetry};
#[cfg(not(feature = "service"))]
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct LogArgs {
    /// Log more to standard error: -v requests, -vv everything. RUST_LOG works too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Send traces to this OpenTelemetry collector, such as http://127.0.0.1:4318
    #[cfg(feature = "service")]
    #[arg(long, global = true, value_name = "URL")]
    otlp: Option<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Logging that is running.
#[must_use = "traces that wait to be sent are lost unless it is ended"]
pub(crate) struct Logging {
    #[cfg(feature = "service")]
    telemetry: Telemetry,
}

impl Logging {
    /// Starts it; `quiet` is the level without `-v`. To be called within the runtime.
    pub(crate) fn start(args: &LogArgs, quiet: LevelFilter) -> Result<Logging, Failure> {
        let level = match args.verbose {
            0 => quiet,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        #[cfg(feature = "service")]
        {
            let format = match args.log_format {
                LogFormat::Text => Format::Text,
                LogFormat::Json => Format::Json,
            };
            let settings = Settings { format, level, otlp: args.otlp.clone() };
            Ok(Logging { telemetry: Telemetry::start(&settings).or_exit(Exit::Usage)? })
        }
        #[cfg(not(feature = "service"))]
        {
            // At any level, dependencies speak only when something is wrong: their own debug output
            // has request contents.
            let filter = EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| EnvFilter::new(format!("warn,reverse_sync={level}")));
            let lines = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(|| reverse_sync::visible::Visible::new(std::io::stderr()))
                .with_ansi(false)
                .with_target(false);
            match args.log_format {
                LogFormat::Text => lines.init(),
                LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).init(),
            }
            Ok(Logging {})
        }
    }

    /// Sends what waits to be sent. It blocks.
    pub(crate) fn end(self) {
        #[cfg(feature = "service")]
        self.telemetry.shutdown();
    }
}
