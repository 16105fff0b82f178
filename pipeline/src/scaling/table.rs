//! The plan as text and as JSON.

use super::plan::Plan;
use super::published;

/// A number with three digits and a prefix: `12.8 G`, `950`, `0.42`.
pub fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let prefixes = ["", " k", " M", " G", " T", " P", " E"];
    let mut scaled = value;
    let mut index = 0;
    // 999.5 would be shown with four digits.
    while scaled.abs() >= 999.5 && index + 1 < prefixes.len() {
        scaled /= 1000.0;
        index += 1;
    }
    let digits = match scaled.abs() {
        s if s < 9.995 => 2,
        s if s < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$}{}", prefixes[index])
}

/// A time in the unit in which people speak of it.
pub fn duration(hours: f64) -> String {
    match hours {
        0.0 => "0".to_owned(),
        h if h < 1.0 / 60.0 => format!("{:.0} s", h * 3600.0),
        h if h < 1.0 => format!("{:.0} min", h * 60.0),
        h if h < 72.0 => format!("{h:.1} h"),
        h if h < 24.0 * 900.0 => format!("{:.1} d", h / 24.0),
        h => format!("{:.1} y", h / 24.0 / 365.25),
    }
}

/// Columns of text: the first and, where the table says so, the last to the left, the others to the right.
fn columns(rows: &[Vec<String>], last_left: bool) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            match column {
                0 => line.push_str(&format!("{cell}{pad}")),
                last if last_left && last + 1 == count => line.push_str(&format!("  {cell}{pad}")),
                _ => line.push_str(&format!("  {pad}{cell}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cells(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

impl Plan {
    /// The plan as JSON, with rates, machines and assumptions.
    pub fn to_json(&self) -> String {
        // Plain structs with names for keys always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The plan as text: work, what is stored, the crawl, what was published, what was assumed of rates, and warnings.
    pub fn to_text(&self) -> String {
        let mut text = self.work();
        text.push('\n');
        text.push_str(&self.storage());
        if let Some(crawl) = &self.crawl {
            text.push_str(&format!(
                "\ncrawl: {} urls on {} hosts, {} of them on the largest; {} if no host made a machine wait, {} politely\n",
                short(crawl.urls as f64),
                short(crawl.hosts as f64),
                short(crawl.largest_host as f64),
                duration(crawl.machine_seconds / 3600.0),
                duration(crawl.seconds / 3600.0),
            ));
            let shown = |seconds: Option<f64>| seconds.map_or("never".to_owned(), |seconds| duration(seconds / 3600.0));
            for quantile in &crawl.quantiles {
                let (done, ideal) = (shown(quantile.seconds), duration(quantile.ideal_seconds / 3600.0));
                text.push_str(&format!("  {:>5} % of the urls after {done} (in no order before {ideal})\n", quantile.fraction * 100.0));
            }
            let left = short(crawl.left_out as f64);
            text.push_str(&format!("  {left} urls are left out after {} rounds\n", crawl.rounds.len()));
        }
        let compared = published::beside(self);
        if !compared.is_empty() {
            text.push_str("\nbeside what was published\n");
            let mut rows = vec![cells(&["", "published", "planned", "unit", ""])];
            rows.extend(
                compared
                    .iter()
                    .map(|c| vec![c.what.to_owned(), short(c.published), short(c.planned), c.unit.to_owned(), c.source.to_owned()]),
            );
            text.push_str(&columns(&rows, true));
        }
        let on = &self.measured_on;
        text.push_str(&format!("\nrates measured on {} ({} cores), version {}\n", on.processor, on.cores, on.version));
        for warning in &self.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        text
    }

    fn work(&self) -> String {
        let head = [
            "stage",
            "rows in",
            "rows out",
            "read B",
            "written B",
            "web B",
            "requests",
            "CPU h",
            "GPU h",
            "machines",
            "wall",
            "limit",
            "cost",
        ];
        let cost = |cost: Option<f64>| cost.map_or("-".to_owned(), short);
        let mut rows = vec![cells(&head)];
        for s in &self.stages {
            rows.push(vec![
                s.name.clone(),
                short(s.rows_in),
                short(s.rows_out),
                short(s.bytes_read),
                short(s.bytes_written),
                short(s.bytes_downloaded),
                short(s.requests),
                short(s.cpu_hours),
                short(s.gpu_hours),
                duration(s.limits.machines().1),
                duration(s.wall_hours),
                s.bound.name().to_owned(),
                cost(s.cost),
            ]);
        }
        let t = &self.totals;
        rows.push(vec![
            "total".to_owned(),
            self.stages.first().map_or(String::new(), |s| short(s.rows_in)),
            self.stages.last().map_or(String::new(), |s| short(s.rows_out)),
            short(t.bytes_read),
            short(t.bytes_written),
            short(t.bytes_downloaded),
            short(t.requests),
            short(t.cpu_hours),
            short(t.gpu_hours),
            String::new(),
            duration(t.wall_hours),
            String::new(),
            cost(t.cost),
        ]);
        columns(&rows, false)
    }

    fn storage(&self) -> String {
        let head = ["stage", "shuffle B", "markers B", "tables B", "lists B", "vectors B", "units", "objects", "memory B", "machines"];
        let mut rows = vec![cells(&head)];
        for s in &self.stages {
            rows.push(vec![
                s.name.clone(),
                short(s.shuffle_bytes),
                short(s.metadata.markers),
                short(s.metadata.tables),
                short(s.metadata.lists),
                short(s.metadata.vectors),
                short(s.units),
                short(s.objects),
                short(s.memory_bytes),
                s.machines.clone(),
            ]);
        }
        let t = &self.totals;
        rows.push(vec![
            "total".to_owned(),
            short(t.shuffle_bytes),
            short(t.metadata.markers),
            short(t.metadata.tables),
            short(t.metadata.lists),
            short(t.metadata.vectors),
            short(t.units),
            short(t.objects),
        ]);
        columns(&rows, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        for (value, text) in
            [(0.0, "0"), (0.421, "0.42"), (9.996, "10.0"), (950.0, "950"), (999.6, "1.00 k"), (12.8e9, "12.8 G"), (1.3e15, "1.30 P")]
        {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn times_have_the_unit_in_which_people_speak_of_them() {
        for (hours, text) in [(0.0, "0"), (0.01, "36 s"), (0.5, "30 min"), (20.0, "20.0 h"), (168.0, "7.0 d"), (8766.0 * 3.0, "3.0 y")] {
            assert_eq!(duration(hours), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = columns(&[cells(&["a", "bb"]), cells(&["ccc", "d"])], false);
        assert_eq!(text, "a    bb\nccc   d\n");
    }
}
