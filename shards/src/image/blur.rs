//! Blurring of boxes (faces, number plates), as img2dataset's `BoundingBoxBlurrer` does it, which in
//! turn follows the face obfuscation of ImageNet (princetonvisualai/imagenet-face-obfuscation).

use super::error::ImageError;
use super::raster::Raster;

/// Blurs `boxes`, each `[x_min, y_min, x_max, y_max]` as shares of width and height. Boxes grow by a
/// tenth of their longer side; the edge of the blur is soft.
///
/// # Errors
/// [`ImageError::BadBox`] when a number is not finite.
pub(crate) fn blur_boxes(raster: &mut Raster, boxes: &[[f32; 4]]) -> Result<(), ImageError> {
    if boxes.is_empty() {
        return Ok(());
    }
    if boxes.iter().flatten().any(|v| !v.is_finite()) {
        return Err(ImageError::BadBox);
    }
    let (width, height) = (raster.width as usize, raster.height as usize);
    let mut mask = vec![0f32; width * height];
    let mut longest = 0i64;
    for area in boxes {
        let [x0, y0, x1, y1] = [
            (f64::from(area[0]) * width as f64) as i64,
            (f64::from(area[1]) * height as f64) as i64,
            (f64::from(area[2]) * width as f64) as i64,
            (f64::from(area[3]) * height as f64) as i64,
        ];
        let side = x1.saturating_sub(x0).max(y1.saturating_sub(y0));
        longest = longest.max(side);
        let grow = 0.1 * side as f64;
        let clip = |value: f64, len: usize| (value as i64).clamp(0, len as i64 - 1) as usize;
        let (left, right) = (clip(x0 as f64 - grow, width), clip(x1 as f64 + grow, width));
        let (top, bottom) = (clip(y0 as f64 - grow, height), clip(y1 as f64 + grow, height));
        for y in top..bottom {
            if left < right {
                mask[y * width + left..y * width + right].fill(1.0);
            }
        }
    }
    let kernel = kernel(longest.clamp(0, 2 * width.max(height) as i64) as f64 * 0.1);
    let mut buffer = Vec::new();
    blur_plane(&mut mask, width, height, &kernel, &mut buffer);
    let channels = usize::from(raster.channels);
    let mut plane = vec![0f32; width * height];
    for channel in 0..channels {
        for (value, pixel) in plane.iter_mut().zip(raster.data.chunks_exact(channels)) {
            *value = f32::from(pixel[channel]) / 255.0;
        }
        blur_plane(&mut plane, width, height, &kernel, &mut buffer);
        for ((pixel, blurred), mask) in raster.data.chunks_exact_mut(channels).zip(&plane).zip(&mask) {
            let sharp = f32::from(pixel[channel]) / 255.0;
            // Truncated, as numpy's astype does.
            pixel[channel] = ((sharp * (1.0 - mask) + blurred * mask) * 255.0) as u8;
        }
    }
    Ok(())
}

/// One half of a symmetric Gaussian kernel, centre first. The size follows from `sigma`, and the
/// deviation in force follows from the size, as in OpenCV when only a size is given.
fn kernel(sigma: f64) -> Vec<f32> {
    let size = ((2.0 * sigma.ceil() + 1.0) as usize).max(3);
    // OpenCV's fixed tables for small sizes.
    match size {
        3 => return vec![0.5, 0.25],
        5 => return vec![0.375, 0.25, 0.0625],
        7 => return vec![0.28125, 0.21875, 0.109375, 0.03125],
        _ => {}
    }
    let sigma = 0.3 * ((size as f64 - 1.0) * 0.5 - 1.0) + 0.8;
    let weights: Vec<f64> = (0..=size / 2).map(|x| (-((x * x) as f64) / (2.0 * sigma * sigma)).exp()).collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    weights.iter().map(|w| (w / sum) as f32).collect()
}

/// Blurs one plane; edges are mirrored without repeating the last pixel (BORDER_REFLECT_101).
fn blur_plane(plane: &mut [f32], width: usize, height: usize, kernel: &[f32], buffer: &mut Vec<f32>) {
    buffer.clear();
    buffer.resize(plane.len(), 0.0);
    let mirror = |at: isize, len: usize| -> usize {
        if len == 1 {
            return 0;
        }
        let period = 2 * (len as isize - 1);
        let at = at.rem_euclid(period);
        (if at < len as isize { at } else { period - at }) as usize
    };
    // Along rows, on a copy of the row with mirrored ends.
    let radius = kernel.len() - 1;
    let mut row = vec![0f32; width + 2 * radius];
    for y in 0..height {
        let source = &plane[y * width..(y + 1) * width];
        for (index, value) in row.iter_mut().enumerate() {
            *value = source[mirror(index as isize - radius as isize, width)];
        }
        let target = &mut buffer[y * width..(y + 1) * width];
        for (value, centre) in target.iter_mut().zip(&row[radius..]) {
            *value = centre * kernel[0];
        }
        for (distance, weight) in kernel.iter().enumerate().skip(1) {
            let (left, right) = (&row[radius - distance..], &row[radius + distance..]);
            for ((value, a), b) in target.iter_mut().zip(left).zip(right) {
                *value += (a + b) * weight;
            }
        }
    }
    // Along columns, whole rows at a time.
    for y in 0..height {
        let target = &mut plane[y * width..(y + 1) * width];
        let centre = &buffer[y * width..(y + 1) * width];
        for (value, from) in target.iter_mut().zip(centre) {
            *value = from * kernel[0];
        }
        for (distance, weight) in kernel.iter().enumerate().skip(1) {
            let above = mirror(y as isize - distance as isize, height) * width;
            let below = mirror(y as isize + distance as isize, height) * width;
            let (above, below) = (&buffer[above..above + width], &buffer[below..below + width]);
            for ((value, a), b) in target.iter_mut().zip(above).zip(below) {
                *value += (a + b) * weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkers() -> Raster {
        let data = (0..64 * 64).map(|i| if (i % 64 + i / 64) % 2 == 0 { 0 } else { 255 }).collect();
        Raster { width: 64, height: 64, channels: 1, data }
    }

    #[test]
    fn the_box_is_blurred_and_what_is_far_from_it_is_untouched() {
        let (before, mut after) = (checkers(), checkers());
        blur_boxes(&mut after, &[[0.4, 0.4, 0.6, 0.6]]).unwrap();
        assert!((100..155).contains(&after.data[32 * 64 + 32]));
        assert_eq!(after.data[..64 * 8], before.data[..64 * 8]);
    }

    #[test]
    fn boxes_outside_reversed_or_empty_do_no_harm() {
        let boxes = [[-5.0, -5.0, 9.0, 9.0], [0.9, 0.9, 0.1, 0.1], [0.5; 4], [f32::MAX, 0.0, f32::MIN, 1.0]];
        for area in boxes {
            let mut tiny = Raster { width: 1, height: 1, channels: 3, data: vec![9; 3] };
            blur_boxes(&mut tiny, &[area]).unwrap();
        }
        let mut raster = checkers();
        assert_eq!(blur_boxes(&mut raster, &[[f32::NAN, 0.0, 1.0, 1.0]]), Err(ImageError::BadBox));
    }
}
