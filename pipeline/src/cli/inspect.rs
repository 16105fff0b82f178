//! `stats`, `status` and `functions`: what is there.

use super::Exit;
use super::args::Common;
use super::output::print;
use crate::job::read_stats;

pub(super) async fn stats(common: &Common, dir: &str) -> anyhow::Result<Exit> {
    let stats = read_stats(dir).await?;
    if common.json {
        print(&format!("{:#}\n", serde_json::to_value(&stats)?))?;
    } else {
        print(&stats.text())?;
    }
    Ok(Exit::Done)
}

pub(super) async fn status(common: &Common, dir: &str) -> anyhow::Result<Exit> {
    let stats = read_stats(dir).await?;
    if common.json {
        print(&format!(
            "{:#}\n",
            serde_json::json!({ "job": stats.job, "running": stats.running, "finished": stats.funnel.is_some(), "passes": stats.passes, "runs": stats.runs, "failed_units": stats.failed })
        ))?;
    } else {
        print(&stats.progress_text())?;
    }
    Ok(Exit::Done)
}

pub(super) fn functions(common: &Common) -> anyhow::Result<Exit> {
    let catalogue = trommel_filters::functions::catalogue();
    if common.json {
        let list: Vec<_> =
            catalogue.iter().map(|f| serde_json::json!({ "name": f.name, "args": f.args, "returns": f.returns, "doc": f.doc })).collect();
        print(&format!("{:#}\n", serde_json::Value::Array(list)))?;
    } else {
        for function in catalogue {
            print(&format!(
                "{:<44} {}\n",
                format!("{}({}) -> {}", function.name, function.args.join(", "), function.returns),
                function.doc
            ))?;
        }
        print("and every scalar function of DataFusion\n")?;
    }
    Ok(Exit::Done)
}
