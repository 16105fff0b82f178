use std::collections::HashMap;

use safetensors::tensor::TensorView;

use super::*;

fn write(path: &Path, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) {
    let views: HashMap<String, TensorView<'_>> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| ((*name).to_owned(), TensorView::new(*dtype, shape.clone(), data).unwrap()))
        .collect();
    safetensors::serialize_to_file(views, None, path).unwrap();
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn tensors_of_all_float_types_are_read_as_f32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let halves: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
    let brains: Vec<u8> = [3.0_f32, 0.25].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
    write(
        &path,
        &[("a", Dtype::F32, vec![2], bytes(&[0.5, 7.0])), ("b", Dtype::F16, vec![2, 1], halves), ("c", Dtype::BF16, vec![1, 2], brains)],
    );
    let weights = Weights::open(&[path]).unwrap();
    assert_eq!(weights.floats("a", &[2]).unwrap(), [0.5, 7.0]);
    assert_eq!(weights.floats("b", &[2, 1]).unwrap(), [1.5, -2.0]);
    assert_eq!(weights.floats("c", &[1, 2]).unwrap(), [3.0, 0.25]);
}

#[test]
fn what_is_wrong_with_a_tensor_is_said_with_its_name_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(
        &path,
        &[
            ("good", Dtype::F32, vec![2], bytes(&[0.5, 7.0])),
            ("sick", Dtype::F32, vec![3], bytes(&[f32::NAN, 1.0, f32::INFINITY])),
            ("ids", Dtype::I64, vec![1], vec![0; 8]),
        ],
    );
    let weights = Weights::open(&[path]).unwrap();
    let said = |name, shape: &[usize]| weights.floats(name, shape).unwrap_err().to_string();
    assert!(said("none", &[1]).contains("model.safetensors`: tensor `none` is missing"));
    assert!(said("good", &[1, 2]).contains("tensor `good` has the shape [2], expected [1, 2]"));
    assert!(said("sick", &[3]).contains("tensor `sick` holds 2 values of 3 that are not finite"));
    assert!(said("ids", &[1]).contains("I64"));
}

#[test]
fn a_file_that_is_cut_off_empty_or_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path, &[("a", Dtype::F32, vec![64], bytes(&[1.0; 64]))]);
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 4, 20, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Weights::open(std::slice::from_ref(&path)).unwrap_err();
        assert!(matches!(error, ModelError::Weights { .. }), "{length}: {error}");
    }
    std::fs::write(&path, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n").unwrap();
    assert!(matches!(Weights::open(std::slice::from_ref(&path)), Err(ModelError::Weights { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Weights::open(&[path]), Err(ModelError::Io { .. })));
}
