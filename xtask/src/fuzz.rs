//! Fuzzing: builds `tests/fuzz` with libFuzzer, and runs its targets, a few at a time.
//!
//! `cargo fuzz` would build every dependency once more, for its flags are everybody's; wasmtime
//! alone takes half an hour. Here cargo calls this program in place of rustc for the crates of this
//! workspace, and for those alone the flags of libFuzzer are added. What they depend on is what the
//! tests have built. So the fuzzer sees which ways our own code takes, and not those of our
//! dependencies.

use crate::{process::cargo, root, target_dir};
use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const HELP: &str = "\
cargo xtask fuzz [TARGET…] [--seconds N] [--executions N] [--seed N] [--jobs N] [--keep] [--release]

Fuzzes each target, or those that are named, beginning with the inputs in tests/fuzz/corpus.

  --seconds N     how long each of them (default 60)
  --executions N  how many inputs each of them, in place of seconds
  --seed N        what chance begins with; a run of as many executions is the same again (default: another one each time)
  --jobs N        how many targets at a time, a process each (default 2)
  --keep          put what was found into tests/fuzz/corpus, as few inputs as reach the same code
  --release       with the dependencies of the release build, for long runs: several times as many inputs a second
";

/// Cargo calls this program as rustc if it is set.
pub(crate) const WRAPPER: &str = "REVERSE_SYNC_FUZZ_RUSTC";

/// What libFuzzer needs of a crate, and every check that there is.
const FLAGS: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions=yes",
    "-Coverflow-checks=yes",
];

/// rustc for a crate of this workspace, with the flags; what runs while cargo builds cannot have
/// them.
pub(crate) fn rustc(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let rustc = arguments.next().context("there is no rustc to run")?;
    let arguments: Vec<OsString> = arguments.collect();
    let text =
        |at: usize| arguments.get(at).and_then(|argument| argument.to_str()).unwrap_or_default();
    let value =
        |name: &str| (0..arguments.len()).find(|at| text(*at) == name).map(|at| text(at + 1));
    let while_building = value("--crate-type") == Some("proc-macro")
        || matches!(value("--crate-name"), Some("build_script_build" | "component_build"));
    let mut command = Command::new(&rustc);
    command.args(&arguments);
    // Without a crate it is asked about itself.
    if value("--crate-name").is_some_and(|name| name != "___") && !while_building {
        command.args(FLAGS);
        // The release build has a level, and the dev build has none.
        if !(0..arguments.len()).any(|at| text(at).starts_with("opt-level")) {
            command.arg("-Copt-level=1");
        }
    }
    Err(command.exec()).with_context(|| format!("cannot start {}", rustc.display()))
}

struct Options {
    targets: Vec<String>,
    seconds: u64,
    executions: Option<u64>,
    seed: Option<u64>,
    jobs: usize,
    keep: bool,
    release: bool,
}

/// A name that stands for all of them would hide one that is misspelled, so they are listed where
/// they are.
fn known() -> Result<Vec<String>> {
    let dir = root().join("tests/fuzz/corpus");
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

impl Options {
    fn read(arguments: &[String], known: &[String]) -> Result<Options> {
        let mut options = Options {
            targets: Vec::new(),
            seconds: 60,
            executions: None,
            seed: None,
            jobs: 2,
            keep: false,
            release: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u64> {
                let text =
                    arguments.next().with_context(|| format!("{argument} needs a number"))?;
                text.parse().with_context(|| format!("{argument} needs a number, not `{text}`"))
            };
            match argument.as_str() {
                "--seconds" => options.seconds = number()?.max(1),
                "--executions" => options.executions = Some(number()?.max(1)),
                "--seed" => options.seed = Some(number()?),
                "--jobs" => options.jobs = number()?.max(1) as usize,
                "--keep" => options.keep = true,
                "--release" => options.release = true,
                name if known.iter().any(|target| target == name) => {
                    options.targets.push(name.to_owned())
                }
                other => bail!(
                    "`{other}` is neither a target nor an option\n\n{HELP}\nTargets: {}",
                    known.join(" ")
                ),
            }
        }
        if options.targets.is_empty() {
            options.targets = known.to_vec();
        }
        Ok(options)
    }
}

/// `cargo xtask fuzz`.
pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    let known = known()?;
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}\nTargets: {}", known.join(" "));
        return Ok(());
    }
    let options = Options::read(arguments, &known)?;
    let program = build(options.release)?;
    println!(
        "{:<20} {:>12} {:>10} {:>8} {:>8} {:>9} {:>8}",
        "target", "executions", "a second", "corpus", "edges", "features", "seconds"
    );
    let mut waiting = options.targets.iter();
    let mut running: Vec<Running> = Vec::new();
    let (mut crashes, mut executions) = (Vec::new(), 0);
    loop {
        while running.len() < options.jobs
            && let Some(target) = waiting.next()
        {
            running.push(Running::start(&program, target, &options)?);
        }
        if running.is_empty() {
            break;
        }
        let mut still = Vec::new();
        for mut target in running {
            match target.child.try_wait()? {
                None => still.push(target),
                Some(status) => {
                    let report = Report::read(&target.log)?;
                    executions += report.executions;
                    println!("{}", report.line(&target.name, target.started.elapsed()));
                    if !status.success() {
                        crashes.push(target.explain(&program, status)?);
                    } else if options.keep {
                        keep(&program, &target.name)?;
                    }
                }
            }
        }
        running = still;
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "fuzz: {} targets, {executions} executions, {} crashes",
        options.targets.len(),
        crashes.len()
    );
    if !crashes.is_empty() {
        bail!("{}", crashes.join("\n"));
    }
    Ok(())
}

/// The program that has all targets in it.
fn build(release: bool) -> Result<PathBuf> {
    let mut command = cargo();
    // All packages, as in the tests, so that what they depend on has the same features and is not
    // built again.
    command.args([
        "build",
        "--locked",
        "--features",
        "reverse-sync-fuzz/libfuzzer",
        "--test",
        "fuzz",
    ]);
    if release {
        command.arg("--release");
    }
    command.args(["--message-format", "json-render-diagnostics"]);
    command.env("RUSTC_WORKSPACE_WRAPPER", env::current_exe()?).env(WRAPPER, "1");
    eprintln!("building the fuzz targets");
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the fuzz targets cannot be built: {}", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let artifact =
        messages.lines().filter(|line| line.contains("\"name\":\"fuzz\"")).find_map(|line| {
            let (_, rest) = line.split_once("\"executable\":\"")?;
            Some(PathBuf::from(rest.split('"').next()?))
        });
    artifact.context("cargo does not say where the fuzz targets are")
}

fn dir(of: &str, target: &str) -> Result<PathBuf> {
    let dir = target_dir().join("fuzz").join(of).join(target);
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn kept(target: &str) -> PathBuf {
    root().join("tests/fuzz/corpus").join(target)
}

struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    artifacts: PathBuf,
    started: Instant,
}

fn command(program: &Path, target: &str) -> Result<Command> {
    let mut command = Command::new(program);
    let artifacts = dir("artifacts", target)?;
    command.env("FUZZ_TARGET", target).current_dir(root());
    command
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-rss_limit_mb=512", "-timeout=10"]);
    let dictionary = root().join("tests/fuzz/dictionaries").join(target).with_extension("dict");
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    Ok(command)
}

impl Running {
    fn start(program: &Path, target: &str, options: &Options) -> Result<Running> {
        let log = dir("logs", target)?.join("log");
        let mut command = command(program, target)?;
        match options.executions {
            Some(executions) => command.arg(format!("-runs={executions}")),
            None => command.arg(format!("-max_total_time={}", options.seconds)),
        };
        if let Some(seed) = options.seed {
            command.arg(format!("-seed={seed}"));
        }
        command
            .args(["-print_final_stats=1", "-reload=0"])
            .arg(dir("corpus", target)?)
            .arg(kept(target));
        let file = fs::File::create(&log)?;
        let child = command
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .stderr(file)
            .spawn()
            .context("cannot start the fuzz targets")?;
        Ok(Running {
            name: target.to_owned(),
            child,
            log,
            artifacts: dir("artifacts", target)?,
            started: Instant::now(),
        })
    }

    /// What went wrong, and how to see it again.
    fn explain(&self, program: &Path, status: std::process::ExitStatus) -> Result<String> {
        let log = fs::read(&self.log)?;
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let from = lines
            .iter()
            .position(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"))
            .unwrap_or_default();
        let shown: Vec<&str> = lines
            .iter()
            .skip(from)
            .take(12)
            .map(|line| &line[..line.floor_char_boundary(400)])
            .collect();
        let input = log
            .lines()
            .find_map(|line| line.split_once("Test unit written to "))
            .map_or("", |(_, path)| path);
        Ok(format!(
            "{} ended with {status}; all it said is in {}, what it found below {}\n{}\nto see it again: FUZZ_TARGET={} {} {input}",
            self.name,
            self.log.display(),
            self.artifacts.display(),
            shown.join("\n"),
            self.name,
            program.display(),
        ))
    }
}

/// What libFuzzer says of its work.
#[derive(Default)]
struct Report {
    executions: u64,
    a_second: u64,
    corpus: u64,
    edges: u64,
    features: u64,
}

impl Report {
    fn read(log: &Path) -> Result<Report> {
        let log = fs::read(log)?;
        Ok(Report::parse(&String::from_utf8_lossy(&log)))
    }

    /// From lines such as `#65536 pulse  cov: 812 ft: 3214 corp: 402/21Kb lim: 4096 exec/s: 21845
    /// rss: 71Mb`.
    fn parse(log: &str) -> Report {
        let mut report = Report::default();
        for line in log.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |word: &str| word.split('/').next().and_then(|digits| digits.parse().ok());
            let after = |name: &str| {
                words
                    .iter()
                    .position(|word| *word == name)
                    .and_then(|at| number(words.get(at + 1)?))
            };
            if let Some(executions) =
                line.strip_prefix('#').and_then(|_| words[0][1..].parse().ok())
                && let Some(edges) = after("cov:")
            {
                report.executions = executions;
                report.edges = edges;
                report.features = after("ft:").unwrap_or(report.features);
                report.corpus = after("corp:").unwrap_or(report.corpus);
                report.a_second = after("exec/s:").unwrap_or(report.a_second);
            }
            report.executions =
                after("stat::number_of_executed_units:").unwrap_or(report.executions);
            report.a_second = after("stat::average_exec_per_sec:").unwrap_or(report.a_second);
        }
        report
    }

    fn line(&self, name: &str, took: Duration) -> String {
        let Report { executions, a_second, corpus, edges, features } = self;
        format!(
            "{name:<20} {executions:>12} {a_second:>10} {corpus:>8} {edges:>8} {features:>9} {:>8}",
            took.as_secs()
        )
    }
}

/// The smallest inputs that reach what all of them reach.
fn keep(program: &Path, target: &str) -> Result<()> {
    let merged = dir("merged", target)?;
    fs::remove_dir_all(&merged)?;
    fs::create_dir_all(&merged)?;
    let mut command = command(program, target)?;
    command
        .arg("-merge=1")
        .arg("-max_len=4096")
        .arg(&merged)
        .arg(kept(target))
        .arg(dir("corpus", target)?);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        bail!("the corpus of {target} cannot be merged: {status}");
    }
    let kept = kept(target);
    fs::remove_dir_all(&kept)?;
    fs::create_dir_all(&kept)?;
    for entry in fs::read_dir(&merged)? {
        let entry = entry?;
        fs::copy(entry.path(), kept.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_read() {
        let log = "INFO: seed corpus: files: 3\n#3\tINITED cov: 10 ft: 11 corp: 2/8b exec/s: 0 rss: 40Mb\n\
                   #900\tDONE   cov: 120 ft: 340 corp: 56/2Kb lim: 8 exec/s: 450 rss: 41Mb\nDone 900 runs in 2 second(s)\n\
                   stat::number_of_executed_units: 901\nstat::average_exec_per_sec:     450\n";
        let report = Report::parse(log);
        assert_eq!(
            (report.executions, report.a_second, report.corpus, report.edges, report.features),
            (901, 450, 56, 120, 340)
        );
    }

    #[test]
    fn what_is_asked_for_is_a_target_or_an_option() {
        let read = |arguments: &[&str]| {
            let arguments: Vec<String> =
                arguments.iter().map(|argument| (*argument).to_owned()).collect();
            Options::read(&arguments, &["journal".to_owned(), "plan".to_owned()])
        };
        assert_eq!(read(&[]).unwrap().targets, ["journal", "plan"]);
        let options = read(&["plan", "--seconds", "5", "--jobs", "1"]).unwrap();
        assert_eq!(
            (options.targets.as_slice(), options.seconds, options.jobs),
            (["plan".to_owned()].as_slice(), 5, 1)
        );
        for bad in [["plans"].as_slice(), &["--seconds"], &["--seconds", "x"], &["--fast"]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
