//! Who may write to an output: one whole run, or the parts of one, and of those one at a time where all rows meet.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use trommel_shards::storage::Storage;

use super::presence::{here, now};
use super::{LedgerError, Part};

const NAME: &str = "_trommel/lock";
const PARTS: &str = "_trommel/locks/parts";
/// A lease in an object store that was not renewed for this long belongs to a run that is dead.
const LEASE: Duration = Duration::from_secs(120);

/// Held for the length of a run, or of a pass. In a folder it is a lock of the operating system, which a killed process
/// gives back; in an object store it is an object that the holder renews.
pub struct JobLock {
    _files: Vec<File>,
    leases: Vec<Lease>,
}

/// How a file is locked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Alone,
    Shared,
}

impl JobLock {
    /// Takes the lock of a whole run, or says who holds it: another run, or a part of one.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] when somebody holds it.
    pub async fn take(storage: &Storage) -> Result<Self, LedgerError> {
        match storage.local_root() {
            Some(root) => Ok(Self { _files: vec![patiently(|| take_file(root, NAME, Hold::Alone, "")).await?], leases: Vec::new() }),
            None => {
                if let Some(holder) = living(storage, PARTS).await?.into_iter().next() {
                    return Err(LedgerError::Locked { place: storage.uri().to_owned(), holder });
                }
                Ok(Self { _files: Vec::new(), leases: vec![Lease::take(storage, NAME).await?] })
            }
        }
    }

    /// Takes the lock of one part. Other parts of as many may run beside it; a whole run, the same part, or parts of
    /// another number may not.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] when one of those holds it.
    pub async fn take_part(storage: &Storage, part: Part) -> Result<Self, LedgerError> {
        let (own, kin) = (format!("{PARTS}/{}", part.name()), format!("-of-{}", part.of));
        match storage.local_root() {
            Some(root) => {
                let job = patiently(|| take_file(root, NAME, Hold::Shared, &format!("part {part}"))).await?;
                let folder = root.join(PARTS);
                let others = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
                for other in others.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| !name.ends_with(&kin)) {
                    // Free when it can be taken; it is given back at once.
                    take_file(root, &format!("{PARTS}/{other}"), Hold::Alone, "")?;
                }
                let own = patiently(|| take_file(root, &own, Hold::Alone, "")).await?;
                Ok(Self { _files: vec![job, own], leases: Vec::new() })
            }
            None => {
                let mut living = living(storage, NAME).await?;
                living.extend(self::living(storage, PARTS).await?.into_iter().filter(|name| !name.contains(&format!("{kin} "))));
                match living.into_iter().next() {
                    Some(holder) => Err(LedgerError::Locked { place: storage.uri().to_owned(), holder }),
                    None => Ok(Self { _files: Vec::new(), leases: vec![Lease::take(storage, &own).await?] }),
                }
            }
        }
    }

    /// Takes the lock of one pass, which only one of the parts may do; `None` when another has it.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn try_pass(storage: &Storage, pass: &str) -> Result<Option<Self>, LedgerError> {
        let name = format!("_trommel/locks/passes/{pass}");
        let taken = match storage.local_root() {
            Some(root) => take_file(root, &name, Hold::Alone, "").map(|file| Self { _files: vec![file], leases: Vec::new() }),
            None => Lease::take(storage, &name).await.map(|lease| Self { _files: Vec::new(), leases: vec![lease] }),
        };
        match taken {
            Ok(lock) => Ok(Some(lock)),
            Err(LedgerError::Locked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the lock back.
    pub async fn release(mut self) {
        for lease in self.leases.drain(..) {
            lease.release().await;
        }
    }
}

/// Tries a few times: somebody who only looks holds a lock for an instant.
async fn patiently(mut take: impl FnMut() -> Result<File, LedgerError>) -> Result<File, LedgerError> {
    for _ in 0..5 {
        match take() {
            Err(LedgerError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(40)).await,
            other => return other,
        }
    }
    take()
}

fn take_file(root: &std::path::Path, name: &str, hold: Hold, said: &str) -> Result<File, LedgerError> {
    let path = root.join(name);
    let io = |source| LedgerError::Io { place: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
    let taken = match hold {
        Hold::Alone => file.try_lock(),
        Hold::Shared => file.try_lock_shared(),
    };
    match taken {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(io)?;
            return Err(LedgerError::Locked { place: root.display().to_string(), holder: holder.trim().to_owned() });
        }
        Err(std::fs::TryLockError::Error(e)) => return Err(io(e)),
    }
    file.set_len(0).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    writeln!(file, "{}", format!("{} {said}", here()).trim()).map_err(io)?;
    Ok(file)
}

/// The holders of the leases of an object store, below a name, that are renewed.
async fn living(storage: &Storage, below: &str) -> Result<Vec<String>, LedgerError> {
    let mut names: Vec<String> = storage.list(below).await?.into_iter().map(|entry| entry.name).collect();
    if below == NAME {
        names.push(NAME.to_owned());
    }
    let mut living = Vec::new();
    for name in names {
        let Some(bytes) = storage.get(&name).await? else { continue };
        let holder = String::from_utf8_lossy(&bytes).into_owned();
        if is_renewed(&holder) {
            living.push(format!("{} {holder}", name.rsplit('/').next().unwrap_or_default()));
        }
    }
    Ok(living)
}

fn is_renewed(holder: &str) -> bool {
    let renewed: u64 = holder.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    now().saturating_sub(renewed) < LEASE.as_secs()
}

/// An object that says who is at work, renewed as long as this lives.
struct Lease {
    storage: Storage,
    name: String,
    renewing: tokio::task::JoinHandle<()>,
}

impl Lease {
    async fn take(storage: &Storage, name: &str) -> Result<Self, LedgerError> {
        let text = || format!("{} at {}", here(), now());
        if !storage.put_new(name, text()).await? {
            let holder = storage.get(name).await?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            if is_renewed(&holder) {
                return Err(LedgerError::Locked { place: storage.uri().to_owned(), holder });
            }
            storage.put(name, text()).await?;
        }
        let (renew, object) = (storage.clone(), name.to_owned());
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LEASE / 4).await;
                if let Err(error) = renew.put(&object, format!("{} at {}", here(), now())).await {
                    tracing::warn!(%error, "the lease on the output could not be renewed");
                }
            }
        });
        Ok(Self { storage: storage.clone(), name: name.to_owned(), renewing })
    }

    async fn release(self) {
        self.renewing.abort();
        if let Err(error) = self.storage.delete(&self.name).await {
            tracing::warn!(%error, "the lease on the output could not be given back; it ends by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Part {
        text.parse().expect("a part")
    }

    async fn stands(storage: &Storage) {
        let (first, second) = (JobLock::take_part(storage, part("0/2")).await, JobLock::take_part(storage, part("1/2")).await);
        assert!(first.is_ok() && second.is_ok(), "parts of one job run beside each other");
        for other in ["0/2", "0/3"] {
            assert!(matches!(JobLock::take_part(storage, part(other)).await, Err(LedgerError::Locked { .. })), "{other}");
        }
        assert!(matches!(JobLock::take(storage).await, Err(LedgerError::Locked { .. })), "a whole run beside parts");
        let leader = JobLock::try_pass(storage, "2-dedupe").await.expect("a lock").expect("free");
        assert!(JobLock::try_pass(storage, "2-dedupe").await.expect("a lock").is_none());
        leader.release().await;
        JobLock::try_pass(storage, "2-dedupe").await.expect("a lock").expect("free again").release().await;
        for held in [first, second] {
            held.expect("held").release().await;
        }
        let whole = JobLock::take(storage).await.expect("free");
        assert!(matches!(JobLock::take_part(storage, part("0/2")).await, Err(LedgerError::Locked { .. })), "a part beside a whole run");
        whole.release().await;
        JobLock::take_part(storage, part("0/3")).await.expect("free").release().await;
    }

    #[tokio::test]
    async fn whole_runs_and_parts_keep_each_other_out_of_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        stands(&Storage::open(&folder.path().display().to_string()).expect("opened")).await;
    }

    #[tokio::test]
    async fn whole_runs_and_parts_keep_each_other_out_of_an_object_store() {
        stands(&Storage::in_memory(std::sync::Arc::default(), "locks")).await;
    }
}
