//! `demo` and `miniweb`: the whole pipeline on a web that the program serves itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::Exit;
use super::args::{Common, DemoArgs, MiniwebArgs, Resume};
use super::output::{print, say};
use super::run::{checking_session, finish};
use crate::miniweb::{MiniWeb, MiniWebConfig, site};
use crate::recipe::{Recipe, compile};

/// The recipe that the demo runs; it is written beside the dataset, to be read and changed.
fn recipe_text(crawl: &Path, output: &str) -> String {
    format!(
        r#"# The recipe of `trommel demo`: a crawl of a miniature web, judged, fetched and written as shards.
[job]
name    = "demo"
output  = {output:?}
seed    = 0
contact = "https://example.org/bot"

[source]
wat = [{wat:?}]

# The miniature web lives on loopback, which a fetcher refuses unless it is told otherwise.
[network]
allow_net      = ["127.0.0.0/8"]
resolve        = ["*.{domain}=127.0.0.1"]
ports          = []
total_timeout  = 3.0
header_timeout = 2.0
idle_timeout   = 1.0
per_host_delay = 0.0

[[stage]]
use = "language"

[[stage]]
use   = "keep"
where = "words(text) > 2 and chars(text) > 5 and not is_boilerplate(text) and not has_pii(text)"

[[stage]]
use   = "dedupe"
by    = ["url"]
order = "chars(text) desc, uid"   # of several captions the longest

[[stage]]
use          = "fetch"
image_size   = 256
resize_mode  = "keep_ratio_largest"
resize_only_if_bigger = true
min_image_size   = 32
max_aspect_ratio = 3.0
number_sample_per_shard = 500
unit_seconds = 60

[[stage]]
use   = "keep"
where = "status != 'success' or width * height >= 4096"

# A small CLIP that comes with the program and knows this web only: does the caption fit the picture?
[[stage]]
use     = "score"
model   = "miniweb-clip"
vectors = "parquet"

[[stage]]
use   = "keep"
where = "status != 'success' or miniweb_clip >= 0.5"

[[stage]]
use    = "write"
format = "webdataset"
"#,
        wat = crawl.join("*.wat.gz").display().to_string(),
        domain = site::DOMAIN,
    )
}

pub(super) async fn demo(common: &Common, args: DemoArgs) -> anyhow::Result<Exit> {
    let root = Path::new(&args.output);
    let crawl = root.join("crawl");
    let dataset = root.join("dataset").display().to_string();
    std::fs::create_dir_all(&crawl).with_context(|| format!("`{}`", crawl.display()))?;
    let config = MiniWebConfig { seed: args.seed, pages: u64::from(args.pages), slow: 0.02, ..MiniWebConfig::default() };
    let server = MiniWeb::launch(config).await.context("the miniature web cannot be served on loopback")?;
    say(&format!("the miniature web: {} pages on {} hosts, served at {}", args.pages, server.web().hosts(), server.addr()));
    let web = Arc::clone(server.web());
    let folder = crawl.clone();
    tokio::task::spawn_blocking(move || web.write_wats(&folder, 2).and_then(|_| web.write_warcs(&folder, 2, true))).await??;
    let file = root.join("recipe.toml");
    let text = recipe_text(&crawl, &dataset);
    std::fs::write(&file, &text).with_context(|| format!("`{}`", file.display()))?;
    let recipe = Recipe::parse(&file.display().to_string(), &text)?;
    let compiled = compile(&recipe, &checking_session()?, false).await?;
    // The port, and so every url, is another one each time: an older dataset would be of another web.
    let resume = Resume { fresh: !args.resume, explain: false, retry_failed: false };
    let exit = finish(common, &compiled.job, &resume).await?;
    server.shutdown().await;
    if !common.json {
        say(&format!("\nthe crawl    {}", crawl.display()));
        say(&format!("the recipe   {}", file.display()));
        say(&format!("the dataset  {dataset}"));
        say("\nlook at it:");
        say(&format!("  tar tf {dataset}/00000.tar | head"));
        // As it was called: after the quickstart it is not on the path yet.
        let program = std::env::args().next().unwrap_or_else(|| "trommel".to_owned());
        say(&format!("  {program} stats {dataset}"));
        say(&format!("  python3 -c \"import webdataset as w; print(next(iter(w.WebDataset('{dataset}/00000.tar').decode())).keys())\""));
    }
    Ok(exit)
}

/// Serves the miniature web until the process is ended; its first line says where.
pub(super) async fn serve(args: MiniwebArgs) -> anyhow::Result<Exit> {
    let config = MiniWebConfig {
        seed: args.seed,
        pages: u64::from(args.pages),
        hostile: args.hostile,
        slow: args.slow,
        slow_delay: Duration::from_millis(300),
        port: args.port,
        ..MiniWebConfig::default()
    };
    let server = if args.port == 0 {
        MiniWeb::launch(config).await?
    } else {
        Arc::new(MiniWeb::new(config)).serve(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?
    };
    if let Some(folder) = &args.write {
        std::fs::create_dir_all(folder)?;
        let (web, folder, wats, bench) = (Arc::clone(server.web()), folder.clone(), args.wats as u64, args.bench_urls as u64);
        tokio::task::spawn_blocking(move || -> Result<(), crate::miniweb::error::MiniWebError> {
            web.write_wats(&folder, wats)?;
            web.write_warcs(&folder, wats, true)?;
            web.write_urls(&folder.join("urls.tsv"), u64::MAX)?;
            if bench > 0 {
                web.write_bench_urls(&folder.join("bench640.tsv"), bench, crate::miniweb::bench_pool::Side::Small, 64)?;
                web.write_bench_urls(&folder.join("bench1024.tsv"), bench, crate::miniweb::bench_pool::Side::Large, 64)?;
            }
            Ok(())
        })
        .await??;
    }
    print(&format!("serving on {}\n", server.addr()))?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(Exit::Done)
}
