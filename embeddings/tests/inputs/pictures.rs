//! Pixels.

use serde_json::{Value, json};
use trommel_embeddings::preprocess::{Defaults, Preprocessor};
use trommel_embeddings::{ModelError, Picture, Prepared};

use crate::{golden, layout};

/// The formula of `picture` in `make_inputs.py`.
pub(crate) fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut data = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3_u32 {
                let slope = (x * x * 3).wrapping_add(y * y * 5).wrapping_add(x * y * (c + 1)) / 64;
                let noise = (x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ c.wrapping_mul(83_492_791)) >> 8;
                data.push((slope.wrapping_add(noise % 32) % 256) as u8);
            }
        }
    }
    data
}

/// The preprocessor of a case's config, through a file as a model folder has it.
pub(crate) fn preprocessor(case: &Value) -> Preprocessor {
    let folder = tempfile::tempdir().unwrap();
    let config = &case["config"];
    let name = case["layout"].as_str().unwrap();
    let (file, content) = if name == "open_clip" {
        ("open_clip_config.json", json!({"preprocess_cfg": config}))
    } else {
        ("preprocessor_config.json", config.clone())
    };
    std::fs::write(folder.path().join(file), content.to_string()).unwrap();
    Preprocessor::from_folder(folder.path(), layout(name), Defaults::Clip { side: 224 }).unwrap()
}

pub(crate) fn values(prepared: Prepared, shape: &Value) -> Vec<f32> {
    let shape: Vec<usize> = shape.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    match (prepared, shape.as_slice()) {
        (Prepared::Fixed { side, data }, [expected]) => {
            assert_eq!(side, *expected);
            data
        }
        (Prepared::Patches { rows, columns, data }, [expected_rows, expected_columns]) => {
            assert_eq!((rows, columns), (*expected_rows, *expected_columns));
            data
        }
        (other, shape) => panic!("{other:?} for {shape:?}"),
    }
}

/// Level under a value: `(scale, mean, deviation)` per channel, and whether channels come last.
fn level(case: &Value, patches: bool, at: usize, length: usize, value: f32) -> f64 {
    let config = &case["config"];
    let clip = !config["image_processor_type"].as_str().unwrap_or("CLIP").starts_with("Siglip");
    let channel = if patches { at % 3 } else { at * 3 / length };
    let own = |keys: [&str; 2], clip_values: [f64; 3]| {
        let given = keys.iter().find_map(|key| config[*key][channel].as_f64());
        given.unwrap_or(if clip { clip_values[channel] } else { 0.5 })
    };
    let mut value = f64::from(value);
    if config["do_normalize"] != json!(false) {
        let mean = own(["image_mean", "mean"], [0.481_454_66, 0.457_827_5, 0.408_210_73]);
        let std = own(["image_std", "std"], [0.268_629_54, 0.261_302_58, 0.275_777_11]);
        value = value * std + mean;
    }
    let scale = if config["do_rescale"] == json!(false) { 1.0 } else { config["rescale_factor"].as_f64().unwrap_or(1.0 / 255.0) };
    value / scale
}

#[test]
fn pixels_are_within_one_level_of_the_reference() {
    let cases = crate::json(&golden().join("pixels.json"));
    let blob = std::fs::read(golden().join("pixels.bin")).unwrap();
    let (mut same, mut all, mut samples) = (0_usize, 0_usize, 0_usize);
    for case in cases.as_array().unwrap() {
        let (width, height) = (case["width"].as_u64().unwrap() as u32, case["height"].as_u64().unwrap() as u32);
        let prepared = preprocessor(case).prepare(Picture { width, height, data: &picture(width, height) }).unwrap();
        let patches = matches!(prepared, Prepared::Patches { .. });
        let found = values(prepared, &case["shape"]);
        let offset = case["offset"].as_u64().unwrap() as usize;
        let expected = &blob[offset..offset + found.len()];
        for (at, (&value, &expected)) in found.iter().zip(expected).enumerate() {
            let level = level(case, patches, at, found.len(), value);
            assert!((level - level.round()).abs() < 1e-2, "{level} is no level: {case}");
            let difference = (level - f64::from(expected)).abs();
            assert!(difference < 1.01, "{level} for {expected} at {at}: {case}");
            same += usize::from(difference < 0.5);
        }
        all += found.len();
        // Where the level is the same, the value is the same to the last bit.
        for sample in case["samples"].as_array().unwrap() {
            let (at, value) = (sample[0].as_u64().unwrap() as usize, sample[1].as_f64().unwrap() as f32);
            let step = (level(case, patches, at, found.len(), found[at]) - f64::from(expected[at])).abs();
            if step < 0.5 {
                assert_eq!(found[at], value, "at {at}: {case}");
                samples += 1;
            }
        }
    }
    eprintln!("golden pixels: {same} of {all} levels equal, {samples} values bit-equal");
    assert!(same * 100 >= all * 99, "{same} of {all}");
}

#[test]
fn extreme_pictures_are_prepared_in_bounded_memory() {
    let models = [
        Defaults::Clip { side: 224 },
        Defaults::Siglip { side: 256 },
        Defaults::Siglip2 { side: 224 },
        Defaults::NaFlex { patch: 16, patches: 256 },
    ];
    for defaults in models {
        let model = Preprocessor::new(defaults).unwrap();
        for (width, height) in [(1, 5000), (5000, 1), (1, 1), (1, 200_000), (200_000, 1), (6000, 4000), (2, 3)] {
            let data = vec![200; width as usize * height as usize * 3];
            let (length, first) = match model.prepare(Picture { width, height, data: &data }).unwrap() {
                Prepared::Fixed { side, data } => (side * side * 3, data),
                Prepared::Patches { rows, columns, data } => {
                    assert!(rows * columns <= 256);
                    (rows * columns * 16 * 16 * 3, data)
                }
            };
            assert_eq!(first.len(), length);
            // One colour stays one colour, whatever the filter.
            let plane = if matches!(defaults, Defaults::NaFlex { .. }) { 1 } else { length / 3 };
            assert!(first.iter().step_by(if plane == 1 { 3 } else { 1 }).take(plane.max(64)).all(|&v| v == first[0]));
        }
    }
}

#[test]
fn a_picture_that_lies_about_its_size_is_an_error() {
    let model = Preprocessor::new(Defaults::Clip { side: 32 }).unwrap();
    for (width, height, bytes) in [(0, 5, 0), (5, 0, 0), (2, 2, 11), (2, 2, 13), (u32::MAX, u32::MAX, 12)] {
        let picture = Picture { width, height, data: &vec![0; bytes] };
        assert!(matches!(model.prepare(picture), Err(ModelError::Input(_))), "{width} x {height}");
    }
}

#[test]
fn a_config_that_is_not_understood_is_an_error_that_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let read = |content: &str| {
        std::fs::write(folder.path().join("preprocessor_config.json"), content).unwrap();
        let defaults = Defaults::Clip { side: 224 };
        Preprocessor::from_folder(folder.path(), trommel_embeddings::checkpoint::Layout::Transformers, defaults)
    };
    for (content, names) in [
        ("{", "not JSON"),
        (r#"{"image_processor_type": "BlipImageProcessor"}"#, "BlipImageProcessor"),
        (r#"{"size": {"height": 224, "width": 448}}"#, "`size`"),
        (r#"{"size": 0}"#, "`size`"),
        (r#"{"crop_size": -1}"#, "`crop_size`"),
        (r#"{"resample": 9}"#, "`resample`"),
        (r#"{"image_std": [0, 1, 1]}"#, "`image_std`"),
        (r#"{"image_mean": [0, 1]}"#, "`image_mean`"),
        (r#"{"do_center_crop": false}"#, "`do_center_crop`"),
        (r#"{"do_resize": "yes"}"#, "`do_resize`"),
        (r#"{"rescale_factor": 0}"#, "`rescale_factor`"),
    ] {
        let message = read(content).unwrap_err().to_string();
        assert!(message.contains(names), "{content}: {message}");
    }
    // Nested in the newer file, and with nothing at all.
    std::fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let defaults = Defaults::Siglip2 { side: 64 };
    let layout = trommel_embeddings::checkpoint::Layout::Transformers;
    assert_eq!(Preprocessor::from_folder(folder.path(), layout, defaults).unwrap().side(), Some(64));
    let nested = r#"{"image_processor": {"image_processor_type": "Siglip2ImageProcessorFast", "max_num_patches": 576}}"#;
    std::fs::write(folder.path().join("processor_config.json"), nested).unwrap();
    let found = Preprocessor::from_folder(folder.path(), layout, defaults).unwrap();
    assert_eq!(found.patches(), Some((16, 576)));
    assert_eq!(found.with_patches(1024).unwrap().patches(), Some((16, 1024)));
}

#[test]
fn the_id_names_every_parameter_and_stays() {
    let id = |defaults| Preprocessor::new(defaults).unwrap().id().to_owned();
    // Outputs of earlier versions carry these; they change only with the values.
    insta_like(&id(Defaults::Clip { side: 224 }), "bicubic:shortest224:crop224:");
    insta_like(&id(Defaults::Siglip { side: 224 }), "bicubic:squash224:");
    insta_like(&id(Defaults::Siglip2 { side: 224 }), "bilinear:squash224:");
    insta_like(&id(Defaults::NaFlex { patch: 16, patches: 256 }), "bilinear:naflex256:patch16:");
    let open_clip = preprocessor(&json!({"layout": "open_clip", "config": {"size": 224}}));
    assert_ne!(open_clip.id(), id(Defaults::Clip { side: 224 }), "the crop rounds differently");
}

fn insta_like(id: &str, head: &str) {
    let digest = id.strip_prefix(head).unwrap_or_else(|| panic!("{id} does not begin with {head}"));
    assert!(digest.len() == 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
}
