//! Nodes and functions over the wire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder, ident};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use trommel_shards::columns::{IMAGE, ROW, TEXT, UID, UNIT, URL};
use trommel_shards::lists::{ColumnChoice, ListFormat};
use trommel_shards::storage::Storage;

use super::settle::Settle;
use super::{LogicalCodec, PhysicalCodec, SettleExec, registry};
use crate::crawl::fetch::FetchConfig;
use crate::engine::EngineChoice;
use crate::hashes::PictureHash;
use crate::job::RunOptions;
use crate::ledger::Intent;
use crate::miniweb::{MiniWeb, MiniWebConfig};
use crate::op::write::{InputIdentity, OutputFormat, ShardSpec, Target, VectorFormat};
use crate::op::{
    Dedupe, Drops, Extract, Fetch, FetchImages, HOST, HashPictures, KEY, Language, ORDER, Only, Op, Pack, ReadList, ReadShards, Scatter,
    Score, Write,
};
use crate::plan::{SessionSettings, StageExec, StageNode, counted, functions, session};
use crate::recipe::{Recipe, compile};
use crate::report::Funnel;
use crate::scorers::ScoreModel;
use crate::services::Services;

/// Every column that some operation reads.
fn schema() -> SchemaRef {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field(UNIT, DataType::Utf8),
        field(ROW, DataType::Int64),
        field("_excluded", DataType::Utf8),
        field("_reason", DataType::Utf8),
        field("_value", DataType::Utf8),
        field("_uid", DataType::Utf8),
        field(UID, DataType::Utf8),
        field(URL, DataType::Utf8),
        field(TEXT, DataType::Utf8),
        field("path", DataType::Utf8),
        field("input", DataType::Utf8),
        field(KEY, DataType::FixedSizeBinary(16)),
        field(ORDER, DataType::Binary),
        field(HOST, DataType::Utf8),
        field(IMAGE, DataType::LargeBinary),
    ]))
}

fn context() -> Arc<TaskContext> {
    let state = registry::state(registry::config()).expect("a state can be made");
    SessionContext::new_with_state(state).task_ctx()
}

fn word() -> impl Strategy<Value = String> {
    // Quotes, line ends and other scripts: what JSON and protobuf have to carry.
    prop_oneof!["[a-z]{1,8}", "\\PC{0,12}", Just("a \"b\"\n\\c\u{1f50d}".to_owned())]
}

/// A number as people write settings: up to fifteen digits, which the reader of JSON takes exactly.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.1), any::<u32>().prop_map(f64::from), (0_u64..1_000_000_000).prop_map(|thousandths| thousandths as f64 / 1000.0)]
}

fn fetch() -> impl Strategy<Value = Fetch> {
    (number(), number(), any::<u32>(), proptest::collection::vec(word(), 0..3), any::<bool>(), word()).prop_map(
        |(delay, seconds, retries, archive, flag, text)| Fetch {
            config: FetchConfig { per_host_delay: delay, retries, robots: flag, also_agents: archive.clone(), ..FetchConfig::default() },
            images: FetchImages {
                options: Default::default(),
                compute_hash: None,
                verify_hash: flag.then(|| TEXT.to_owned()),
                boxes: None,
                hashes: vec![PictureHash::Pdq, PictureHash::Near],
                blocking: None,
                page_optout: flag,
            },
            archive,
            archive_identity: text,
            offline: flag,
            unit_seconds: seconds,
            last_round: !flag,
            more_units: flag,
            scale_for: Vec::new(),
        },
    )
}

fn score() -> impl Strategy<Value = Score> {
    (word(), word(), any::<bool>(), proptest::option::of(1_usize..4096), 1_usize..2048).prop_map(|(name, model, flag, batch, dim)| Score {
        model: ScoreModel {
            name: format!("score_{name}"),
            card: serde_json::from_value(serde_json::json!({
                "model": model, "revision": null, "weights_sha256": "00", "preprocess": model, "tokenizer": "bpe", "precision": "f32", "dim": dim,
            }))
            .expect("a card"),
            batch,
            max_num_patches: None,
            device: "auto".into(),
            heads: Vec::new(),
            prompts: None,
        },
        text: TEXT.into(),
        probability: flag,
        vectors: !flag,
    })
}

fn target() -> impl Strategy<Value = Target> {
    let shards = (word(), 1_usize..100_000, any::<bool>()).prop_map(|(word, rows, flag)| {
        Target::Shards(ShardSpec {
            format: if flag { OutputFormat::Parquet } else { OutputFormat::Webdataset },
            shard_rows: rows,
            caption: flag.then(|| word.clone()),
            extension: "jpg".into(),
            compat: flag,
            datacomp: !flag,
            vectors: VectorFormat::None,
            folder: word.clone(),
            fetch_stage: word.clone(),
            deferred_folder: word.clone(),
            failed_folder: word,
        })
    });
    prop_oneof![word().prop_map(|folder| Target::Table { folder }), word().prop_map(|folder| Target::Lists { folder }), shards]
}

fn write() -> impl Strategy<Value = Write> {
    let input = prop_oneof![
        Just(InputIdentity::Control),
        word().prop_map(InputIdentity::Fixed),
        (word(), proptest::option::of(word())).prop_map(|(pass, lists)| InputIdentity::Upstream { pass, lists }),
    ];
    (word(), word(), input, target()).prop_map(|(pass, config, input, target)| Write { pass, config, input, target })
}

/// Every operation, with any settings.
fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (any::<bool>(), proptest::option::of(any::<usize>())).prop_map(|(cc2dataset, max_text_bytes)| Op::Extract(Extract {
            types: vec!["image".into(), "audio".into()],
            cc2dataset,
            max_text_bytes
        })),
        (word(), any::<bool>()).prop_map(|(name, uid)| Op::ReadList(ReadList {
            format: uid.then_some(ListFormat::Csv),
            choice: ColumnChoice { url: name.clone(), caption: Some(name.clone()), additional: uid.then(|| vec![name.clone()]) },
            text: name.clone(),
            columns: vec![(name.clone(), ("url".into(), "Utf8".into())), (name.clone(), ("text".into(), "Utf8".into()))],
            uid
        })),
        (word(), any::<bool>()).prop_map(|(name, tar)| Op::ReadShards(ReadShards {
            columns: vec![("uid".into(), "Utf8".into()), (format!("c{name}"), "Float32".into())],
            image: (!tar).then(|| name.clone()),
            ending: "jpg".into(),
            vectors: Vec::new()
        })),
        (proptest::option::of(word()), word()).prop_map(|(model, model_identity)| Op::Language(Language {
            column: TEXT.into(),
            model,
            model_identity
        })),
        (proptest::collection::vec(word(), 1..4), any::<bool>()).prop_map(|(by, ordered)| Op::Dedupe(Dedupe { by, ordered })),
        (word(), word(), word()).prop_map(|(stage, folder, reason)| Op::Drops(Drops { stage, folder, reason })),
        word().prop_map(|folder| Op::Only(Only { folder })),
        (1_usize..5000).prop_map(|host_rows| Op::Scatter(Scatter { host_rows })),
        (1_usize..100_000, any::<bool>(), any::<u32>(), 1_usize..12, 1_usize..64).prop_map(
            |(unit_rows, by_host, first_unit, digits, lanes)| Op::Pack(Pack {
                unit_rows,
                by_host,
                first_unit: first_unit as usize,
                digits,
                lanes
            })
        ),
        fetch().prop_map(|op| Op::Fetch(Box::new(op))),
        score().prop_map(|op| Op::Score(Box::new(op))),
        Just(Op::HashPictures(HashPictures { hashes: vec![PictureHash::Phash, PictureHash::Dhash, PictureHash::Pixels] })),
        write().prop_map(|op| Op::Write(Box::new(op))),
    ]
}

fn over_the_wire(plan: &Arc<dyn ExecutionPlan>) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
    let codec = PhysicalCodec::default();
    let mut bytes = Vec::new();
    PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), &codec)?.try_encode(&mut bytes)?;
    PhysicalPlanNode::try_decode(&bytes)?.try_into_physical_plan(&context(), &codec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_node_survives_the_wire(op in op(), pass in word(), config in word()) {
        let input: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(schema()));
        let stage: Arc<dyn ExecutionPlan> = Arc::new(StageExec::try_new(input, Arc::new(op.clone())).expect("all columns are there"));
        let settle = Settle { stop: format!("stop/{pass}"), pass, config };
        let plan: Arc<dyn ExecutionPlan> = Arc::new(SettleExec::new(stage, settle.clone()));
        let back = over_the_wire(&plan).expect("it travels");
        prop_assert_eq!(back.downcast_ref::<SettleExec>().map(SettleExec::settle), Some(&settle));
        let below = Arc::clone(back.children()[0]);
        prop_assert_eq!(below.downcast_ref::<StageExec>().map(StageExec::op), Some(&op));
        prop_assert_eq!(below.schema(), plan.children()[0].schema());
        prop_assert_eq!(displayable(back.as_ref()).indent(true).to_string(), displayable(plan.as_ref()).indent(true).to_string());
    }

    #[test]
    fn every_logical_node_survives_the_wire(op in op()) {
        let empty = LogicalPlanBuilder::scan("t", datafusion::datasource::provider_as_source(Arc::new(datafusion::datasource::empty::EmptyTable::new(schema()))), None)
            .and_then(|plan| plan.project(schema().fields().iter().map(|field| ident(field.name().as_str())).collect::<Vec<_>>()))
            .and_then(LogicalPlanBuilder::build)
            .expect("a plan");
        let plan = StageNode::plan(empty.clone(), op.clone()).expect("all columns are there");
        let LogicalPlan::Extension(extension) = &plan else { panic!("a stage is an extension") };
        let mut bytes = Vec::new();
        let codec = LogicalCodec::default();
        codec.try_encode(extension, &mut bytes).expect("it travels");
        let Extension { node } = codec.try_decode(&bytes, &[empty], &context()).expect("it arrives");
        let stage = node.as_any().downcast_ref::<StageNode>().expect("a stage");
        prop_assert_eq!(stage.op.as_ref(), &op);
    }
}

#[test]
fn a_plan_of_another_build_is_refused_with_both_named() {
    let input: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(schema()));
    let plan: Arc<dyn ExecutionPlan> =
        Arc::new(StageExec::try_new(input, Arc::new(Op::Only(Only { folder: "x".into() }))).expect("a stage"));
    let mut bytes = Vec::new();
    PhysicalPlanNode::try_from_physical_plan(plan, &PhysicalCodec::of_build("0.0.9+deadbeef"))
        .and_then(|plan| plan.try_encode(&mut bytes))
        .expect("it travels");
    let refused = PhysicalPlanNode::try_decode(&bytes)
        .and_then(|plan| plan.try_into_physical_plan(&context(), &PhysicalCodec::default()))
        .expect_err("another build's plan");
    for part in ["0.0.9+deadbeef", registry::build_id()] {
        assert!(refused.to_string().contains(part), "{refused}");
    }
}

#[test]
fn functions_that_are_made_for_a_plan_travel_by_what_they_were_made_of() {
    use datafusion_proto::physical_plan::PhysicalExtensionCodec;
    for directions in ["a", "dad"] {
        let function = functions::order_key(directions);
        let mut bytes = Vec::new();
        PhysicalExtensionCodec::try_encode_udf(&PhysicalCodec::default(), &function, &mut bytes).expect("it travels");
        assert!(!bytes.is_empty(), "an empty message is looked up by name");
        let back = PhysicalExtensionCodec::try_decode_udf(&PhysicalCodec::default(), function.name(), &bytes).expect("it arrives");
        assert_eq!(back.name(), function.name());
    }
}

#[test]
fn client_scheduler_and_executor_know_the_same_functions() {
    let state = registry::state(registry::config()).expect("a state can be made");
    for function in crate::plan::all_functions() {
        state.udf(function.name()).expect("registered");
    }
    // DataFusion's nested functions, which Ballista's own registry lacks.
    state.udf("make_array").expect("registered");
}

/// Runs a recipe over a miniature web on an engine; gives the rows that each function saw, and what became of the rows.
async fn calls(crawl: &std::path::Path, output: &std::path::Path, engine: EngineChoice) -> (BTreeMap<String, u64>, Funnel) {
    let text = format!(
        r#"
[job]
name   = "calls"
output = {output:?}
[source]
wat = [{wat:?}]
[[stage]]
use   = "keep"
where = "words(text) > 3 and not has_pii(text) and draw('7', 'half', uid) < 0.5"
[[stage]]
use   = "dedupe"
by    = ["text"]
order = "chars(url) desc, uid"
[[stage]]
use    = "write"
format = "parquet"
"#,
        wat = crawl.join("*.wat.gz").display().to_string(),
        output = output.display().to_string(),
    );
    let recipe = Recipe::parse("job.toml", &text).expect("a recipe");
    let services =
        Services::new(Storage::in_memory(Arc::default(), "check"), Arc::default(), std::env::temp_dir(), 1, CancellationToken::new());
    let settings = SessionSettings { partitions: 1, memory_bytes: 64 << 20, spill_folder: std::env::temp_dir() };
    let checking = session(&settings, Arc::new(services)).expect("a session");
    let compiled = compile(&recipe, &checking, false).await.expect("it compiles");
    let options = RunOptions {
        intent: Intent::Fresh,
        threads: 2,
        memory_bytes: 256 << 20,
        spill_folder: None,
        quiet: true,
        retry_failed: false,
        engine,
        part: None,
        part_patience: Duration::ZERO,
    };
    let finished = compiled.job.run(&options, Arc::default(), CancellationToken::new()).await.expect("it runs");
    let uri = Storage::open(&output.display().to_string()).expect("a folder").uri().to_owned();
    (counted::rows_of(&uri), finished.funnel)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_is_called_once_a_row_on_every_engine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let crawl = folder.path().join("crawl");
    std::fs::create_dir_all(&crawl).expect("a temporary folder");
    MiniWeb::new(MiniWebConfig { pages: 60, ..MiniWebConfig::default() }).write_wats(&crawl, 3).expect("a temporary folder");
    let (local, funnel) = calls(&crawl, &folder.path().join("local"), EngineChoice::Local).await;
    let standalone = EngineChoice::Standalone { executors: 2, slots: 1 };
    let (spread, _) = calls(&crawl, &folder.path().join("spread"), standalone).await;
    let keep = &funnel.stages[0];
    let lost = |condition: &str| keep.lost.iter().find(|(reason, _)| reason.starts_with(condition)).map_or(0, |(_, count)| *count);
    let (words, pii, draw) = (lost("words"), lost("NOT has_pii"), lost("draw"));
    assert!(words > 0 && draw > 0 && words + pii + draw < keep.rows, "{keep:?}");
    // What a lost row shows is the value that its condition saw.
    assert_eq!(local["words"], keep.rows + words, "{keep:?} {local:?}");
    assert_eq!(local["has_pii"], keep.rows - words, "{keep:?} {local:?}");
    assert_eq!(local["draw"], keep.rows - words - pii + draw, "{keep:?} {local:?}");
    // The key and the order of the rows that are left.
    assert_eq!((local["row_key"], local["chars"]), (keep.kept, keep.kept), "{keep:?} {local:?}");
    assert_eq!(local, spread);
}
