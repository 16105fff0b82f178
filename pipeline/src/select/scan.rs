//! One reading of the metadata: what earlier stages decided is applied, and the next stage collects what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::diversity::{Groups, PassRates};
use super::error::{Result, SelectError};
use super::exclusions::{Exclusions, Gone};
use super::expression::Expression;
use super::inputs::{Inputs, Piece};
use super::names::{Names, name_columns};
use super::state::{ABSENT, IN, State, States};

/// Something that judges rows, batch by batch.
pub(super) trait Step: Send + Sync {
    /// What it reads.
    fn columns(&self) -> Vec<String>;

    /// Whether it looks at the rows' names; reading them costs more than most columns.
    fn names(&self) -> bool {
        false
    }

    /// Takes rows out, or sets how often they are taken.
    fn judge(&self, rows: &mut Judging<'_>) -> Result<()>;
}

/// Something that collects over the rows that are still in. Each thread has its own.
pub(super) trait Fit: Send {
    /// Whether it looks at the rows' names.
    const NAMES: bool = true;

    /// Looks at a batch.
    fn see(&mut self, rows: &Judging<'_>) -> Result<()>;

    /// A piece has ended; its state is final for this scan.
    fn piece_done(&mut self, _piece: usize) -> Result<()> {
        Ok(())
    }
}

/// A name that a stage gave to rows, as a column of the subset's table and of final shards.
pub(super) trait Label: Send + Sync {
    /// The name of a row, 128 bits; none for most.
    fn of(&self, piece: usize, row: usize) -> Option<u128>;
}

/// A fit that wants nothing.
impl Fit for () {
    const NAMES: bool = false;

    fn see(&mut self, _: &Judging<'_>) -> Result<()> {
        Ok(())
    }
}

/// Work for a thread of its own, inside the runtime of this one: files of object stores are read through it.
fn inside<T>(work: impl FnOnce() -> T + Send) -> impl FnOnce() -> T + Send {
    let runtime = tokio::runtime::Handle::try_current().ok();
    move || {
        let _inside = runtime.as_ref().map(tokio::runtime::Handle::enter);
        work()
    }
}

/// A batch in the hands of the stages.
pub(super) struct Judging<'a> {
    /// The columns that somebody asked for.
    pub(super) batch: &'a RecordBatch,
    names: &'a Names<'a>,
    /// Which piece.
    pub(super) piece: usize,
    /// The batch's first row in the piece.
    pub(super) first: usize,
    state: &'a mut State,
    stage: u8,
    /// Whether somebody wants to know what a stage saw of the rows that it takes out.
    pub(super) tells: bool,
    /// Whether somebody wants to know which rows went; otherwise they are counted.
    lists: bool,
    gone: Vec<Gone>,
    counts: Vec<(u8, Arc<str>, u64)>,
}

impl Judging<'_> {
    /// The name of a row.
    ///
    /// # Errors
    /// When what the file has is no uid.
    pub(super) fn uid(&self, row: usize) -> Result<u128> {
        self.names.uid(row)
    }

    /// Whether a row is still in.
    pub(super) fn is_in(&self, row: usize) -> bool {
        self.state.out_at[self.first + row] == IN
    }

    /// The rows that are still in.
    pub(super) fn living(&self) -> Vec<usize> {
        (0..self.batch.num_rows()).filter(|&row| self.is_in(row)).collect()
    }

    /// Takes a row out.
    pub(super) fn exclude(&mut self, row: usize, reason: &Arc<str>, value: Option<String>) {
        if self.is_in(row) {
            self.state.out_at[self.first + row] = self.stage;
            match self.counts.last_mut() {
                // A stage gives one reason to many rows in a row.
                Some((stage, last, count)) if *stage == self.stage && Arc::ptr_eq(last, reason) => *count += 1,
                _ => self.counts.push((self.stage, Arc::clone(reason), 1)),
            }
            if self.lists {
                self.gone.push(Gone { row, stage: self.stage, reason: Arc::clone(reason), value });
            }
        }
    }

    /// How often a row is taken.
    pub(super) fn copies(&self, row: usize) -> u32 {
        self.state.copies_of(self.first + row)
    }

    /// Multiplies how often a row is taken; nothing left takes it out.
    pub(super) fn repeat(&mut self, row: usize, times: u32, reason: &Arc<str>, value: impl FnOnce() -> Option<String>) {
        match times {
            0 => {
                let value = value();
                self.exclude(row, reason, value);
            }
            1 => {}
            _ => {
                if self.state.copies.is_empty() {
                    self.state.copies = vec![1; self.state.out_at.len()];
                }
                let copies = &mut self.state.copies[self.first + row];
                *copies = copies.saturating_mul(times);
            }
        }
    }

    /// Notes the weight that a stage gave a row, kept or not.
    pub(super) fn weigh(&mut self, weight: usize, row: usize, value: f32) {
        let rows = self.state.out_at.len();
        while self.state.weights.len() <= weight {
            self.state.weights.push(vec![f32::NAN; rows]);
        }
        self.state.weights[weight][self.first + row] = value;
    }

    /// A weight that was noted; NaN where none was.
    pub(super) fn weight(&self, weight: usize, row: usize) -> f32 {
        self.state.weights.get(weight).map_or(f32::NAN, |list| list[self.first + row])
    }
}

/// Rows lost by stage and reason.
pub(super) type Lost = BTreeMap<u8, BTreeMap<Arc<str>, u64>>;

/// What all scans of a selection share.
pub(super) struct Scanner<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) states: States,
    pub(super) threads: usize,
    pub(super) exclusions: Option<Exclusions>,
    pub(super) groups: Option<Groups>,
    pub(super) lost: Mutex<Lost>,
    pub(super) rates: Mutex<PassRates>,
    pub(super) cancel: CancellationToken,
    /// Rows that are there.
    pub(super) rows: u64,
    scans: AtomicUsize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(
        inputs: &'a Inputs,
        spill: &Path,
        threads: usize,
        exclusions: Option<Exclusions>,
        groups: Option<Groups>,
        cancel: CancellationToken,
    ) -> Result<Self> {
        let states = States::new(spill)?;
        let (lost, rates) = (Mutex::default(), Mutex::default());
        Ok(Self {
            inputs,
            states,
            threads: threads.max(1),
            exclusions,
            groups,
            lost,
            rates,
            cancel,
            rows: inputs.rows(),
            scans: AtomicUsize::new(0),
        })
    }

    /// Takes the rows for which this does not hold for none: they are neither kept nor lost.
    pub(super) fn only(&mut self, present: &Expression) -> Result<()> {
        let next = AtomicUsize::new(0);
        let rows = std::sync::atomic::AtomicU64::new(0);
        let work = || -> Result<()> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(piece) = self.inputs.pieces.get(at) else { return Ok(()) };
                let mut state = self.states.load(at, piece.rows)?;
                let mut reader = self.inputs.read(piece, present.columns(), &[])?;
                let mut first = 0;
                while let Some((batch, _)) = reader.next()? {
                    let there = present.truths(&batch)?;
                    for row in 0..batch.num_rows().min(piece.rows - first) {
                        if there.is_valid(row) && there.value(row) {
                            rows.fetch_add(1, Ordering::Relaxed);
                        } else {
                            state.out_at[first + row] = ABSENT;
                        }
                    }
                    first += batch.num_rows();
                }
                self.states.store(at, &state)?;
            }
        };
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..self.threads).map(|_| scope.spawn(inside(&work))).collect();
            handles.into_iter().try_for_each(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        self.rows = rows.into_inner();
        Ok(())
    }

    /// Reads all rows once. `steps` come with the number of their stage. Gives back the fits, one per thread.
    pub(super) fn scan<F: Fit>(
        &self,
        steps: &[(u8, Arc<dyn Step>)],
        columns: &[String],
        fit: impl Fn() -> Result<F> + Sync,
    ) -> Result<Vec<F>> {
        let scan = self.scans.fetch_add(1, Ordering::Relaxed);
        // Looked for always, so that metadata without names is refused by its first scan.
        let names = name_columns(self.inputs)?;
        let named = F::NAMES || steps.iter().any(|(_, step)| step.names()) || (self.exclusions.is_some() && !steps.is_empty());
        let names = if named { names } else { Vec::new() };
        let mut wanted: BTreeSet<String> = columns.iter().cloned().collect();
        for (_, step) in steps {
            wanted.extend(step.columns());
        }
        if !steps.is_empty() {
            wanted.extend(self.exclusions.iter().flat_map(|exclusions| exclusions.columns()));
            wanted.extend(self.groups.iter().flat_map(Groups::columns));
        }
        let wanted: Vec<String> = wanted.into_iter().collect();
        let next = AtomicUsize::new(0);
        let threads = self.threads.min(self.inputs.pieces.len()).max(1);
        let work = || -> Result<F> {
            let mut fit = fit()?;
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(piece) = self.inputs.pieces.get(at) else { return Ok(fit) };
                if let Err(error) = self.piece(scan, at, piece, steps, &wanted, &names, &mut fit) {
                    // The others stop at their next piece.
                    next.store(self.inputs.pieces.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        };
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(inside(&work))).collect();
            handles.into_iter().map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }

    #[allow(clippy::too_many_arguments, reason = "one call site, all of one scan")]
    fn piece<F: Fit>(
        &self,
        scan: usize,
        at: usize,
        piece: &Piece,
        steps: &[(u8, Arc<dyn Step>)],
        wanted: &[String],
        names: &[String],
        fit: &mut F,
    ) -> Result<()> {
        let mut state = self.states.load(at, piece.rows)?;
        let mut reader = self.inputs.read(piece, wanted, names)?;
        let uri = reader.uri().to_owned();
        let mut exclusions = self.exclusions.as_ref().map(|exclusions| exclusions.part(scan, at));
        let mut lost = Lost::default();
        let mut rates = PassRates::default();
        let mut first = 0;
        while let Some((batch, names)) = reader.next()? {
            if self.cancel.is_cancelled() {
                return Err(SelectError::Interrupted);
            }
            if first + batch.num_rows() > piece.rows {
                return Err(SelectError::file(&uri, "it has more rows than its footer says"));
            }
            let mut rows = Judging {
                batch: &batch,
                names: &names,
                piece: at,
                first,
                state: &mut state,
                stage: 0,
                tells: self.exclusions.is_some(),
                lists: self.exclusions.is_some() || self.groups.is_some(),
                gone: Vec::new(),
                counts: Vec::new(),
            };
            let before = match &self.groups {
                Some(groups) if !steps.is_empty() => Some(groups.of(&batch, &rows.living(), &mut rates)?),
                _ => None,
            };
            for (stage, step) in steps {
                if let Some(before) = &before {
                    rates.enter(*stage, before, |row| rows.is_in(row));
                }
                rows.stage = *stage;
                step.judge(&mut rows)?;
            }
            fit.see(&rows)?;
            let (gone, counts) = (std::mem::take(&mut rows.gone), std::mem::take(&mut rows.counts));
            for (stage, reason, count) in counts {
                *lost.entry(stage).or_default().entry(reason).or_default() += count;
            }
            if let Some(before) = &before {
                gone.iter().for_each(|row| rates.lose(row.stage, before, row.row));
            }
            if let Some(part) = &mut exclusions {
                part.write(&batch, &names, &gone)?;
            }
            first += batch.num_rows();
        }
        if first != piece.rows {
            let message = format!("{first} rows were read where its footer says {}", piece.rows);
            return Err(SelectError::file(&uri, message));
        }
        if let Some(part) = exclusions {
            part.finish()?;
        }
        fit.piece_done(at)?;
        if !steps.is_empty() {
            self.states.store(at, &state)?;
        }
        let mut all = self.lost.lock();
        for (stage, reasons) in lost {
            for (reason, count) in reasons {
                *all.entry(stage).or_default().entry(reason).or_default() += count;
            }
        }
        drop(all);
        self.rates.lock().merge(&rates);
        Ok(())
    }
}
