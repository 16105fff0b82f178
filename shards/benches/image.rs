//! Decode, resize and encode alone, in pictures a second of processor time of one core (so that a
//! busy machine does not show; wall time where the system does not tell): the limit that `fetch` is
//! held against. Beside it img2dataset's own `Resizer`, when `TROMMEL_PEER_PYTHON` names a Python that has
//! img2dataset.
//!
//! `cargo bench -p trommel-shards --bench image`
#![allow(clippy::print_stdout, reason = "a bench reports on stdout")]
#![allow(clippy::unwrap_used, reason = "a bench may stop on the first surprise")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use trommel_shards::image::{EncodeFormat, ImageOptions, Processor, ResizeMode};
use turbojpeg::{Image, PixelFormat, Subsamp};

/// Pictures made for each size.
const PICTURES: u64 = 24;
/// Time spent on each line.
const TIME: Duration = Duration::from_secs(3);

/// The peer's side of the measurement: the same files, the same options, one OpenCV thread.
const PEER: &str = r#"
import glob, io, sys, time
from img2dataset.resizer import Resizer
files = [open(f, "rb").read() for f in sorted(glob.glob(sys.argv[1] + "/*.jpg"))]
resizer = Resizer(256, sys.argv[2], False)
done, start = 0, time.process_time()
while time.process_time() - start < 3:
    for data in files:
        assert resizer(io.BytesIO(data))[5] is None
        done += 1
print(done / (time.process_time() - start))
"#;

fn main() {
    let peer = std::env::var("TROMMEL_PEER_PYTHON").ok();
    println!("{:<8} {:<12} {:>6} {:>12} {:>12} {:>12}", "source", "mode", "KiB", "images/s", "decode only", "img2dataset");
    // A folder of pictures, one after the other, instead of generated ones: to hold another program's figures against.
    let given: Vec<_> = std::env::var("BENCH_PICTURES").iter().flat_map(|folders| folders.split(',').map(str::to_owned)).collect();
    let sources: Vec<(String, Vec<Vec<u8>>)> = if given.is_empty() {
        let generate =
            |(width, height): (usize, usize)| (width.to_string(), (0..PICTURES).map(|seed| photo(width, height, seed)).collect());
        [(640, 480), (1024, 768), (2048, 1536)].into_iter().map(generate).collect()
    } else {
        let read = |folder: &String| std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        given.iter().map(|folder| (folder.rsplit('/').next().unwrap_or_default().to_owned(), read(folder))).collect()
    };
    for (width, files) in sources {
        let mean = files.iter().map(Vec::len).sum::<usize>() / files.len() / 1024;
        let folder = tempfile::tempdir().unwrap();
        for (index, file) in files.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{index:03}.jpg")), file).unwrap();
        }
        let decode = rate(&files, |file| {
            turbojpeg::decompress(file, PixelFormat::RGB).unwrap();
        });
        for (name, resize_mode) in [("border", ResizeMode::Border), ("keep_ratio", ResizeMode::KeepRatio)] {
            let options = ImageOptions { resize_mode, encode_format: EncodeFormat::Jpg, ..Default::default() };
            let mut processor = Processor::new().unwrap();
            let ours = rate(&files, |file| {
                processor.process(file, &[], &options).unwrap();
            });
            let theirs = peer
                .as_deref()
                .and_then(|python| peer_rate(python, folder.path(), name))
                .map_or("-".to_owned(), |rate| format!("{rate:.0}"));
            println!("{width:<8} {name:<12} {mean:>6} {ours:>12.0} {decode:>12.0} {theirs:>12}");
        }
    }
}

/// Calls a second.
fn rate(files: &[Vec<u8>], mut work: impl FnMut(&[u8])) -> f64 {
    files.iter().for_each(|file| work(file));
    let wall = Instant::now();
    let now = || processor_time().unwrap_or_else(|| wall.elapsed());
    let start = now();
    let mut done = 0u32;
    while now() - start < TIME {
        files.iter().for_each(|file| work(file));
        done += files.len() as u32;
    }
    f64::from(done) / (now() - start).as_secs_f64()
}

/// What this thread has used so far: the first number of Linux's schedstat, in nanoseconds.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

fn peer_rate(python: &str, folder: &Path, mode: &str) -> Option<f64> {
    let output = Command::new(python).args(["-W", "ignore", "-c", PEER]).arg(folder).arg(mode).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().lines().last()?.parse().ok()
}

/// A picture with the statistics of a photo: noise at every scale, stronger at the coarse ones (a
/// spectrum of about 1/f), some hard edges, and a little grain. At quality 90 a 1024 x 768 one takes
/// about 200 KiB, as photos do.
fn photo(width: usize, height: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0 - 0.5
    };
    let mut planes = vec![vec![0f32; width * height]; 3];
    let mut cell = 256usize;
    while cell >= 2 {
        let (columns, rows) = (width / cell + 2, height / cell + 2);
        let strength = 18.0 * (cell as f32).powf(0.45) / 2.0;
        let shared: Vec<f32> = (0..columns * rows).map(|_| random()).collect();
        for plane in &mut planes {
            let own: Vec<f32> = shared.iter().map(|v| v * 0.8 + random() * 0.25).collect();
            for y in 0..height {
                let (row, fy) = (y / cell, (y % cell) as f32 / cell as f32);
                for x in 0..width {
                    let (column, fx) = (x / cell, (x % cell) as f32 / cell as f32);
                    let at = row * columns + column;
                    let top = own[at] * (1.0 - fx) + own[at + 1] * fx;
                    let bottom = own[at + columns] * (1.0 - fx) + own[at + columns + 1] * fx;
                    plane[y * width + x] += (top * (1.0 - fy) + bottom * fy) * strength;
                }
            }
        }
        cell /= 2;
    }
    let edges: Vec<(f32, f32, f32)> = (0..6).map(|_| (random(), random(), random() * 80.0)).collect();
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
            let step: f32 = edges.iter().filter(|e| u * e.0 + v * e.1 > 0.05).map(|e| e.2).sum();
            let grain = random() * 4.0;
            for plane in &planes {
                pixels.push((128.0 + plane[y * width + x] + step + grain).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let image = Image { pixels: pixels.as_slice(), width, pitch: width * 3, height, format: PixelFormat::RGB };
    turbojpeg::compress(image, 90, Subsamp::Sub2x2).unwrap().to_vec()
}
