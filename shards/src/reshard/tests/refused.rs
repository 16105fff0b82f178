use super::make::{Folder, number, sample, tar, uid};
use crate::reshard::{InputShard, ReshardOptions};
use crate::tar::TarWriter;

#[test]
fn a_broken_shard_is_named_and_the_others_go_on() {
    let folder = Folder::new();
    let good = folder.shard("good", &[1, 2], false);
    let whole = std::fs::read(folder.path("good.tar")).unwrap();
    folder.file("cut.tar", &whole[..whole.len() / 4]);
    folder.file("endless.tar", &whole[..1024]);
    let mut gz = vec![0x1f, 0x8b, 8];
    gz.extend(&whole);
    folder.file("packed.tar", &gz);
    let mut apart: Vec<_> = [sample("a", 1), sample("b", 2)].concat();
    apart.swap(2, 3);
    folder.file("apart.tar", &tar(&apart));
    folder.file("twice.tar", &tar(&[sample("a", 1), sample("a", 1)].concat()));
    let mut inputs = vec![good];
    for name in ["cut", "endless", "packed", "apart", "twice", "missing"] {
        inputs.push(InputShard::named(&folder.path(&format!("{name}.tar"))));
    }
    let (plan, _) = folder.run("out", &inputs, None, ReshardOptions::default()).unwrap();
    let numbers: Vec<u128> = folder.samples("out", &plan)[0].iter().map(number).collect();
    assert_eq!(numbers, [1, 2]);
    let said: Vec<String> = plan.failures().iter().map(|(_, error)| error.to_string().replace(&folder.path(""), "")).collect();
    let wanted = [
        "`cut.tar`: archive ends inside the member",
        "`endless.tar`: archive ends inside the member",
        "`packed.tar` is compressed; unpack it first",
        "`apart.tar`: sample `a`: its members are not adjacent",
        "`twice.tar`: sample `a`: has two members `jpg`",
        "`missing.tar`",
    ];
    assert_eq!(said.len(), wanted.len());
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.starts_with(wanted), "{said}");
    }
    assert!(plan.failures()[5].0.ends_with("missing.tar"));
}

#[test]
fn a_shard_that_shrinks_after_the_scan_fails_with_its_sample() {
    let folder = Folder::new();
    let input = folder.shard("a", &(0..20).collect::<Vec<_>>(), false);
    let storage = folder.storage("out");
    super::make::run(async {
        let plan = crate::reshard::Reshard::plan(vec![input], None, ReshardOptions::default()).await.unwrap();
        let whole = std::fs::read(folder.path("a.tar")).unwrap();
        let members = crate::tar::read_members(&whole).unwrap();
        let cut = members.iter().find(|member| member.name == "a0010.jpg").unwrap().offset as usize + 513;
        folder.file("a.tar", &whole[..cut]);
        let error = plan.write_shard(0, &storage).await.unwrap_err().to_string();
        assert!(error.contains("a.tar`: sample `a0010`") && error.contains("archive ends inside"), "{error}");
        assert_eq!(storage.list("").await.unwrap(), vec![]);
        folder.file("a.tar", &whole);
        plan.write_shard(0, &storage).await.unwrap();
        assert!(plan.write_shard(1, &storage).await.unwrap_err().to_string().contains("not in the plan"));
    });
}

#[test]
fn samples_without_a_uid_are_counted() {
    let folder = Folder::new();
    let mut members = sample("a", 1);
    members.push(("b.jpg".into(), b"x".to_vec()));
    members.extend([("c.jpg".into(), b"x".to_vec()), ("c.json".into(), b"{\"uid\": \"nobody\"}".to_vec())]);
    members.extend([("d.jpg".into(), b"x".to_vec()), ("d.json".into(), b"no json".to_vec())]);
    members.extend([("README".into(), b"x".to_vec()), ("__meta__.json".into(), b"{}".to_vec())]);
    folder.file("a.tar", &tar(&members));
    let input = [InputShard::named(&folder.path("a.tar"))];
    let (plan, _) = folder.run("out", &input, Some(&[(uid(1), 1)]), ReshardOptions::default()).unwrap();
    let counts = plan.counts();
    assert_eq!((counts.samples, counts.selected, counts.no_uid, counts.other_members), (4, 1, 3, 2));
    let first = plan.first_without_uid().unwrap();
    assert!(first.contains("sample `b`: it has neither a row of a table nor a json member with a uid"), "{first}");
    // Without a subset they are samples as any others.
    let (plan, _) = folder.run("all", &input, None, ReshardOptions::default()).unwrap();
    assert_eq!(folder.samples("all", &plan)[0].iter().map(|sample| sample.key.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    let (plan, _) = folder.run("compat", &input, None, ReshardOptions::datacomp()).unwrap();
    assert_eq!((plan.counts().selected, plan.counts().no_uid), (1, 3));
}

#[test]
fn a_tar_that_lies_about_its_table_is_named() {
    let folder = Folder::new();
    let mut input = folder.shard("a", &[1, 2], true);
    folder.shard("b", &[1, 2], true);
    input.table = Some(folder.path("b.parquet"));
    let (plan, _) = folder.run("out", &[input], None, ReshardOptions::default()).unwrap();
    assert!(plan.failures()[0].1.to_string().contains("sample `a0000`: has no row in"), "{:?}", plan.failures());
}

#[test]
fn an_empty_result_is_no_shard() {
    let folder = Folder::new();
    folder.file("none.tar", &TarWriter::new().finish());
    let (plan, written) = folder.run("out", &[InputShard::named(&folder.path("none.tar"))], None, ReshardOptions::default()).unwrap();
    assert_eq!((plan.shards(), written.len(), plan.failures().len()), (0, 0, 0));
}
