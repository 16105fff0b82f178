#![allow(clippy::unwrap_used, reason = "helpers of tests are outside their functions")]
//! The functions inside a DataFusion session.

#![cfg(feature = "datafusion")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Float32Type, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use trommel_filters::functions::{self, catalogue};
use trommel_filters::language::{Detection, LanguageDetector};
use trommel_filters::urls::BlockListBuilder;
use trommel_filters::{language, text, uid};

fn session() -> SessionContext {
    let mut ctx = SessionContext::new();
    functions::register_all(&mut ctx).unwrap();
    ctx
}

async fn query(ctx: &SessionContext, sql: &str) -> RecordBatch {
    let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

const TEXTS: [Option<&str>; 5] =
    [Some("a red house by the sea"), None, Some(""), Some("das rote Haus am Meer"), Some("mail a@example.com")];

#[tokio::test]
async fn every_function_of_the_catalogue_runs_with_the_type_that_it_names() {
    let ctx = session();
    for doc in catalogue() {
        let args = vec!["'https://example.com/a.jpg'"; doc.args.len()].join(", ");
        let batch = query(&ctx, &format!("select {}({args}) as x", doc.name)).await;
        assert_eq!(batch.column(0).data_type().to_string(), doc.returns, "{}", doc.name);
        assert_eq!(batch.column(0).null_count(), 0, "{}", doc.name);
    }
}

#[tokio::test]
async fn null_gives_null_and_all_string_types_are_taken() {
    let ctx = session();
    let columns: [ArrayRef; 3] = [
        Arc::new(StringArray::from(TEXTS.to_vec())),
        Arc::new(LargeStringArray::from(TEXTS.to_vec())),
        Arc::new(StringViewArray::from(TEXTS.to_vec())),
    ];
    for column in columns {
        let kind = column.data_type().clone();
        let batch = RecordBatch::try_from_iter_with_nullable([("text", column, true)]).unwrap();
        ctx.deregister_table("t").unwrap();
        ctx.register_batch("t", batch).unwrap();
        let got = query(
            &ctx,
            "select words(text), chars(text), lang(text), lang_score(text), has_pii(text), redact_pii(text), \
             uid('u', text), text_hash(text) from t",
        )
        .await;
        for (row, text) in TEXTS.into_iter().enumerate() {
            let Some(text) = text else {
                assert!(got.columns().iter().all(|column| column.is_null(row)), "{kind}");
                continue;
            };
            assert_eq!(got.column(0).as_primitive::<Int64Type>().value(row), text::words(text) as i64);
            assert_eq!(got.column(1).as_primitive::<Int64Type>().value(row), text::chars(text) as i64);
            assert_eq!(got.column(2).as_string::<i32>().value(row), language::lang(text));
            assert_eq!(got.column(3).as_primitive::<Float32Type>().value(row), language::lang_score(text));
            assert_eq!(got.column(4).as_boolean().value(row), text.contains('@'));
            assert_eq!(got.column(5).as_string::<i32>().value(row), text.replace("a@example.com", "<EMAIL>"));
            assert_eq!(got.column(6).as_string::<i32>().value(row), uid("u", text));
            assert_eq!(got.column(7).as_string::<i32>().value(row), text::text_hash(text));
        }
    }
}

#[tokio::test]
async fn untyped_null_is_null_and_numbers_are_refused() {
    let ctx = session();
    assert_eq!(query(&ctx, "select words(null) as x").await.column(0).null_count(), 1);
    assert_eq!(query(&ctx, "select uid('a', null) as x").await.column(0).null_count(), 1);
    for sql in ["select words(1)", "select words()", "select words('a', 'b')", "select uid('a')"] {
        let planned = ctx.sql(sql).await;
        assert!(planned.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn the_recipe_of_the_readme_selects() {
    let ctx = session();
    let batch = RecordBatch::try_from_iter([("text", Arc::new(StringArray::from(TEXTS.to_vec())) as ArrayRef)]);
    ctx.register_batch("t", batch.unwrap()).unwrap();
    let sql = "select text from t where lang(text) in ('en', 'de') and words(text) > 2 and chars(text) > 5";
    let shown = pretty_format_batches(&[query(&ctx, sql).await]).unwrap().to_string();
    assert!(shown.contains("red house") && shown.contains("rote Haus") && !shown.contains("mail"), "{shown}");
}

#[tokio::test]
async fn a_detector_of_ones_own_takes_the_place_of_the_built_in_one() {
    struct Always;
    impl LanguageDetector for Always {
        fn detect(&self, _: &str) -> Detection<'_> {
            Detection { lang: "tlh", score: 0.5 }
        }
        fn id(&self) -> &str {
            "always"
        }
    }
    let ctx = session();
    let detector: Arc<dyn LanguageDetector> = Arc::new(Always);
    let udfs = functions::language_udfs(&detector);
    assert_ne!(udfs[0], functions::all_udfs().into_iter().find(|udf| udf.name() == "lang").unwrap());
    udfs.iter().for_each(|udf| ctx.register_udf(udf.as_ref().clone()));
    let got = query(&ctx, "select lang('hello') as a, lang_score('hello') as b").await;
    assert_eq!(got.column(0).as_string::<i32>().value(0), "tlh");
    assert_eq!(got.column(1).as_primitive::<Float32Type>().value(0), 0.5);
}

#[tokio::test]
async fn a_block_list_is_a_function_too() {
    let path = std::env::temp_dir().join(format!("trommel-sql-blocklist-{}", std::process::id()));
    std::fs::write(&path, "bad.example\n").unwrap();
    let list = BlockListBuilder::new().hosts_file(&path, "adult").unwrap().build();
    let ctx = session();
    ctx.register_udf(functions::block_list_udf(Arc::new(list)).as_ref().clone());
    let got = query(&ctx, "select blocked('http://x.bad.example/1') as a, blocked('http://good.example/') as b").await;
    assert_eq!(got.column(0).data_type(), &DataType::Utf8);
    assert_eq!(got.column(0).as_string::<i32>().value(0), "adult");
    assert!(got.column(1).is_null(0));
}
