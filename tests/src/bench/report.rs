//! Tables and JSON from measurements, and the comparison with the committed ones.

use super::cases::Case;
use super::floor::Floor;
use super::load::Measured;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Growth of the processor time of an operation that counts as a regression.
const REGRESSION: f64 = 1.10;

/// The middle of several runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Operations a second.
    pub rate: f64,
    /// MiB of content a second.
    pub mib: f64,
    /// Microseconds that half of the requests stayed below; 99 and 99.9 of 100.
    pub p50: f64,
    /// See `p50`.
    pub p99: f64,
    /// See `p50`.
    pub p999: f64,
    /// Processor microseconds of the server for one operation.
    pub cpu: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[allow(clippy::cast_precision_loss, reason = "a measurement")]
fn real(value: u64) -> f64 {
    value as f64
}

/// A place in an ascending list, in thousandths.
fn percentile(latencies: &[u32], of_1000: usize) -> f64 {
    let at = latencies.len().saturating_sub(1) * of_1000 / 1000;
    latencies.get(at).copied().map_or(0.0, f64::from)
}

impl Figures {
    /// The median of each figure.
    pub fn of(runs: &[Measured]) -> Self {
        let middle = |figure: &dyn Fn(&Measured) -> f64| median(runs.iter().map(figure).collect());
        Self {
            rate: middle(&|run| real(run.ops) / run.secs),
            mib: middle(&|run| real(run.bytes) / run.secs / 1048576.0),
            p50: middle(&|run| percentile(&run.latencies, 500)),
            p99: middle(&|run| percentile(&run.latencies, 990)),
            p999: middle(&|run| percentile(&run.latencies, 999)),
            cpu: middle(&|run| run.cpu_micros / real(run.ops.max(1))),
        }
    }

    fn json(&self) -> Value {
        json!({
            "ops_per_second": self.rate.round(), "mib_per_second": self.mib.round(),
            "p50_us": self.p50, "p99_us": self.p99, "p999_us": self.p999,
            "cpu_us_per_op": (self.cpu * 10.0).round() / 10.0,
        })
    }
}

/// One line of the report.
#[derive(Debug)]
pub struct Line {
    /// What was measured.
    pub case: Case,
    /// Ours.
    pub ours: Figures,
    /// The original's, when it is there.
    pub original: Option<Figures>,
}

/// A figure that is no rate: memory, starts, system calls.
#[derive(Debug)]
pub struct Cost {
    /// What it is, with its unit.
    pub name: String,
    /// Ours.
    pub ours: f64,
    /// The original's.
    pub original: Option<f64>,
    /// Most that is allowed.
    pub limit: Option<f64>,
}

/// Everything measured in one run.
#[derive(Debug)]
pub struct Report {
    /// The machine.
    pub floor: Floor,
    /// Loads.
    pub lines: Vec<Line>,
    /// Costs.
    pub costs: Vec<Cost>,
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn met(is_met: bool) -> &'static str {
    if is_met { "✓" } else { "✗" }
}

impl Line {
    fn row(&self, before: Option<f64>) -> String {
        let ours = &self.ours;
        let mut row = format!(
            "| {} | {} | {:.0} / {:.0} | {:.1} |",
            self.case.name,
            grouped(ours.rate),
            ours.p50,
            ours.p99,
            ours.cpu
        );
        if let Some(original) = &self.original {
            let (rate, cpu) = (ours.rate / original.rate, ours.cpu / original.cpu);
            let goal = |ratio: f64, goal: Option<f64>, is_least: bool| match goal {
                None => format!("{ratio:.2}"),
                Some(goal) if is_least => format!("**{ratio:.2}** {goal} {}", met(ratio >= goal)),
                Some(goal) => format!("**{ratio:.2}** {goal} {}", met(ratio <= goal)),
            };
            let _ = write!(
                row,
                " {} | {:.0} / {:.0} | {:.1} | {} | {} |",
                grouped(original.rate),
                original.p50,
                original.p99,
                original.cpu,
                goal(rate, self.case.rate_goal, true),
                goal(cpu, self.case.cpu_goal, false),
            );
        }
        if let Some(before) = before {
            let mark = if before > REGRESSION { " **WORSE**" } else { "" };
            let _ = write!(row, " {before:.2}{mark} |");
        }
        row
    }
}

impl Report {
    /// Processor time of a line in multiples of the floor.
    fn relative(&self, line: &Line) -> f64 {
        line.ours.cpu / self.floor.total()
    }

    /// The tables; the last column compares with an earlier report of ours.
    pub fn tables(&self, baseline: Option<&Value>) -> String {
        let compared = self.lines.iter().any(|line| line.original.is_some());
        let mut heads = vec!["case", "ops/s", "p50 / p99 µs", "CPU µs/op"];
        if compared {
            heads.extend(["original ops/s", "p50 / p99 µs", "CPU µs/op", "rate ratio, goal"]);
            heads.push("CPU ratio, goal");
        }
        if baseline.is_some() {
            heads.push("CPU ÷ baseline");
        }
        let mut text = format!("| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len()));
        for line in &self.lines {
            let before = baseline.map(|baseline| {
                let was =
                    baseline.pointer("/cpu_in_floors").and_then(|cpu| cpu.get(line.case.name));
                was.and_then(Value::as_f64).map_or(1.0, |was| self.relative(line) / was)
            });
            let _ = writeln!(text, "{}", line.row(before));
        }
        let _ = writeln!(text, "\n| cost | ours | original | limit |\n| --- | --- | --- | --- |");
        for Cost { name, ours, original, limit } in &self.costs {
            let show = |value: &f64| format!("{value:.2}");
            let original = original.as_ref().map_or("–".to_owned(), show);
            let limit =
                limit.map_or("–".to_owned(), |limit| format!("{limit} {}", met(*ours <= limit)));
            let _ = writeln!(text, "| {name} | {ours:.2} | {original} | {limit} |");
        }
        let Floor { exchange, create, read } = self.floor;
        let _ = writeln!(
            text,
            "\nFloor of the machine in this run: exchange {exchange:.1} µs, create 4 KiB \
             {create:.1} µs, read 4 KiB {read:.1} µs."
        );
        text
    }

    /// Everything, for machines.
    pub fn json(&self) -> Value {
        let cases = self.lines.iter().map(|line| {
            let original = line.original.as_ref().map(Figures::json);
            json!({ "case": line.case.name, "ours": line.ours.json(), "original": original })
        });
        let costs = self
            .costs
            .iter()
            .map(|cost| json!({ "cost": cost.name, "ours": cost.ours, "original": cost.original }));
        let Floor { exchange, create, read } = self.floor;
        json!({
            "floor_us": { "exchange": exchange, "create": create, "read": read },
            "cases": cases.collect::<Vec<_>>(),
            "costs": costs.collect::<Vec<_>>(),
        })
    }

    /// What later reports are compared with.
    pub fn baseline(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            let rounded = (self.relative(line) * 1000.0).round() / 1000.0;
            (line.case.name.to_owned(), json!(rounded))
        });
        json!({ "cpu_in_floors": lines.collect::<Map<_, _>>() })
    }
}
