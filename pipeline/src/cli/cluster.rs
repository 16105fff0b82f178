//! `scheduler` and `executor`: the processes of a cluster.

use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::Exit;
use super::args::{Common, ExecutorArgs, SchedulerArgs};
use super::output::say;
use crate::cluster::{ExecutorSettings, SchedulerSettings, Tls, registry, run_executor, run_scheduler};
use crate::report::{Progress, Role};

pub(super) async fn scheduler(common: &Common, args: SchedulerArgs) -> anyhow::Result<Exit> {
    let _metrics = common.metrics(Role::Scheduler, &Arc::default()).await?;
    let settings = SchedulerSettings {
        bind: args.bind.clone(),
        external_host: args.external_host.clone(),
        executor_timeout_s: args.executor_timeout,
        task_attempts: usize::from(args.task_attempts),
        tls: args.tls.files().as_ref().map(Tls::open).transpose()?,
    };
    let host = args.external_host;
    let listening = |port| say(&format!("scheduler {}: ballista://{host}:{port}", registry::build_id()));
    tokio::select! {
        ended = run_scheduler(&settings, listening) => ended?,
        stopped = stop() => stopped?,
    }
    Ok(Exit::Done)
}

pub(super) async fn executor(common: &Common, args: ExecutorArgs) -> anyhow::Result<Exit> {
    let place = args.scheduler.strip_prefix("ballista://").unwrap_or(&args.scheduler);
    let (host, port) = place.rsplit_once(':').ok_or_else(|| anyhow!("`{}`: written ballista://HOST:PORT", args.scheduler))?;
    let scheduler_port = port.parse().with_context(|| format!("`{}`: written ballista://HOST:PORT", args.scheduler))?;
    let own;
    let work_dir = match args.work_dir {
        Some(folder) => folder,
        None => {
            own = tempfile::Builder::new()
                .prefix("trommel-executor-")
                .tempdir_in(common.spill.clone().unwrap_or_else(std::env::temp_dir))
                .context("the folder for shuffles")?;
            own.path().to_path_buf()
        }
    };
    let settings = ExecutorSettings {
        scheduler_host: host.to_owned(),
        scheduler_port,
        external_host: args.external_host.unwrap_or_else(|| args.bind.clone()),
        bind_host: args.bind,
        port: args.port,
        slots: args.slots.unwrap_or_else(|| common.threads()),
        takes: args.takes.unwrap_or_default(),
        threads: common.threads(),
        memory_bytes: (common.memory_mib as u64) << 20,
        work_dir,
        patience_s: args.patience.max(1),
        tls: args.tls.files().as_ref().map(Tls::open).transpose()?,
    };
    say(&format!("executor {}: {} slots for the scheduler at {place}, takes {}", registry::build_id(), settings.slots, settings.takes));
    let progress = Arc::new(Progress::default());
    let _metrics = common.metrics(Role::Executor, &progress).await?;
    run_executor(&settings, progress).await?;
    Ok(Exit::Done)
}

/// SIGTERM or ctrl-c.
async fn stop() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
