//! One tensor that `torch.save` wrote, without running what the file says.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use candle_core::pickle::{Object, Stack};
use half::{bf16, f16};
use thiserror::Error;

use super::stored_zip::{Member, members};

/// The largest description of a tensor; a single one takes some hundred bytes.
const MAX_PICKLE: u64 = 64 << 10;

/// A torch file that is not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TorchFileError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is no zip archive with one float tensor.
    #[error("`{path}`: {message}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// Vectors from a torch file.
#[derive(Debug, Clone, PartialEq)]
pub struct TorchMatrix {
    /// Row after row.
    pub data: Vec<f32>,
    /// Number of rows.
    pub rows: usize,
    /// Components of a row.
    pub dim: usize,
}

/// Reads a two-dimensional float tensor from a `.pt` file that holds nothing else: DataComp's centroids and ImageNet
/// vectors come so.
///
/// `float16`, `bfloat16`, `float32` and `float64` are brought to single precision. The description of the tensor is a
/// pickle, which could call anything; only the one form that `torch.save` gives a tensor (or a `Parameter`) is taken,
/// and nothing is called. Rows must lie one after the other.
///
/// # Errors
/// [`TorchFileError`] names the file and what is wrong: no zip archive (PyTorch before 1.6 wrote none), another thing
/// than one tensor, another shape or type, or sizes that do not agree. What a file claims is checked against its length
/// before anything is reserved.
pub fn read_torch_matrix(path: &Path) -> Result<TorchMatrix, TorchFileError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| TorchFileError::Io { path: name.clone(), source })?;
    read_matrix(BufReader::new(file), &name)
}

/// As [`read_torch_matrix`], from anywhere; errors call it `name`.
pub(super) fn read_matrix(mut file: impl Read + Seek, name: &str) -> Result<TorchMatrix, TorchFileError> {
    let io = |source| TorchFileError::Io { path: name.to_owned(), source };
    let wrong = |message: String| TorchFileError::Content { path: name.to_owned(), message };
    let members = members(&mut file).map_err(io)?.ok_or_else(|| wrong("no zip archive as `torch.save` writes it".into()))?;
    let described = members.iter().find(|member| member.name.ends_with("/data.pkl") || member.name == "data.pkl");
    let described = described.ok_or_else(|| wrong("no `data.pkl` in it".into()))?;
    if described.length > MAX_PICKLE {
        return Err(wrong(format!("its description has {} bytes; one tensor takes less than {MAX_PICKLE}", described.length)));
    }
    let mut pickle = Vec::new();
    read(&mut file, described, &mut pickle).map_err(io)?;
    let mut stack = Stack::empty();
    stack.read_loop(&mut pickle.as_slice()).map_err(|error| wrong(format!("its description cannot be read: {error}")))?;
    let object = stack.finalize().map_err(|error| wrong(format!("its description cannot be read: {error}")))?;
    let tensor = tensor(object).ok_or_else(|| wrong("it holds another thing than one float tensor".into()))?;
    let [rows, dim] = tensor.shape[..] else {
        return Err(wrong(format!("its tensor has {} dimensions, vectors have two", tensor.shape.len())));
    };
    if tensor.stride != [dim, 1] && rows > 1 {
        return Err(wrong("its rows do not lie one after the other; save `tensor.contiguous()`".into()));
    }
    let folder = described.name.strip_suffix("data.pkl").unwrap_or_default();
    let place = format!("{folder}data/{}", tensor.key);
    let body = members.iter().find(|member| member.name == place).ok_or_else(|| wrong(format!("no `{place}` in it")))?;
    let width = tensor.kind.bytes();
    let bytes = rows.checked_mul(dim).and_then(|values| values.checked_mul(width));
    let start = tensor.offset.checked_mul(width);
    let (Some(bytes), Some(start)) = (bytes, start) else { return Err(wrong("its shape is too large".into())) };
    if (bytes as u64).checked_add(start as u64).is_none_or(|end| end > body.length) {
        return Err(wrong(format!("{rows} x {dim} values do not fit the {} bytes that are there", body.length)));
    }
    if dim == 0 {
        return Err(wrong("its vectors have no components".into()));
    }
    file.seek(SeekFrom::Start(body.start + start as u64)).map_err(io)?;
    let mut data = Vec::with_capacity(rows * dim);
    let mut buffer = vec![0; (1 << 20).min(bytes)];
    let mut left = bytes;
    while left > 0 {
        let part = &mut buffer[..left.min(1 << 20)];
        file.read_exact(part).map_err(io)?;
        tensor.kind.decode(part, &mut data);
        left -= part.len();
    }
    Ok(TorchMatrix { data, rows, dim })
}

fn read(file: &mut (impl Read + Seek), member: &Member, out: &mut Vec<u8>) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(member.start))?;
    out.resize(member.length as usize, 0);
    file.read_exact(out)
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    F16,
    Bf16,
    F32,
    F64,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::F16 => out.extend(bytes.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32())),
            Self::Bf16 => out.extend(bytes.as_chunks().0.iter().map(|&two| bf16::from_le_bytes(two).to_f32())),
            Self::F32 => out.extend(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four))),
            Self::F64 => out.extend(bytes.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight) as f32)),
        }
    }
}

/// What a pickle says of a tensor.
struct Description {
    kind: Kind,
    /// Name of the storage.
    key: String,
    /// Values before the first one.
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

/// `_rebuild_tensor_v2(('storage', <kind>Storage, key, place, size), offset, shape, stride, ..)`, within
/// `_rebuild_parameter(tensor, ..)` or not.
fn tensor(object: Object) -> Option<Description> {
    let (callable, arguments) = object.reduce().ok()?;
    let (module, function) = callable.class().ok()?;
    let mut arguments = arguments.tuple().ok()?.into_iter();
    match (module.as_str(), function.as_str()) {
        ("torch._utils", "_rebuild_parameter") => match arguments.next()? {
            inner @ Object::Reduce { .. } => {
                let (callable, arguments) = inner.reduce().ok()?;
                let (module, function) = callable.class().ok()?;
                let is_tensor = module == "torch._utils" && function == "_rebuild_tensor_v2";
                is_tensor.then(|| arguments.tuple().ok()).flatten().and_then(|arguments| described(arguments.into_iter()))
            }
            _ => None,
        },
        ("torch._utils", "_rebuild_tensor_v2") => described(arguments),
        _ => None,
    }
}

fn described(mut arguments: impl Iterator<Item = Object>) -> Option<Description> {
    let mut storage = arguments.next()?.persistent_load().ok()?.tuple().ok()?.into_iter();
    if storage.next()?.unicode().ok()? != "storage" {
        return None;
    }
    let (_, kind) = storage.next()?.class().ok()?;
    let kind = match kind.as_str() {
        "HalfStorage" => Kind::F16,
        "BFloat16Storage" => Kind::Bf16,
        "FloatStorage" => Kind::F32,
        "DoubleStorage" => Kind::F64,
        _ => return None,
    };
    let key = storage.next()?.unicode().ok()?;
    let number = |object: Object| object.int_or_long().ok().and_then(|number| usize::try_from(number).ok());
    let offset = number(arguments.next()?)?;
    let mut numbers = || arguments.next()?.tuple().ok()?.into_iter().map(number).collect::<Option<Vec<usize>>>();
    Some(Description { kind, key, offset, shape: numbers()?, stride: numbers()? })
}
