use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Builder, Int32Array, ListBuilder, RecordBatch, StringArray};

use super::make::{all, components, folder};
use crate::table::TableWriter;
use crate::vectors::{
    ClipRetrievalWriter, ClipStats, Compression, DatacompWriter, Partition, Precision, Provenance, Rows, VectorColumn, VectorTableWriter,
    datacomp_schema, open_datacomp, open_vectors,
};

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

#[tokio::test]
async fn a_table_keeps_nulls_names_and_what_made_the_vectors() {
    let (storage, _dir) = folder();
    let provenance =
        Provenance { model: "tiny".into(), weights_sha256: "ab".into(), preprocessing: "bicubic-224".into(), precision: "f32".into() };
    let column = |name: &str, dim, precision| VectorColumn { name: name.into(), dim, precision, provenance: Some(provenance.clone()) };
    let columns = [column("tiny", 4, Precision::F16), column("other", 2, Precision::F32)];
    let mut table = VectorTableWriter::create(&storage, "v.parquet", &columns).await.unwrap();
    let (a, b, valid) = (components(3, 4), components(3, 2), [true, false, true]);
    let rows = [Rows::new(&a, 4, Some(&valid)).unwrap(), Rows::new(&b, 2, None).unwrap()];
    table.append(&["u0", "u1", "u2"], &[Some("000"), None, Some("002")], &rows).await.unwrap();
    assert!(table.append(&["u3"], &[None], &rows).await.is_err());
    table.finish().await.unwrap();

    let uri = storage.uri_of("v.parquet");
    let reader = open_vectors(&uri, Some("tiny"), 2).unwrap();
    assert_eq!((reader.provenance(), reader.precision()), (Some(&provenance), Precision::F16));
    let read = all(Ok(reader)).unwrap();
    assert_eq!(read.uids.unwrap(), ["u0", "u1", "u2"]);
    assert_eq!(read.keys.unwrap(), ["000", "", "002"]);
    assert_eq!(read.valid, Some(valid.to_vec()));
    assert_eq!((&read.data[..4], &read.data[8..]), (&a[..4], &a[8..]));
    assert!(read.data[4..8].iter().all(|component| component.is_nan()));
    assert_eq!(all(open_vectors(&uri, Some("other"), 100)).unwrap().data, b);

    let said = |column| open_vectors(&uri, column, 1).err().unwrap().to_string();
    assert!(said(None).ends_with("name one of `tiny`, `other`"));
    assert!(said(Some("tyni")).ends_with("has no vectors `tyni`; it has `tiny`, `other`; did you mean `tiny`?"));
    assert!(said(Some("uid")).ends_with("column `uid` is Utf8, no list of float16, float32 or float64"));
}

#[tokio::test]
async fn lists_of_any_length_are_read_when_they_have_one_length() {
    let (storage, _dir) = folder();
    for (name, last) in [("good.parquet", 3), ("bad.parquet", 2)] {
        let mut lists = ListBuilder::new(Float32Builder::new());
        lists.append(false);
        lists.append_value([1.0, 2.0, 3.0].map(Some));
        lists.append_value(vec![Some(0.5); last]);
        let batch = RecordBatch::try_from_iter([("embedding", Arc::new(lists.finish()) as ArrayRef)]).unwrap();
        let mut table = TableWriter::create(&storage, name, batch.schema(), 100).await.unwrap();
        table.write(&batch).await.unwrap();
        table.finish().await.unwrap();
    }
    let read = all(open_vectors(&storage.uri_of("good.parquet"), None, 2)).unwrap();
    assert_eq!((read.dim, read.valid.unwrap()), (3, vec![false, true, true]));
    let error = all(open_vectors(&storage.uri_of("bad.parquet"), None, 2)).unwrap_err().to_string();
    assert!(error.ends_with("column `embedding`, row 2: a vector of 2 components among vectors of 3"), "{error}");
}

#[tokio::test]
async fn datacomp_metadata_has_its_columns_and_aligned_vectors() {
    let (storage, _dir) = folder();
    let keys = [("b32_img", 4), ("b32_txt", 4)];
    let mut writer = DatacompWriter::create(&storage, "0239", &keys, Precision::F32, Compression::Deflated).await.unwrap();
    let batch = RecordBatch::try_from_iter([
        ("original_width", Arc::new(Int32Array::from(vec![640, 320])) as ArrayRef),
        ("uid", strings(&["aa", "bb"])),
        ("url", strings(&["http://a/", "http://b/"])),
        ("ours_only", strings(&["x", "y"])),
    ])
    .unwrap();
    let data = components(2, 4);
    let images = Rows::new(&data, 4, Some(&[false, true])).unwrap();
    let texts = Rows::new(&data, 4, None).unwrap();
    writer.append(&batch, &[images, texts]).await.unwrap();
    assert!(writer.append(&batch, &[images]).await.is_err());
    assert!(writer.append(&batch.project(&[0]).unwrap(), &[images, texts]).await.is_err());
    writer.finish().await.unwrap();

    let mut table = crate::table::TableReader::open(&storage, "0239.parquet").await.unwrap().unwrap();
    let stored = table.next().await.unwrap().unwrap();
    let fields =
        |schema: arrow::datatypes::SchemaRef| schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>();
    assert_eq!(fields(stored.schema()), fields(datacomp_schema()));
    for stem in ["0239", "0239.npz", "0239.parquet"] {
        let read = all(open_datacomp(&storage.uri_of(stem), "b32_img", 1)).unwrap();
        assert_eq!(read.uids.unwrap(), ["aa", "bb"]);
        assert_eq!((read.valid.unwrap(), &read.data[4..]), (vec![false, true], &data[4..]));
    }
    let error = open_datacomp(&storage.uri_of("0239"), "b32_image", 1).err().unwrap().to_string();
    assert!(error.ends_with("it has `b32_img`, `b32_txt`; did you mean `b32_img`?"), "{error}");
}

#[tokio::test]
async fn a_clip_retrieval_folder_is_one_sequence_of_partitions() {
    let (storage, dir) = folder();
    let data = components(3, 4);
    for number in [10, 2] {
        let label = |row: usize| format!("p{number}/{row}.jpg");
        let paths: Vec<String> = (0..3).map(label).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let batch = RecordBatch::try_from_iter([("image_path", strings(&paths)), ("caption", strings(&["a", "b", "c"]))]).unwrap();
        let partition = Partition { number, of: 11 };
        let mut writer = ClipRetrievalWriter::create(&storage, &partition.label(), Some(4), Some(4), batch.schema()).await.unwrap();
        let images = Rows::new(&data, 4, Some(&[true, false, true])).unwrap();
        writer.append(&batch, Some(images), Some(Rows::new(&data, 4, None).unwrap())).await.unwrap();
        assert!(writer.append(&batch, Some(images), None).await.is_err());
        assert_eq!(writer.left_out(), 1);
        writer.finish(Some(ClipStats::default())).await.unwrap();
    }
    let names: Vec<String> = storage.list("").await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(&names[..2], ["img_emb/img_emb_02.npy", "img_emb/img_emb_10.npy"]);
    assert!(names.contains(&"stats/10.json".to_owned()) && names.contains(&"metadata/metadata_02.parquet".to_owned()));
    for kind in ["img_emb", "text_emb"] {
        let read = all(open_vectors(storage.uri(), Some(kind), 1)).unwrap();
        assert_eq!(read.keys.unwrap(), ["p2/0.jpg", "p2/2.jpg", "p10/0.jpg", "p10/2.jpg"]);
        assert_eq!((read.rows, &read.data[..4], &read.data[4..8]), (4, &data[..4], &data[8..]));
    }
    assert!(open_vectors(storage.uri(), None, 1).err().unwrap().to_string().contains("`img_emb`, `text_emb`"));
    std::fs::remove_file(dir.path().join("metadata/metadata_02.parquet")).unwrap();
    assert!(open_vectors(storage.uri(), Some("img_emb"), 1).err().unwrap().to_string().contains("no metadata"));
}

#[test]
fn a_path_that_holds_no_vectors_is_named() {
    let (storage, dir) = folder();
    std::fs::write(dir.path().join("a.txt"), "x").unwrap();
    assert!(open_vectors(&storage.uri_of("a.txt"), None, 1).err().unwrap().to_string().contains("a.txt`"));
    assert!(open_vectors(storage.uri(), None, 1).err().unwrap().to_string().contains("holds no vectors"));
    assert!(open_vectors(&storage.uri_of("none.npy"), None, 1).err().unwrap().to_string().contains("none.npy"));
}
