//! A generated dataset with its cards, written to a folder for `tests/peers/card_check.py`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float16Array, Float32Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use half::f16;

use super::super::*;
use super::made::{everything, model};
use crate::digest::HashKind;
use crate::storage::Storage;
use crate::table::TableWriter;
use crate::tar::TarWriter;

/// Rows of a shard.
const ROWS: usize = 7;
/// Shards.
const SHARDS: usize = 3;

fn batch(shard: usize) -> RecordBatch {
    let row = |at: usize| shard * ROWS + at;
    let text = |make: &dyn Fn(usize) -> String| Arc::new(StringArray::from_iter_values((0..ROWS).map(|at| make(row(at))))) as ArrayRef;
    let fields = vec![
        Field::new("uid", DataType::Utf8, false),
        Field::new("key", DataType::Utf8, false),
        Field::new("url", DataType::Utf8, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("width", DataType::Int32, true),
        Field::new("seen", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("towers", DataType::Float32, true).with_metadata(model().to_metadata()),
    ];
    let columns = vec![
        text(&|row| format!("{row:032x}")),
        text(&|row| format!("{row:09}")),
        text(&|row| format!("https://example.org/{row}.jpg")),
        Arc::new(StringArray::from_iter((0..ROWS).map(|at| (at != 2).then(|| format!("caption \"{}\", 四角", row(at)))))) as ArrayRef,
        Arc::new(Int32Array::from_iter((0..ROWS).map(|at| (at != 1).then_some(row(at) as i32 + 100)))),
        Arc::new(TimestampMillisecondArray::from_iter_values((0..ROWS).map(|at| 1_700_000_000_000 + row(at) as i64))),
        Arc::new(Float32Array::from_iter((0..ROWS).map(|at| (at != 3).then_some(row(at) as f32 / 64.0)))),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn vectors(shard: usize) -> RecordBatch {
    let values = Float16Array::from_iter_values((0..ROWS * 4).map(|at| f16::from_f32((shard * ROWS * 4 + at) as f32 / 64.0)));
    let item = Arc::new(Field::new("item", DataType::Float16, true));
    let list = FixedSizeListArray::new(Arc::clone(&item), 4, Arc::new(values), None);
    let schema = Schema::new(vec![
        Field::new("uid", DataType::Utf8, false),
        Field::new("towers_img", DataType::FixedSizeList(item, 4), true).with_metadata(model().to_metadata()),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(batch(shard).column(0)), Arc::new(list)]).unwrap()
}

fn picture(at: usize) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let pixels = ::image::RgbImage::from_pixel(8, 8, ::image::Rgb([at as u8 * 9, 80, 160]));
    pixels.write_to(&mut bytes, ::image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

async fn table(storage: &Storage, name: &str, batch: &RecordBatch) {
    let mut table = TableWriter::create(storage, name, batch.schema(), 4).await.unwrap();
    table.write(batch).await.unwrap();
    table.finish().await.unwrap();
}

/// Writes the dataset into a folder and gives its facts.
async fn write(folder: &Path) -> Facts {
    let storage = Storage::open(folder.to_str().unwrap()).unwrap();
    let mut names = Vec::new();
    for shard in 0..SHARDS {
        let mut tar = TarWriter::new();
        for at in 0..ROWS {
            let row = shard * ROWS + at;
            tar.append(&format!("{row:09}.jpg"), &picture(row)).unwrap();
            tar.append(&format!("{row:09}.txt"), b"a caption").unwrap();
        }
        storage.put(&format!("{shard:05}.tar"), tar.finish()).await.unwrap();
        table(&storage, &format!("{shard:05}.parquet"), &batch(shard)).await;
        table(&storage, &format!("vectors/{shard:05}.parquet"), &vectors(shard)).await;
        // Tables of other columns in folders beside: no record set may take them in.
        storage.put(&format!("excluded/{shard:05}.parquet"), "not a table").await.unwrap();
        storage.put(&format!("_trommel/units/{shard:05}.parquet"), "not a table").await.unwrap();
        names.extend([format!("{shard:05}.tar"), format!("{shard:05}.parquet"), format!("vectors/{shard:05}.parquet")]);
    }
    let mut files = Vec::new();
    for name in names {
        let bytes = storage.get(&name).await.unwrap().unwrap();
        let output = crate::marker::Output { bytes: bytes.len() as u64, sha256: HashKind::Sha256.hex(&bytes) };
        files.push(DataFile::of_output(&name, &output));
    }
    let mut facts = everything();
    facts.files = files;
    facts.tables[0].columns = columns_of(&batch(0).schema());
    facts.tables[1].columns = columns_of(&vectors(0).schema());
    facts
}

/// Writes the cards of every kind; the names say what they are.
async fn write_all(folder: &Path) {
    let facts = write(folder).await;
    let storage = Storage::open(folder.to_str().unwrap()).unwrap();
    let sets = CardOptions { listed_files: 3, ..CardOptions::default() };
    let old = CardOptions { version: CroissantVersion::V1_0, ..CardOptions::default() };
    let repository = Facts { repository: Some("https://github.com/example/shapes".into()), ..facts.clone() };
    for (name, facts, options) in [
        ("croissant.json", &facts, CardOptions::default()),
        ("sets.json", &facts, sets),
        ("repository.json", &repository, sets),
        ("old.json", &facts, old),
        ("old_sets.json", &facts, CardOptions { listed_files: 3, ..old }),
        ("least.json", &super::made::least(), CardOptions::default()),
    ] {
        let cards = cards(facts, &options).unwrap();
        storage.put(name, cards.croissant).await.unwrap();
        storage.put(&name.replace(".json", ".md"), cards.markdown).await.unwrap();
        if let Some(manifest) = cards.manifest {
            storage.put(MANIFEST_FILE, manifest).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_dataset_for_mlcroissant_is_written() {
    let wanted = std::env::var_os("TROMMEL_CARD_FOLDER");
    let temporary = tempfile::tempdir().unwrap();
    let folder = wanted.as_deref().map_or(temporary.path(), Path::new);
    write_all(folder).await;
    let card = std::fs::read_to_string(folder.join("croissant.json")).unwrap();
    assert!(card.contains("\"vectors/[0-9][0-9][0-9][0-9][0-9].parquet\""));
}
