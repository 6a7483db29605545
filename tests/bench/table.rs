//! The table of results, and their record as JSON, with which a later run is compared.

use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt, fs, path::Path};

/// What a figure is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// It stands beside others.
    None,
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Target::None => true,
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
        }
    }
}

/// One figure, measured several times.
#[derive(Debug, Serialize, Deserialize)]
struct Figure {
    name: String,
    unit: String,
    /// In ascending order.
    values: Vec<f64>,
    /// Processes that wanted to run in the last minute: what else the machine did.
    load: f64,
    #[serde(skip)]
    target: Option<Target>,
}

impl Figure {
    fn median(&self) -> f64 {
        self.values.get(self.values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// All figures of a run, and the medians of an earlier one.
pub(crate) struct Table {
    figures: Vec<Figure>,
    before: HashMap<String, f64>,
}

impl Table {
    /// # Errors
    /// If the earlier run's record cannot be read.
    pub(crate) fn new(against: Option<&Path>) -> anyhow::Result<Table> {
        let before: Vec<Figure> = match against {
            Some(file) => serde_json::from_slice(&fs::read(file)?)?,
            None => Vec::new(),
        };
        let before = before.into_iter().map(|figure| (figure.name.clone(), figure.median()));
        Ok(Table { figures: Vec::new(), before: before.collect() })
    }

    /// Adds a figure, and tells it on standard error at once.
    pub(crate) fn add(&mut self, name: &str, unit: &str, values: &[f64], target: Target) {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(f64::NAN);
        let (name, unit) = (name.to_owned(), unit.to_owned());
        let figure = Figure { name, unit, values, load, target: Some(target) };
        eprintln!("{}: {}", figure.name, self.cells(&figure)[1]);
        self.figures.push(figure);
    }

    /// Whether no target was missed.
    pub(crate) fn all_met(&self) -> bool {
        let met =
            |figure: &Figure| figure.target.is_none_or(|target| target.is_met(figure.median()));
        self.figures.iter().all(met)
    }

    /// The record, for a later run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        Ok(fs::write(file, serde_json::to_vec_pretty(&self.figures)?)?)
    }

    fn cells(&self, figure: &Figure) -> [String; 6] {
        let median = figure.median();
        let spread = match figure.values.as_slice() {
            [least, .., most] => {
                format!("{} to {} of {}", number(*least), number(*most), figure.values.len())
            }
            _ => String::new(),
        };
        let before = self.before.get(&figure.name);
        let target = figure.target.unwrap_or(Target::None);
        [
            figure.name.clone(),
            format!("{} {}", number(median), figure.unit),
            spread,
            before.map_or_else(String::new, |before| format!("{:.2}", median / before)),
            format!("{:.1}", figure.load),
            match target {
                Target::None => String::new(),
                Target::AtLeast(least) => {
                    format!("at least {}, {}", number(least), verdict(target, median))
                }
                Target::AtMost(most) => {
                    format!("at most {}, {}", number(most), verdict(target, median))
                }
            },
        ]
    }
}

fn verdict(target: Target, value: f64) -> &'static str {
    if target.is_met(value) { "met" } else { "MISSED" }
}

/// With three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["benchmark", "median", "spread", "to before", "load", "target"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.figures.iter().map(|figure| self.cells(figure)));
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
