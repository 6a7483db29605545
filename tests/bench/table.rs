//! The table of results.

use std::fmt;

/// Rows of a benchmark's name, what was measured, and the target it is compared with.
pub(crate) struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table {
            rows: vec![[
                "benchmark".to_owned(),
                "measured".to_owned(),
                "target".to_owned(),
                "".to_owned(),
            ]],
        }
    }

    /// Adds a result, and tells it on standard error at once.
    pub(crate) fn add(&mut self, name: &str, measured: String, target: &str, met: bool) {
        eprintln!("{name}: {measured}");
        let verdict = if target.is_empty() {
            ""
        } else if met {
            "met"
        } else {
            "MISSED"
        };
        self.rows.push([name.to_owned(), measured, target.to_owned(), verdict.to_owned()]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths = [width(0), width(1), width(2)];
        for row in &self.rows {
            let line = format!(
                "{:<a$}  {:<b$}  {:<c$}  {}",
                row[0],
                row[1],
                row[2],
                row[3],
                a = widths[0],
                b = widths[1],
                c = widths[2]
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
