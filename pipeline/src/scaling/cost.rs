//! What a stage costs.

use serde::Serialize;

use super::machines::Role;

/// What sets a stage's pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Cores.
    Cpu,
    /// The machines' network.
    Network,
    /// Graphics cards.
    Gpu,
    /// Requests that a process may have in flight.
    Connections,
    /// The pace of hosts.
    Politeness,
}

impl Bound {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Network => "network",
            Self::Gpu => "GPU",
            Self::Connections => "connections",
            Self::Politeness => "politeness",
        }
    }
}

/// Hours that each limit alone would ask for, on the given machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Limits {
    /// All cores busy.
    pub cpu: f64,
    /// All networks busy in the direction that carries more.
    pub network: f64,
    /// All cards busy.
    pub gpu: f64,
    /// All connections busy.
    pub connections: f64,
    /// The simulated crawl, which waits for hosts.
    pub politeness: f64,
}

impl Limits {
    /// The largest, and which it is. A crawl that hardly lasts longer than the machines ask for (a twentieth) is not bound by
    /// politeness.
    pub(crate) fn largest(&self) -> (Bound, f64) {
        let (mut bound, hours) = self.machines();
        if self.politeness > 1.05 * hours {
            bound = Bound::Politeness;
        }
        (bound, hours.max(self.politeness))
    }

    /// The largest of what the machines ask for, and which it is; hosts left aside.
    pub(crate) fn machines(&self) -> (Bound, f64) {
        let machines =
            [(Bound::Cpu, self.cpu), (Bound::Network, self.network), (Bound::Gpu, self.gpu), (Bound::Connections, self.connections)];
        let (mut bound, mut hours) = machines[0];
        for (other, asked) in machines {
            if asked > hours {
                (bound, hours) = (other, asked);
            }
        }
        (bound, hours)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.cpu += other.cpu;
        self.network += other.network;
        self.gpu += other.gpu;
        self.connections += other.connections;
        self.politeness += other.politeness;
    }
}

/// Bytes of what is stored beside samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Metadata {
    /// Markers of units: what resuming reads.
    pub markers: f64,
    /// Tables of rows: candidates, units of work, tables beside shards, exclusions, subsets.
    pub tables: f64,
    /// Lists of duplicates.
    pub lists: f64,
    /// Vectors.
    pub vectors: f64,
}

impl Metadata {
    /// All together.
    pub fn total(&self) -> f64 {
        self.markers + self.tables + self.lists + self.vectors
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.markers += other.markers;
        self.tables += other.tables;
        self.lists += other.lists;
        self.vectors += other.vectors;
    }
}

/// What a stage costs. Bytes are bytes, hours are hours; numbers of rows are not rounded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageCost {
    /// The stage.
    pub name: String,
    /// What machines it runs on.
    pub role: Role,
    /// The machines, as they were written.
    pub machines: String,
    /// Pass that it belongs to, from 0: stages of one pass run at the same time.
    pub pass: usize,
    /// Rows that come in; for a source, those that it makes.
    pub rows_in: f64,
    /// Rows that it leaves.
    pub rows_out: f64,
    /// Bytes from the store.
    pub bytes_read: f64,
    /// Bytes to the store, metadata included.
    pub bytes_written: f64,
    /// Bytes from the web.
    pub bytes_downloaded: f64,
    /// Requests to the web.
    pub requests: f64,
    /// Core hours.
    pub cpu_hours: f64,
    /// Card hours.
    pub gpu_hours: f64,
    /// Bytes that go from machine to machine, or through spill files.
    pub shuffle_bytes: f64,
    /// What is stored beside samples.
    pub metadata: Metadata,
    /// Units of work: tasks of the scheduler, markers of the ledger.
    pub units: f64,
    /// Objects in the store, markers included.
    pub objects: f64,
    /// Memory that one machine needs for what grows with the rows.
    pub memory_bytes: f64,
    /// What each limit asks for.
    pub limits: Limits,
    /// Hours on the given machines by itself.
    pub wall_hours: f64,
    /// What sets the pace.
    pub bound: Bound,
    /// Its part of what the machines cost while its pass lasts, in the currency of the prices.
    pub cost: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_limit_binds_and_politeness_only_when_it_adds_to_it() {
        let limits = Limits { cpu: 10.0, network: 12.0, ..Limits::default() };
        assert_eq!(limits.largest(), (Bound::Network, 12.0));
        assert_eq!(Limits { politeness: 12.5, ..limits }.largest(), (Bound::Network, 12.5));
        assert_eq!(Limits { politeness: 13.0, ..limits }.largest(), (Bound::Politeness, 13.0));
        assert_eq!(Limits::default().largest(), (Bound::Cpu, 0.0));
    }
}
