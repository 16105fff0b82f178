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
use crate::miniweb::words::Lang;
use crate::miniweb::{MiniWeb, MiniWebConfig, site};
use crate::recipe::{Recipe, compile};
use crate::report::facts_of;
use trommel_shards::card::{Facts, Notes, Party};
use trommel_shards::storage::Storage;

/// The recipe that the demo runs; it is written beside the dataset, to be read and changed.
fn recipe_text(crawl: &Path, lexicon: &Path, output: &str) -> String {
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

# What near-copies are found by: made while the pixels are at hand.
[[stage]]
use    = "hash"
hashes = ["pdq", "phash", "near"]

# From here on all rows are seen at once: the shards so far are in `raw/`, what is chosen goes into final shards.
# Of pictures that are the same but for size, format and quality the largest stays; `selection/groups.html` shows the groups.
[[stage]]
use = "near"
of  = "pictures"

[[stage]]
use = "keep"
top = 0.95
by  = "miniweb_clip"

# On this web hearts are red too often. Weights under which red has its share, and hearts have no more of it than others.
[[stage]]
use         = "balance"
method      = "m4"
attributes  = ["red=0.25"]
labels      = ["heart"]
lexicon     = {lexicon:?}
target_rate = 0.8

[[stage]]
use    = "write"
format = "webdataset"
"#,
        lexicon = lexicon.display().to_string(),
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
    let lexicon = root.join("lexicon.toml");
    std::fs::write(&lexicon, Lang::lexicon()).with_context(|| format!("`{}`", lexicon.display()))?;
    let text = recipe_text(&crawl, &lexicon, &dataset);
    std::fs::write(&file, &text).with_context(|| format!("`{}`", file.display()))?;
    let recipe = Recipe::parse(&file.display().to_string(), &text)?;
    let compiled = compile(&recipe, &checking_session()?, false).await?;
    // The port, and so every url, is another one each time: an older dataset would be of another web.
    let resume = Resume {
        fresh: !args.resume,
        explain: false,
        retry_failed: false,
        engine: args.engine.clone(),
        tls: args.tls.clone(),
        part: None,
        part_patience: 0,
    };
    let exit = finish(common, &compiled.job, &resume).await?;
    server.shutdown().await;
    card(&dataset, args.pages).await.context("the demo's card")?;
    if !common.json {
        say(&format!("\nthe crawl    {}", crawl.display()));
        say(&format!("the recipe   {}", file.display()));
        say(&format!("the dataset  {dataset}"));
        say(&format!("its card     {dataset}/DATACARD.md"));
        say("\nlook at it:");
        say(&format!("  tar tf {dataset}/00000.tar | head"));
        // As it was called: after the quickstart it is not on the path yet.
        let program = std::env::args().next().unwrap_or_else(|| "trommel".to_owned());
        say(&format!("  {program} stats {dataset}"));
        say(&format!("  python3 -c \"import webdataset as w; print(next(iter(w.WebDataset('{dataset}/00000.tar').decode())).keys())\""));
    }
    Ok(exit)
}

/// The cards of the demo's dataset. What a person would say is said here.
async fn card(dataset: &str, pages: u32) -> anyhow::Result<()> {
    let storage = Storage::open(dataset)?;
    let facts = Facts {
        name: "trommel-demo".into(),
        description: format!("Pictures and captions of a miniature web of {pages} pages, generated and curated by `trommel demo`."),
        license: "https://www.apache.org/licenses/LICENSE-2.0".into(),
        url: "https://example.org/trommel-demo".into(),
        creators: vec![Party::organization("The Trommel authors")],
        // Of the program's world, not of the clock: the demo is the same on every day.
        date_published: "2025-01-01".into(),
        version: Some("1.0.0".into()),
        notes: Notes {
            purpose: Some("To show what the program does, and to test it.".into()),
            limitations: Some("Generated shapes and sentences: nothing of the real web is in it.".into()),
            ..Notes::default()
        },
        ..facts_of(&storage).await?
    };
    super::card::write(&storage, &facts).await
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
