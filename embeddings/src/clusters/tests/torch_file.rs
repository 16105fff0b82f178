//! The files in `torch/` were written by PyTorch 2.15:
//!
//! ```python
//! m = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8 - 0.5
//! torch.save(m, "float32.pt"); torch.save(m.half(), "float16.pt"); torch.save(m.bfloat16(), "bfloat16.pt")
//! torch.save(torch.nn.Parameter(m.double()), "parameter.pt"); torch.save(torch.cat([m, m])[3:], "slice.pt")
//! torch.save(m.T, "transposed.pt"); torch.save({"a": m}, "dict.pt")
//! ```

use std::path::PathBuf;

use crate::clusters::torch_file::read_matrix;
use crate::clusters::{TorchMatrix, read_torch_matrix};

fn file(name: &str) -> PathBuf {
    // Tests run in the folder of their crate.
    PathBuf::from("src/clusters/tests/torch").join(name)
}

fn expected() -> TorchMatrix {
    TorchMatrix { data: (0..12).map(|n| n as f32 / 8.0 - 0.5).collect(), rows: 3, dim: 4 }
}

/// What is said of a file's bytes.
fn said(bytes: &[u8]) -> String {
    read_matrix(std::io::Cursor::new(bytes), "a file").map_or_else(|error| error.to_string(), |matrix| format!("{matrix:?}"))
}

#[test]
fn tensors_of_every_float_type_are_read() {
    for name in ["float32.pt", "float16.pt", "bfloat16.pt", "parameter.pt", "slice.pt"] {
        assert_eq!(read_torch_matrix(&file(name)).unwrap(), expected(), "{name}");
    }
}

#[test]
fn what_is_no_matrix_is_refused_with_a_reason() {
    let of = |name| read_torch_matrix(&file(name)).unwrap_err().to_string();
    assert!(of("transposed.pt").ends_with("its rows do not lie one after the other; save `tensor.contiguous()`"));
    assert!(of("dict.pt").ends_with("it holds another thing than one float tensor"));
    assert!(of("missing.pt").starts_with("cannot read `"));
    assert!(said(b"no zip").contains("no zip archive"));
    assert!(said(b"").contains("no zip archive"));
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let bytes = std::fs::read(file("float32.pt")).unwrap();
    for end in 0..bytes.len() {
        said(&bytes[..end]);
    }
    for at in 0..bytes.len() {
        for value in [0, 1, 0x28, 0x7f, 0xff] {
            let mut wrong = bytes.clone();
            wrong[at] = value;
            said(&wrong);
        }
    }
}

#[test]
fn an_archive_with_64_bit_fields_is_read() {
    let bytes = std::fs::read(file("float32.pt")).unwrap();
    let at = |place: usize| u32::from_le_bytes(bytes[place..place + 4].try_into().unwrap());
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06").unwrap();
    let start = at(end + 16) as usize;
    let mut wide = bytes[..start].to_vec();
    let mut place = start;
    while place < start + at(end + 12) as usize {
        let length = |offset: usize| usize::from(u16::from_le_bytes([bytes[place + offset], bytes[place + offset + 1]]));
        let (name, extra, comment) = (length(28), length(30), length(32));
        let mut entry = bytes[place..place + 46 + name].to_vec();
        let fields = [at(place + 24), at(place + 20), at(place + 42)];
        [20, 24, 42].into_iter().for_each(|offset| entry[offset..offset + 4].fill(0xff));
        entry[30..32].copy_from_slice(&28_u16.to_le_bytes());
        entry[32..34].fill(0);
        entry.extend([1, 0, 24, 0]);
        fields.into_iter().for_each(|field| entry.extend(u64::from(field).to_le_bytes()));
        wide.extend(entry);
        place += 46 + name + extra + comment;
    }
    let (record, length) = (wide.len(), wide.len() - start);
    wide.extend(b"PK\x06\x06");
    wide.extend([0; 36]);
    wide.extend((length as u64).to_le_bytes());
    wide.extend((start as u64).to_le_bytes());
    wide.extend(b"PK\x06\x07");
    wide.extend([0; 4]);
    wide.extend((record as u64).to_le_bytes());
    wide.extend([0; 4]);
    wide.extend(b"PK\x05\x06");
    wide.extend([0; 8]);
    wide.extend([0xff; 8]);
    wide.extend([0; 2]);
    assert_eq!(said(&wide), format!("{:?}", expected()));
}
