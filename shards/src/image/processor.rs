//! The whole way of one picture.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::blur::blur_boxes;
use super::colour::{IccUse, Profiles, inverted_inks_to_rgb, profile_bytes};
use super::decode::{Decoded, JpegDecoder, Pixels, dct_eighths, decode_other};
use super::encode::Encoder;
use super::error::ImageError;
use super::exif;
use super::options::{EncodeFormat, ImageOptions, Interpolation};
use super::orientation::Orientation;
use super::planes::Canvas;
use super::probe::{ImageFormat, ImageInfo, probe};
use super::raster::Raster;
use super::resize::Resizer;
use super::rgb::RgbPicture;
use super::size::{Finish, Plan, plan};

/// Buffers larger than this are given back after a picture, in bytes.
const KEEP: usize = 32 << 20;

/// A picture that is ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Processed {
    /// The encoded picture.
    pub bytes: Vec<u8>,
    /// The file name extension that fits `bytes`, without the dot: `jpg`, `png` or `webp`, or that of
    /// the original format when nothing was re-encoded (`bin` when it is not known).
    pub extension: &'static str,
    /// Width of the stored picture in pixels; `None` only with `disable_all_reencoding`, when the
    /// header does not tell.
    pub width: Option<u32>,
    /// Height of the stored picture in pixels, as `width`.
    pub height: Option<u32>,
    /// Width of the upright original in pixels.
    pub original_width: Option<u32>,
    /// Height of the upright original in pixels.
    pub original_height: Option<u32>,
    /// EXIF tags as a JSON object, `{}` when there are none; `None` when `extract_exif` is off.
    pub exif: Option<String>,
    /// The format of the original, `None` when it is not known.
    pub original_format: Option<ImageFormat>,
    /// False when `bytes` are the original bytes.
    pub reencoded: bool,
    /// Frames of the original; only the first is stored. For TIFF, pages.
    pub frames: u32,
    /// The original moves.
    pub animated: bool,
    /// The original had at least one pixel that was not opaque; it was put onto white.
    pub had_alpha: bool,
    /// What became of the colour profile.
    pub icc: IccUse,
    /// EXIF orientation of the original, 1 to 8; the stored picture is upright.
    pub orientation: u8,
}

/// Processes pictures one after the other, keeping decoders and buffers. One per thread.
pub struct Processor {
    jpeg: JpegDecoder,
    encoder: Encoder,
    resizer: Resizer,
    profiles: Profiles,
    canvas: Canvas,
    /// Pixels of the last JPEG, to be used again.
    pixels: Vec<u8>,
    scratch: Vec<u8>,
}

impl Processor {
    /// Makes the decoders.
    ///
    /// # Errors
    /// [`ImageError::Encode`] when libjpeg-turbo gets no memory.
    pub fn new() -> Result<Self, ImageError> {
        Ok(Self {
            jpeg: JpegDecoder::default(),
            encoder: Encoder::new()?,
            resizer: Resizer::default(),
            profiles: Profiles::default(),
            canvas: Canvas::default(),
            pixels: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Judges, decodes, resizes and encodes one picture.
    ///
    /// `boxes` are blurred, each `[x_min, y_min, x_max, y_max]` as shares of the upright picture's
    /// width and height, after resizing and before padding or cropping.
    ///
    /// `options` are taken as valid ([`ImageOptions::validate`]). The result depends on the arguments
    /// alone, not on what was processed before.
    ///
    /// # Errors
    /// Why the picture is refused; see [`ImageError`]. A panic inside a decoder is caught and becomes
    /// [`ImageError::Panic`].
    pub fn process(&mut self, bytes: &[u8], boxes: &[[f32; 4]], options: &ImageOptions) -> Result<Processed, ImageError> {
        self.guarded(|processor| processor.run(bytes, boxes, options, None))
    }

    /// As [`Processor::process`], and shows the finished picture before it is encoded: what is stored need not be decoded
    /// again by whoever wants to look at it. Nothing is shown when the bytes are stored undecoded.
    ///
    /// # Errors
    /// As [`Processor::process`].
    pub fn process_and_show(
        &mut self,
        bytes: &[u8],
        boxes: &[[f32; 4]],
        options: &ImageOptions,
        show: &mut dyn FnMut(&RgbPicture),
    ) -> Result<Processed, ImageError> {
        self.guarded(|processor| processor.run(bytes, boxes, options, Some(show)))
    }

    /// Decodes one picture whole: upright, sRGB, on white where it was transparent, the first frame of an animation.
    ///
    /// # Errors
    /// As [`Processor::process`]; of `options` only the limits count.
    pub fn decode_rgb(&mut self, bytes: &[u8], options: &ImageOptions) -> Result<RgbPicture, ImageError> {
        self.guarded(|processor| {
            let info = probe(bytes, &options.limits)?;
            info.check_limits(&options.limits)?;
            let plan = Plan { resize: None, finish: Finish::None };
            let profile = profile_bytes(bytes, &info.icc, options.limits.max_icc as usize);
            let decoded = processor.decode(bytes, &info, &plan, false, options)?;
            let mut icc = IccUse::Absent;
            processor.finish(decoded, &info, &plan, &[], profile.as_deref(), &mut icc).map(RgbPicture::from)
        })
    }

    /// Runs decoders, whose panics become errors.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, ImageError>) -> Result<T, ImageError> {
        let result = catch_unwind(AssertUnwindSafe(|| work(self)));
        let result = result.unwrap_or_else(|panic| {
            // The state may be half changed: start with a new one.
            *self = Self::new()?;
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let reason = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
            Err(ImageError::Panic { reason: reason.to_owned() })
        });
        self.shrink();
        result
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.pixels, &mut self.scratch] {
            if buffer.capacity() > KEEP {
                *buffer = Vec::new();
            }
        }
        self.resizer.shrink(KEEP);
        self.encoder.shrink(KEEP);
        self.canvas.shrink(KEEP);
    }

    fn run(
        &mut self,
        bytes: &[u8],
        boxes: &[[f32; 4]],
        options: &ImageOptions,
        mut show: Option<&mut dyn FnMut(&RgbPicture)>,
    ) -> Result<Processed, ImageError> {
        let info = probe(bytes, &options.limits);
        if options.disable_all_reencoding {
            return untouched(bytes, info, options);
        }
        let info = info?;
        judge(&info, options)?;
        let (width, height) = info.upright_size();
        let plan = plan(width, height, options);
        check_target(&plan, (width, height), options)?;

        let profile = profile_bytes(bytes, &info.icc, options.limits.max_icc as usize);
        let mut made = Processed {
            bytes: Vec::new(),
            extension: options.encode_format.extension(),
            width: None,
            height: None,
            original_width: Some(width),
            original_height: Some(height),
            exif: exif_column(bytes, Some(&info), options),
            original_format: Some(info.format),
            reencoded: true,
            frames: info.frames,
            animated: info.animated(),
            had_alpha: false,
            icc: if info.has_icc { IccUse::Ignored } else { IccUse::Absent },
            orientation: info.orientation.exif(),
        };

        if boxes.is_empty() && self.in_planes(bytes, &info, &plan, profile.as_deref(), options, &mut made)? {
            if let Some(show) = &mut show {
                show(&RgbPicture::from(&self.canvas));
            }
            return Ok(made);
        }
        let keep = options.skip_reencode && boxes.is_empty() && self.may_keep(&info, &plan, profile.as_deref(), options);
        let decoded = self.decode(bytes, &info, &plan, keep && show.is_none(), options)?;
        made.had_alpha = decoded.transparent;
        if keep && !decoded.alpha_channel {
            if let (Pixels::Light(raster), Some(profile)) = (&decoded.pixels, &profile)
                && self.profiles.is_usable(profile, raster.channels)
            {
                made.icc = IccUse::Srgb;
            }
            if let (Pixels::Light(raster), Some(show)) = (&decoded.pixels, &mut show) {
                show(&RgbPicture::from(raster));
            }
            self.keep_buffer(decoded.pixels);
            (made.width, made.height) = (Some(width), Some(height));
            made.bytes = bytes.to_vec();
            made.reencoded = false;
            return Ok(made);
        }

        let raster = self.finish(decoded, &info, &plan, boxes, profile.as_deref(), &mut made.icc)?;
        (made.width, made.height) = (Some(raster.width), Some(raster.height));
        if let Some(show) = &mut show {
            show(&RgbPicture::from(&raster));
        }
        made.bytes = self.encoder.encode(&raster, options.encode_format, options.quality())?;
        self.pixels = raster.data;
        Ok(made)
    }

    /// Takes the short way of an upright YCbCr JPEG that becomes a smaller JPEG: its planes are never
    /// converted to RGB. `false` when the picture has to go the long way, with `made` as it was.
    fn in_planes(
        &mut self,
        bytes: &[u8],
        info: &ImageInfo,
        plan: &Plan,
        profile: Option<&[u8]>,
        options: &ImageOptions,
        made: &mut Processed,
    ) -> Result<bool, ImageError> {
        let (Some(header), Some(to)) = (&info.jpeg, plan.resize) else { return Ok(false) };
        let fits = header.chroma.is_some()
            && options.encode_format == EncodeFormat::Jpg
            && info.orientation == Orientation::UPRIGHT
            && to.interpolation == Interpolation::Area
            // To enlarge chroma, libjpeg's smooth upsampling is better than repeated samples.
            && to.width <= info.width
            && to.height <= info.height;
        let icc = match profile {
            _ if !fits => return Ok(false),
            None => made.icc,
            Some(profile) => match self.profiles.neutral_use(profile, 3) {
                Some(icc) => icc,
                None => return Ok(false),
            },
        };
        let target = (to.width, to.height);
        let eighths = dct_eighths((info.width, info.height), target);
        let buffer = std::mem::take(&mut self.pixels);
        let Some(planes) = self.jpeg.decode_planes(bytes, info, header, eighths, &options.limits, buffer)? else {
            return Ok(false);
        };
        self.canvas.draw(&planes, target, plan.finish, &mut self.resizer)?;
        self.pixels = planes.data;
        made.icc = icc;
        (made.width, made.height) = (Some(self.canvas.width), Some(self.canvas.height));
        made.bytes = self.encoder.encode_planes(&self.canvas, options.quality())?;
        Ok(true)
    }

    /// Whether the header allows the bytes to be stored as they are.
    fn may_keep(&mut self, info: &ImageInfo, plan: &Plan, profile: Option<&[u8]>, options: &ImageOptions) -> bool {
        let same_format = matches!(
            (info.format, options.encode_format),
            (ImageFormat::Jpeg, EncodeFormat::Jpg) | (ImageFormat::Png, EncodeFormat::Png) | (ImageFormat::Webp, EncodeFormat::Webp)
        );
        let (width, height) = info.upright_size();
        let finished = match plan.finish {
            Finish::None => true,
            Finish::Pad(side) => width.min(height) >= side,
            Finish::Crop(side) => width.max(height) <= side,
        };
        let colours = info.colour_channels;
        same_format
            && finished
            && plan.resize.is_none()
            && info.orientation == Orientation::UPRIGHT
            && matches!(colours, 1 | 3)
            && info.bits <= 8
            && !info.animated()
            && profile.is_none_or(|profile| self.profiles.is_neutral(profile, colours))
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        info: &ImageInfo,
        plan: &Plan,
        only_verify: bool,
        options: &ImageOptions,
    ) -> Result<Decoded, ImageError> {
        let Some(header) = &info.jpeg else {
            return decode_other(bytes, info, &options.limits, &mut self.scratch);
        };
        let eighths = match plan.resize {
            // The pixels are not used; reading all scan data is what finds damage.
            None if only_verify => 1,
            // The other rules do not average, so a scaled decode would give other pixels.
            Some(to) if to.interpolation == Interpolation::Area => {
                let target = info.orientation.upright(to.width, to.height);
                dct_eighths((info.width, info.height), target)
            }
            _ => 8,
        };
        let buffer = std::mem::take(&mut self.pixels);
        self.jpeg.decode(bytes, info, header, eighths, &options.limits, buffer)
    }

    fn finish(
        &mut self,
        decoded: Decoded,
        info: &ImageInfo,
        plan: &Plan,
        boxes: &[[f32; 4]],
        profile: Option<&[u8]>,
        icc: &mut IccUse,
    ) -> Result<Raster, ImageError> {
        let extent = decoded.extent;
        let mut profile = profile;
        let mut raster = match decoded.pixels {
            Pixels::Light(raster) => raster,
            Pixels::Inks { width, height, mut data } => {
                let converted = profile.take().and_then(|profile| {
                    data.iter_mut().for_each(|value| *value = 255 - *value);
                    let rgb = self.profiles.inks_to_srgb(profile, &data);
                    if rgb.is_none() {
                        data.iter_mut().for_each(|value| *value = 255 - *value);
                    }
                    rgb
                });
                if converted.is_some() {
                    *icc = IccUse::Converted;
                }
                let data = converted.unwrap_or_else(|| inverted_inks_to_rgb(&data));
                Raster { width, height, channels: 3, data }
            }
        };
        if let Some(mut to) = plan.resize {
            (to.width, to.height) = info.orientation.upright(to.width, to.height);
            let resized = self.resizer.resize(&raster, extent, to)?;
            self.keep_buffer(Pixels::Light(std::mem::replace(&mut raster, resized)));
        }
        let mut raster = info.orientation.apply(raster);
        // After resizing, when there are fewer pixels; before padding, whose white is sRGB's.
        if let Some(profile) = profile {
            *icc = self.profiles.convert(profile, &mut raster);
        }
        blur_boxes(&mut raster, boxes)?;
        Ok(match plan.finish {
            Finish::None => raster,
            Finish::Pad(side) => raster.pad_white(side),
            Finish::Crop(side) => raster.crop_centre(side),
        })
    }

    fn keep_buffer(&mut self, pixels: Pixels) {
        let data = match pixels {
            Pixels::Light(raster) => raster.data,
            Pixels::Inks { data, .. } => data,
        };
        if data.capacity() > self.pixels.capacity() {
            self.pixels = data;
        }
    }
}

/// Limits first, then the user's filters, in img2dataset's order, on the upright size.
fn judge(info: &ImageInfo, options: &ImageOptions) -> Result<(), ImageError> {
    info.check_limits(&options.limits)?;
    let (width, height) = info.upright_size();
    let (short, long) = (width.min(height), width.max(height));
    if short < options.min_image_size {
        return Err(ImageError::TooSmall);
    }
    let area = f64::from(width) * f64::from(height);
    if options.max_image_area.is_some_and(|most| area > most) {
        return Err(ImageError::AreaTooLarge);
    }
    if options.max_aspect_ratio.is_some_and(|most| f64::from(long) / f64::from(short) > most) {
        return Err(ImageError::AspectTooLarge);
    }
    Ok(())
}

/// A strip of 1 x 65535 pixels whose short side becomes 256 would have 16 million columns.
fn check_target(plan: &Plan, size: (u32, u32), options: &ImageOptions) -> Result<(), ImageError> {
    let (width, height) = plan.resize.map_or(size, |to| (to.width, to.height));
    let limit = options.limits.max_pixels;
    if u64::from(width) * u64::from(height) > limit {
        return Err(ImageError::TooManyPixels { width, height, limit });
    }
    match plan.finish {
        Finish::None => Encoder::check_size(options.encode_format, width, height),
        Finish::Pad(side) => Encoder::check_size(options.encode_format, width.max(side), height.max(side)),
        Finish::Crop(side) => Encoder::check_size(options.encode_format, width.min(side), height.min(side)),
    }
}

fn exif_column(bytes: &[u8], info: Option<&ImageInfo>, options: &ImageOptions) -> Option<String> {
    let block = info.and_then(|info| info.exif.clone()).and_then(|range| bytes.get(range));
    options.extract_exif.then(|| exif::to_json(block, options.keep_location))
}

/// `disable_all_reencoding`: the bytes as they are, with the sizes where the header tells them.
fn untouched(bytes: &[u8], info: Result<ImageInfo, ImageError>, options: &ImageOptions) -> Result<Processed, ImageError> {
    let info = match info {
        Ok(info) => Some(info),
        Err(error @ (ImageError::Empty | ImageError::Html)) => return Err(error),
        Err(_) => None,
    };
    let size = info.as_ref().map(ImageInfo::upright_size);
    let (width, height) = (size.map(|size| size.0), size.map(|size| size.1));
    let original_format = info.as_ref().map(|info| info.format).or_else(|| super::sniff(bytes));
    Ok(Processed {
        bytes: bytes.to_vec(),
        extension: original_format.map_or("bin", ImageFormat::name),
        width,
        height,
        original_width: width,
        original_height: height,
        exif: exif_column(bytes, info.as_ref(), options),
        original_format,
        reencoded: false,
        frames: info.as_ref().map_or(1, |info| info.frames),
        animated: info.as_ref().is_some_and(ImageInfo::animated),
        had_alpha: false,
        icc: match &info {
            Some(info) if info.has_icc => IccUse::Ignored,
            _ => IccUse::Absent,
        },
        orientation: info.as_ref().map_or(1, |info| info.orientation.exif()),
    })
}
